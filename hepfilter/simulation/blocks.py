"""A block: consecutive events of one process that one generator makes, with seeds and identity of their own."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.config.card import Card
from hepfilter.simulation.books import RUN
from hepfilter.simulation.filters import may_pass_detector, passes_detector, passes_generator
from hepfilter.simulation.flat import Floats, Ints
from hepfilter.simulation.nano import NanoBlock, describe
from hepfilter.simulation.observation import observe
from hepfilter.simulation.pileup import make_pile_up
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.soft_bomb import burst
from hepfilter.simulation.truth import read_record, read_truth

BLOCK_EVENTS = 500  # part of the sample's definition: the seeds count blocks
PYTHIA_SEEDS = 900_000_000
STREAMS = 1_000_000
EVENTS_OF_STREAM = 1_000_000_000


@dataclass(frozen=True)
class BlockTask:
    """One block to make: `events` events to be generated of the process `card`, of the sample with `seed`.

    `block` counts the process's blocks from 0. `particles` keeps the particle-flow candidates; `pileup` is the mean
    number of further collisions.
    """

    card: Card
    seed: int
    block: int
    events: int
    particles: bool
    pileup: float


@dataclass(frozen=True)
class MadeBlock:
    """The events that passed the card's filters, and the books of those that were generated.

    `place` is the place (from 0) of each event among the generated ones, whose generator weights are `weights`. The
    seconds are those that generator and reconstruction took.
    """

    columns: NanoBlock
    place: Ints
    weights: Floats
    generator_seconds: float
    reconstruction_seconds: float


def make_block(task: BlockTask) -> MadeBlock:
    """Generate, filter and reconstruct one block; the result depends on the task alone, so any process may do it."""
    card, start = task.card, time.perf_counter()
    name = (card.name, task.seed, task.block)
    made = generate(card, events=task.events, seed=pythia_seed(*name))
    pile_up = None
    if task.pileup > 0.0:
        pile_up = make_pile_up(task.pileup, energy_tev=card.energy_tev, seed=pythia_seed(*name, purpose="pile-up"))
    generated = time.perf_counter()
    rng = np.random.default_rng(derived_seed(*name, purpose="detector"))
    record = read_record(made.events, made.particle_data)
    place = np.arange(task.events)

    passed = passes_generator(record, card.generator_filter)
    record, place = record.of_events(passed), place[passed]
    if card.soft_bomb is not None:
        record = burst(record, card.soft_bomb, rng)
    truth = read_truth(record, made.particle_data)
    seen = observe(truth.visible, rng, detector=card.detector, pile_up=pile_up)

    possible = may_pass_detector(seen, card.detector_filter)
    found = describe(seen.of_events(possible), truth.of_events(possible), rng, particles=task.particles)
    passed = passes_detector(found, card.detector_filter)
    place = place[possible][passed]
    columns = found.select(passed).with_scalars({"Generator_binvar": made.pt_hat[place].astype(np.float32)})
    return MadeBlock(columns, place, made.weights, generated - start, time.perf_counter() - generated)


def derived_seed(process: str, seed: int, block: int, *, purpose: str) -> int:
    """A 64-bit seed: the first eight bytes of BLAKE2b over the arguments; those of different purposes are unrelated."""
    text = json.dumps([purpose, process, seed, block])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def pythia_seed(process: str, seed: int, block: int, *, purpose: str = "pythia") -> int:
    """The generator's seed of a block, in the range that Pythia takes: blocks of one process never share one."""
    return 1 + (derived_seed(process, seed, 0, purpose=purpose) + block) % PYTHIA_SEEDS


def identity(card: Card, *, seed: int, luminosity_block: int, place: Ints) -> dict[str, npt.NDArray[Any]]:
    """Identity and truth labels of events; `place` is that among the generated ones of the process, from 0.

    run is 1 and luminosityBlock counts the file's blocks, so (run, luminosityBlock, event) is unique within a file.
    event = stream · 10⁹ + place + 1, the stream being one of 10⁶ drawn from (process, seed): two processes, or two
    seeds, share event numbers with a probability of one in a million. All stay below 2⁵³.
    """
    stream = derived_seed(card.name, seed, 0, purpose="event") % STREAMS
    events = len(place)
    return {
        "run": np.full(events, RUN, dtype=np.uint32),
        "luminosityBlock": np.full(events, luminosity_block, dtype=np.uint32),
        "event": np.uint64(stream * EVENTS_OF_STREAM + 1) + place.astype(np.uint64),
        "HepFilterTruth_label": np.full(events, card.label, dtype=np.int32),
        "HepFilterTruth_isSignal": np.full(events, card.is_signal, dtype=np.bool_),
        "HepFilterTruth_point": np.full(events, card.point or 0.0, dtype=np.float32),
    }
