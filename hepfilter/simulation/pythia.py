"""The generator: a Pythia 8 instance from a card and a seed, batches of events, the cross-section.

Pythia 8.3: C. Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from hepfilter.config.card import Card
from hepfilter.errors import SimulationError, nearest
from hepfilter.simulation.displacement import HCAL_LENGTH, HCAL_RADIUS
from hepfilter.simulation.slha import slha_text

PB_PER_MB = 1e9
PILOT_EVENTS = 10_000
PILOT_SEED = 20_081
FLAG_VALUES = {"on", "off", "yes", "no", "true", "false", "ok", "1", "0"}


@dataclass(frozen=True)
class CrossSection:
    """A cross-section and its statistical error, in pb; the error is 0 where the card states the value."""

    value_pb: float
    error_pb: float


@dataclass(frozen=True)
class Generated:
    """Events as the awkward array of Pythia's nextBatch (fields `prt` and `info`), and Pythia's table of particles."""

    events: Any
    particle_data: Any

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """The events' weights, 1 unless the generation is biased."""
        return np.asarray(ak.to_numpy(self.events.info.weights[:, 0]), dtype=np.float64)

    @property
    def pt_hat(self) -> npt.NDArray[np.float64]:
        """The transverse momentum of the hard process in GeV."""
        squared = np.asarray(ak.to_numpy(self.events.info.pT2Hat), dtype=np.float64)
        return np.sqrt(np.maximum(squared, 0.0))


def make_generator(card: Card, *, seed: int, extra: Sequence[str] = ()) -> Any:
    """An initialised ``pythia8mc.Pythia`` for `card`; `seed` in [1, 900000000], `extra` lines come last.

    SimulationError when Pythia does not know a line, or does not initialise: then with Pythia's own message.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            f"Beams:eCM = {1000.0 * card.energy_tev:.10g}",
            f"PartonLevel:MPI = {'on' if card.multiple_interactions else 'off'}",
            # What reaches the calorimeter is stopped there, and does not decay behind it.
            "ParticleDecays:limitCylinder = on",
            f"ParticleDecays:xyMax = {HCAL_RADIUS}",
            f"ParticleDecays:zMax = {HCAL_LENGTH}",
            *_given_particles(card, Path(folder)),
            *card.settings,
            *extra,
            "Random:setSeed = on",
            f"Random:seed = {seed}",
        ]
        generator = _configured(card, ["Print:quiet = on", "Print:errors = off", *lines])
        with _said():
            ready = generator.init()
        if not ready:
            raise SimulationError(f"card {card.name}: Pythia does not initialise: {_reason(_configured(card, lines))}")
    return generator


def _given_particles(card: Card, folder: Path) -> list[str]:
    """Settings for a spectrum, written into `folder`, and for a particle that is left to us to decay."""
    lines = [f"{card.soft_bomb.pdg_id}:mayDecay = off"] if card.soft_bomb else []
    if card.slha is not None:
        path = folder / "spectrum.slha"
        path.write_text(slha_text(card.slha), encoding="ascii")
        lines += [f"SLHA:file = {path}", "SLHA:verbose = 0"]
    return lines


def generate(card: Card, *, events: int, seed: int) -> Generated:
    """Exactly `events` events of `card`, at least one.

    nextBatch may give fewer events than asked for: the rest is asked for again. SimulationError when none comes.
    """
    generator = make_generator(card, seed=seed)
    batches: list[Any] = []
    missing = events
    while missing > 0:
        with _said():
            batch = generator.nextBatch(missing)
        if len(batch) == 0:
            made_so_far = f"{events - missing} of {events} made"
            raise SimulationError(f"card {card.name}: Pythia fails on every event, {made_so_far}; check the settings")
        batches.append(batch)
        missing -= len(batch)
    made = ak.concatenate(batches) if len(batches) != 1 else batches[0]
    return Generated(made, generator.particleData)


def cross_section(card: Card) -> CrossSection:
    """The card's own cross-section, or Pythia's (times the card's branching ratio) from a pilot of 10,000 hard
    processes, to about 0.5 %.

    The pilot has no shower and a seed of its own: the value belongs to the card, not to a sample, and is the same for
    any number of events, seed and workers. Events that fail in the shower (below 0.1 %) are not subtracted.
    """
    if card.cross_section_pb is not None:
        return CrossSection(card.cross_section_pb, 0.0)
    pilot = make_generator(card, seed=PILOT_SEED, extra=("PartonLevel:all = off", "HadronLevel:all = off"))
    made = sum(bool(pilot.next()) for _ in range(PILOT_EVENTS))
    info = pilot.infoPython()
    if made == 0 or not info.sigmaGen() > 0.0:
        raise SimulationError(
            f"card {card.name}: Pythia finds no cross-section; check settings, or give cross_section_pb"
        )
    scale = PB_PER_MB * card.branching_ratio
    return CrossSection(scale * info.sigmaGen(), scale * info.sigmaErr())


def _configured(card: Card, lines: Sequence[str]) -> Any:
    """A Pythia that has read `lines` but is not initialised."""
    generator = pythia_module().Pythia("", False)
    for line in lines:
        key, _, value = (part.strip() for part in line.partition("="))
        with _said() as said:
            taken = generator.readString(line, False)
        if not taken:
            reason = "".join(f": {message}" for message in said) or _hint(generator, key)
            raise SimulationError(f"card {card.name}: Pythia refuses the line {line!r}{reason}")
        if generator.settings.isFlag(key) and value.lower() not in FLAG_VALUES:
            raise SimulationError(f"card {card.name}: {line!r}: {key} is on or off; Pythia would read this as off")
    return generator


def _hint(generator: Any, key: str) -> str:
    """The nearest of Pythia's settings for a key that it does not know; empty for a particle's data (``25:m0``)."""
    if re.match(r"\d", key):
        return "; no such particle or property"
    settings = generator.settings
    maps = (settings.getFlagMap, settings.getModeMap, settings.getParmMap, settings.getWordMap)
    known = {entry.name for get_map in maps for entry in get_map("").values()}
    if key.lower() in {name.lower() for name in known}:
        return "; it takes another kind of value"
    return nearest(key, known)


def _reason(generator: Any) -> str:
    """Initialise again, aloud, and return Pythia's errors in one line."""
    with _said() as said:
        generator.init()
    return "; ".join(said) or "no reason given"


@contextmanager
def _said() -> Iterator[list[str]]:
    """Keep Pythia from stdout, where results belong; the list holds its errors once the block has ended.

    It offers its messages nowhere but on the process's stdout, past Python: file descriptor 1 is theirs meanwhile.
    """
    said: list[str] = []
    sys.stdout.flush()
    with tempfile.TemporaryFile() as record:
        stdout = os.dup(1)
        try:
            os.dup2(record.fileno(), 1)
            yield said
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
            record.seek(0)
            said += _messages(record.read().decode("utf-8", "replace"))


def _messages(said: str) -> list[str]:
    """Pythia's errors, without the general line at the end when a more particular one came before."""
    found = re.findall(r"^\s*PYTHIA ((?:Error|Abort).*?)\s*$", said, flags=re.MULTILINE)
    return found[:-1] or found


def pythia_module() -> Any:
    """The module pythia8mc; SimulationError tells how to install it."""
    try:
        import pythia8mc
    except ImportError as error:
        raise SimulationError("Pythia 8 is not installed: pip install 'hepfilter[sim]'") from error
    return pythia8mc
