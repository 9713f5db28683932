"""A block: the consecutive events of one process that one generator makes, with seeds and identity of their own."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.config.card import Card
from hepfilter.simulation.nano import NanoBlock, labelled, reconstruct
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.truth import read_truth

BLOCK_EVENTS = 500  # part of the sample's definition: the seeds count blocks
PYTHIA_SEEDS = 900_000_000
RUN = 1  # as in CMS simulation
STREAMS = 1_000_000
EVENTS_OF_STREAM = 1_000_000_000


@dataclass(frozen=True)
class BlockTask:
    """One block to make: `events` events from place `first` on of the process `card` of the sample with `seed`.

    `block` counts the process's blocks from 0, `luminosity_block` those of the whole file from 1; `weight` is that of
    each event in pb.
    """

    card: Card
    luminosity_block: int
    block: int
    first: int
    events: int
    seed: int
    weight: float
    particles: bool


@dataclass(frozen=True)
class MadeBlock:
    """A block's columns, and the seconds that generator and reconstruction took."""

    columns: NanoBlock
    generator_seconds: float
    reconstruction_seconds: float


def make_block(task: BlockTask) -> MadeBlock:
    """Generate and reconstruct one block; the result depends on the task alone, so any process may do it."""
    start = time.perf_counter()
    made = generate(task.card, events=task.events, seed=pythia_seed(task.card.name, task.seed, task.block))
    generated = time.perf_counter()
    rng = np.random.default_rng(derived_seed(task.card.name, task.seed, task.block, purpose="detector"))
    found = reconstruct(read_truth(made.events, made.generator.particleData), rng, particles=task.particles)
    return MadeBlock(labelled(found, identity(task)), generated - start, time.perf_counter() - generated)


def derived_seed(process: str, seed: int, block: int, *, purpose: str) -> int:
    """A 64-bit seed: the first eight bytes of BLAKE2b over the arguments; those of different purposes are unrelated."""
    text = json.dumps([purpose, process, seed, block])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def pythia_seed(process: str, seed: int, block: int) -> int:
    """The generator's seed of a block, in the range that Pythia takes."""
    return 1 + derived_seed(process, seed, block, purpose="pythia") % PYTHIA_SEEDS


def identity(task: BlockTask) -> dict[str, npt.NDArray[Any]]:
    """Identity, weight and truth labels of a block's events.

    run is 1 and luminosityBlock counts the file's blocks, so (run, luminosityBlock, event) is unique within a file.
    event = stream · 10⁹ + place in the process (from 1), the stream being one of 10⁶ drawn from (process, seed): files
    of other processes or seeds share no event numbers, but for one pair in a million. All stay below 2⁵³.
    """
    stream = derived_seed(task.card.name, task.seed, 0, purpose="event") % STREAMS
    place = np.arange(task.first + 1, task.first + task.events + 1, dtype=np.uint64)
    return {
        "run": np.full(task.events, RUN, dtype=np.uint32),
        "luminosityBlock": np.full(task.events, task.luminosity_block, dtype=np.uint32),
        "event": np.uint64(stream * EVENTS_OF_STREAM) + place,
        "genWeight": np.full(task.events, task.weight, dtype=np.float32),
        "HepFilterTruth_label": np.full(task.events, task.card.label, dtype=np.int32),
        "HepFilterTruth_isSignal": np.full(task.events, task.card.is_signal, dtype=np.bool_),
    }
