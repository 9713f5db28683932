"""The generator: a Pythia 8 instance from a card and a seed, batches of events, the cross-section.

Pythia 8.3: C. Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak

from hepfilter.config.card import Card
from hepfilter.errors import SimulationError, nearest

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
    """Events as the awkward array of Pythia's nextBatch (fields `prt` and `info`), and the generator that made them."""

    events: Any
    generator: Any


def make_generator(card: Card, *, seed: int, extra: Sequence[str] = ()) -> Any:
    """An initialised ``pythia8mc.Pythia`` for `card`; `seed` in [1, 900000000], `extra` lines come last.

    SimulationError when Pythia does not know a line, or does not initialise: then with Pythia's own message.
    """
    lines = [
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        f"Beams:eCM = {1000.0 * card.energy_tev:.10g}",
        f"PartonLevel:MPI = {'on' if card.multiple_interactions else 'off'}",
        *card.settings,
        *extra,
    ]
    generator = _configured(card, ["Print:quiet = on", "Print:errors = off", *lines])
    if not generator.init():
        reason = _reason_of_failure(_configured(card, lines))
        raise SimulationError(f"card {card.name}: Pythia does not initialise: {reason}")
    return generator


def generate(card: Card, *, events: int, seed: int) -> Generated:
    """Exactly `events` events of `card`, at least one.

    nextBatch may give fewer events than asked for: the rest is asked for again. SimulationError when none comes, or
    when the events have weights of their own (biased generation), which the sample's weights do not foresee.
    """
    generator = make_generator(card, seed=seed)
    batches: list[Any] = []
    missing = events
    while missing > 0:
        batch = generator.nextBatch(missing)
        if len(batch) == 0:
            made_so_far = f"{events - missing} of {events} made"
            raise SimulationError(f"card {card.name}: Pythia fails on every event, {made_so_far}; check the settings")
        batches.append(batch)
        missing -= len(batch)
    made = ak.concatenate(batches) if len(batches) != 1 else batches[0]
    if not ak.all(made.info.weights[:, :1] == 1.0):
        raise SimulationError(f"card {card.name}: gives weighted events; use unweighted generation in pT-hat slices")
    return Generated(made, generator)


def cross_section(card: Card) -> CrossSection:
    """The card's own cross-section, or Pythia's from a pilot of 10,000 hard processes (to about 0.5 %).

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
    return CrossSection(PB_PER_MB * info.sigmaGen(), PB_PER_MB * info.sigmaErr())


def _configured(card: Card, lines: Sequence[str]) -> Any:
    """A Pythia that has read `lines` but is not initialised."""
    generator = pythia_module().Pythia("", False)
    for line in lines:
        key, _, value = (part.strip() for part in line.partition("="))
        if not generator.readString(line, False):
            raise SimulationError(f"card {card.name}: Pythia refuses the line {line!r}{_hint(generator, key)}")
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
    return nearest(key, known)


def _reason_of_failure(generator: Any) -> str:
    """Initialise again, aloud, and return Pythia's errors in one line.

    It offers its messages nowhere but on the process's stdout, past Python: file descriptor 1 is theirs meanwhile.
    """
    sys.stdout.flush()
    with tempfile.TemporaryFile() as record:
        stdout = os.dup(1)
        try:
            os.dup2(record.fileno(), 1)
            generator.init()
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        record.seek(0)
        said = record.read().decode("utf-8", "replace")
    return "; ".join(_messages(said)) or "no reason given"


def _messages(said: str) -> Iterator[str]:
    """Pythia's errors, without the general line at the end when a more particular one came before."""
    found = re.findall(r"^\s*PYTHIA ((?:Error|Abort).*?)\s*$", said, flags=re.MULTILINE)
    yield from found[:-1] or found


def pythia_module() -> Any:
    """The module pythia8mc; SimulationError tells how to install it."""
    try:
        import pythia8mc
    except ImportError as error:
        raise SimulationError("Pythia 8 is not installed: pip install 'hepfilter[sim]'") from error
    return pythia8mc
