"""Supersymmetric spectra as SLHA text, the only way in which Pythia takes them.

The format: P. Skands et al., JHEP 07 (2004) 036, arXiv:hep-ph/0311123. All mixing matrices are unit matrices, so that
each partner is a pure state; partners without a stated mass lie at 5 TeV and decay as Pythia says.
"""

from collections.abc import Iterator

from hepfilter.config.process import Slha

OUT_OF_REACH = 5000.0
NEUTRALINO = 1000022
_SQUARKS = [*range(1000001, 1000007), *range(2000001, 2000007)]
_SLEPTONS = [*range(1000011, 1000017), 2000011, 2000013, 2000015]
_GAUGINOS = [1000021, 1000023, 1000024, 1000025, 1000035, 1000037]
_HEAVY_HIGGS = [35, 36, 37]
_KNOWN = {6: 173.0, 24: 80.4, 25: 125.0, NEUTRALINO: 100.0}
_MIXINGS = {"NMIX": 4, "UMIX": 2, "VMIX": 2, "STOPMIX": 2, "SBOTMIX": 2, "STAUMIX": 2}
_TAN_BETA = 10.0


def slha_text(spectrum: Slha) -> str:
    """The spectrum as an SLHA file. Particles with an empty list of decays are stable."""
    return "\n".join([*_blocks(spectrum), *_decays(spectrum)]) + "\n"


def _blocks(spectrum: Slha) -> Iterator[str]:
    heavy = dict.fromkeys([*_SQUARKS, *_SLEPTONS, *_GAUGINOS, *_HEAVY_HIGGS], OUT_OF_REACH)
    masses = {**_KNOWN, **heavy, **spectrum.masses}
    yield from ("BLOCK MODSEL", "  1 0", "BLOCK MINPAR", f"  3 {_TAN_BETA}", "BLOCK MASS")
    yield from (f"  {code} {mass:.6e}" for code, mass in masses.items())
    for name, size in _MIXINGS.items():
        yield f"BLOCK {name}"
        yield from (f"  {i} {j} {float(i == j)}" for i in range(1, size + 1) for j in range(1, size + 1))
    yield from ("BLOCK ALPHA", "  -0.1", "BLOCK HMIX Q= 1000.", "  1 500.", f"  2 {_TAN_BETA}")


def _decays(spectrum: Slha) -> Iterator[str]:
    for code, channels in spectrum.decays.items():
        yield f"DECAY {code} {float(bool(channels))}"
        yield from (f"  {c.ratio} {len(c.to)} {' '.join(map(str, c.to))}" for c in channels)
