"""Samples: cards and a seed become a ROOT file, in blocks that any number of workers may make."""

import json
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hepfilter.config.card import Card
from hepfilter.errors import SimulationError, UsageError
from hepfilter.io.writing import NewFile, create_root
from hepfilter.simulation.blocks import BLOCK_EVENTS, EVENTS_OF_STREAM, RUN, BlockTask, MadeBlock, make_block
from hepfilter.simulation.nano import BLOCK_COLUMNS, RUN_COLUMNS, event_columns
from hepfilter.simulation.pythia import CrossSection, cross_section

PROCESS_TABLE = "HepFilterTruth_processes"

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class ProcessReport:
    """One process of a sample; the seconds are those of one core, summed over its blocks."""

    card: Card
    events: int
    cross_section: CrossSection
    generator_seconds: float
    reconstruction_seconds: float


@dataclass(frozen=True)
class SampleReport:
    """What `simulate` made: the file, its processes in order, the events of all, and the wall-clock seconds."""

    output: Path
    seed: int
    processes: tuple[ProcessReport, ...]
    events: int
    seconds: float


def simulate(
    cards: Sequence[Card],
    *,
    events: int,
    seed: int,
    output: Path | str,
    workers: int = 1,
    particles: bool = False,
    progress: Progress | None = None,
) -> SampleReport:
    """Make `events` events of each card and write them, card after card, to `output`, a ROOT file in NanoAOD's layout.

    Every block of 500 events has a generator and seeds of its own, derived from (card's name, `seed`, block): the
    content depends on cards, `events` and `seed`, not on `workers`. `genWeight` is σ/`events` in pb with σ from
    `pythia.cross_section`: a process's weights sum to its cross-section, and slices add up as they are. `particles`
    writes the particle-flow candidates too. `progress` is called with (card's name, events) after each block, in order.
    The processes are listed as JSON under "HepFilterTruth_processes". A script that uses `workers` > 1 needs the usual
    ``if __name__ == "__main__"``. UsageError for impossible options, SimulationError from the generator; no output
    then.
    """
    _check(cards, events=events, seed=seed, workers=workers)
    start = time.perf_counter()
    sections = [cross_section(card) for card in cards]
    tasks = _plan(cards, sections, events=events, seed=seed, particles=particles)
    seconds = np.zeros((len(cards), 2))
    with create_root(output) as out:
        columns = event_columns(particles=particles)
        with out.new_tree("Events", columns) as tree, closing(_make_all(tasks, workers)) as made:
            for task, block in zip(tasks, made, strict=True):
                seconds[cards.index(task.card)] += block.generator_seconds, block.reconstruction_seconds
                tree.extend(block.columns.arrays)
                if progress is not None:
                    progress(task.card.name, task.events)
        _write_books(out, tasks)
        out.write_string(PROCESS_TABLE, _process_table(cards, sections, events=events, seed=seed))
    reports = tuple(
        ProcessReport(card, events, section, *map(float, spent))
        for card, section, spent in zip(cards, sections, seconds, strict=True)
    )
    return SampleReport(Path(output), seed, reports, events * len(cards), time.perf_counter() - start)


def _check(cards: Sequence[Card], *, events: int, seed: int, workers: int) -> None:
    names = [card.name for card in cards]
    if not cards:
        raise UsageError("no card to simulate")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"cards of the same name: {', '.join(twice)}; each process can be in a file once")
    if not 1 <= events < EVENTS_OF_STREAM:
        raise UsageError(f"events must lie between 1 and {EVENTS_OF_STREAM - 1}, not {events}")
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if seed < 0:
        raise UsageError(f"seed must not be negative, it is {seed}")


def _plan(
    cards: Sequence[Card], sections: Sequence[CrossSection], *, events: int, seed: int, particles: bool
) -> list[BlockTask]:
    """All blocks in the order of the file; the last one of a process may be shorter."""
    starts = [
        (card, section.value_pb / events, block, first)
        for card, section in zip(cards, sections, strict=True)
        for block, first in enumerate(range(0, events, BLOCK_EVENTS))
    ]
    return [
        BlockTask(card, number, block, first, min(BLOCK_EVENTS, events - first), seed, weight, particles)
        for number, (card, weight, block, first) in enumerate(starts, start=1)
    ]


def _make_all(tasks: Sequence[BlockTask], workers: int) -> Generator[MadeBlock, None, None]:
    """The blocks in the order of the tasks; at most two more than there are workers are under way or waiting."""
    if workers == 1:
        yield from map(make_block, tasks)
        return
    waiting = iter(tasks)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        under_way: deque[Future[MadeBlock]] = deque()
        try:
            under_way.extend(pool.submit(make_block, task) for task in islice(waiting, workers + 2))
            while under_way:
                made = under_way.popleft().result()
                under_way.extend(pool.submit(make_block, task) for task in islice(waiting, 1))
                yield made
        except BrokenProcessPool as error:
            raise SimulationError("a worker was killed, perhaps for its memory: try fewer workers") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _write_books(out: NewFile, tasks: Sequence[BlockTask]) -> None:
    """Runs with the sums of weights, as stored in float32, and LuminosityBlocks with a row per block."""
    counts = np.array([task.events for task in tasks], dtype=np.int64)
    weights = np.array([task.weight for task in tasks], dtype=np.float32).astype(np.float64)
    with out.new_tree("Runs", RUN_COLUMNS) as tree:
        tree.extend(
            {
                "run": np.array([RUN], dtype=np.uint32),
                "genEventCount": np.array([counts.sum()]),
                "genEventSumw": np.array([(counts * weights).sum()]),
                "genEventSumw2": np.array([(counts * weights**2).sum()]),
            }
        )
    with out.new_tree("LuminosityBlocks", BLOCK_COLUMNS) as tree:
        numbers = np.array([task.luminosity_block for task in tasks], dtype=np.uint32)
        tree.extend({"run": np.full(len(tasks), RUN, dtype=np.uint32), "luminosityBlock": numbers})


def _process_table(cards: Sequence[Card], sections: Sequence[CrossSection], *, events: int, seed: int) -> str:
    """What the file holds, as JSON: enough to name the labels and to make the sample again from the same cards."""
    processes = [
        {
            **card.model_dump(mode="json"),
            "events": events,
            "cross_section_pb": section.value_pb,
            "cross_section_error_pb": section.error_pb,
        }
        for card, section in zip(cards, sections, strict=True)
    ]
    return json.dumps({"seed": seed, "block_events": BLOCK_EVENTS, "processes": processes}, indent=1)
