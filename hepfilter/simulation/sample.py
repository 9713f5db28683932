"""Samples: cards and a seed become a ROOT file, in blocks that any number of workers may make."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hepfilter.config.card import Card
from hepfilter.config.sample import MAXIMUM_PILEUP, Production
from hepfilter.errors import SimulationError, UsageError
from hepfilter.io.writing import ArrayTree, create_root
from hepfilter.shown import Shown
from hepfilter.simulation.blocks import BLOCK_EVENTS, EVENTS_OF_STREAM, BlockTask, identity
from hepfilter.simulation.books import Books, write_books
from hepfilter.simulation.filters import check_filters
from hepfilter.simulation.nano import event_columns
from hepfilter.simulation.pythia import CrossSection
from hepfilter.simulation.scheduling import (
    BlockTally,
    ProcessPlan,
    Progress,
    find_cross_sections,
    generation,
    make_all,
)
from hepfilter.simulation.store import BlockStore, open_store
from hepfilter.work.execution import Execution, open_executor

PROCESS_TABLE = "HepFilterTruth_processes"


@dataclass(frozen=True)
class ProcessReport:
    """One process of a sample: of `generated` events those in the `books` passed the filters and are in the file.

    `cross_section` is that before the filters, of which the share `efficiency` passes. The seconds are those of one
    core, summed over the blocks.
    """

    card: Card
    generated: int
    efficiency: float
    cross_section: CrossSection
    books: Books
    generator_seconds: float
    reconstruction_seconds: float

    @property
    def events(self) -> int:
        """Events of the process in the file."""
        return self.books.events


@dataclass(frozen=True)
class SampleReport(Shown):
    """What `simulate` made: the file, its processes in order, the events of all; wall-clock seconds of all, and of the
    writing."""

    output: Path
    seed: int
    processes: tuple[ProcessReport, ...]
    events: int
    seconds: float
    writing_seconds: float


def simulate(
    productions: Sequence[Production],
    *,
    seed: int,
    output: Path | str,
    workers: int = 1,
    particles: bool = False,
    pileup: float = 0.0,
    progress: Progress | None = None,
) -> SampleReport:
    """Make the events of each process and write them, one process after the other, to `output`, in NanoAOD's layout.

    Every block of 500 generated events has a generator and seeds of its own, derived from (process, `seed`, block): the
    content depends on productions, `seed`, `particles` and `pileup`, not on `workers`. Blocks wait in ``output.blocks``
    until the file is written: after a crash the same call goes on from there. The weights of a process are those of the
    generator, scaled so that they sum to its cross-section in pb (`pythia.cross_section`) times the efficiency of its
    filters: slices add up as they are. `particles` writes the particle-flow candidates too,
    `pileup` is the mean number of further collisions. `progress` is called with (process, events) after each block. The
    processes are listed as JSON under "HepFilterTruth_processes". UsageError for impossible options, SimulationError
    from the generator, OutputError from the disk; no output then.
    """
    _check(productions, seed=seed, pileup=pileup)
    execution = Execution(workers)
    for production in productions:
        check_filters(production.card, particles=particles)
    start = time.perf_counter()
    output = Path(output)
    plans = [ProcessPlan(production, seed, particles, pileup) for production in productions]
    with open_store(output) as store:
        store.refuse_others([BlockTask(p.card, seed, 0, 0, particles, pileup) for p in productions])
        with open_executor(execution, generation(store)) as executor:
            sections = find_cross_sections(plans, executor)
            make_all(plans, executor, progress=progress)
        writing = time.perf_counter()
        with create_root(output) as out:
            with out.new_tree("Events", event_columns(particles=particles)) as tree:
                reports: list[ProcessReport] = []
                for plan, section in zip(plans, sections, strict=True):
                    before = sum(report.books.luminosity_blocks for report in reports)
                    reports.append(_write_process(tree, plan, section, store, first_block=before + 1))
            write_books(out, _total(reports))
            out.write_string(PROCESS_TABLE, _process_table(reports, seed=seed, particles=particles, pileup=pileup))
    end = time.perf_counter()
    return SampleReport(
        output, seed, tuple(reports), sum(report.events for report in reports), end - start, end - writing
    )


def _check(productions: Sequence[Production], *, seed: int, pileup: float) -> None:
    names = [production.card.name for production in productions]
    if not names:
        raise UsageError("no card to simulate")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"cards of the same name: {', '.join(twice)}; each process can be in a file once")
    for production in productions:
        if not 1 <= production.events < EVENTS_OF_STREAM:
            raise UsageError(f"events must lie between 1 and {EVENTS_OF_STREAM - 1}, not {production.events}")
    if not 0.0 <= pileup <= MAXIMUM_PILEUP:
        raise UsageError(f"pileup must lie between 0 and {MAXIMUM_PILEUP:g}, not {pileup:g}")
    if seed < 0:
        raise UsageError(f"seed must not be negative, it is {seed}")


def _write_process(
    tree: ArrayTree, plan: ProcessPlan, section: CrossSection, store: BlockStore, *, first_block: int
) -> ProcessReport:
    """Write the first `wanted` events of a process, block after block."""
    card, wanted = plan.production.card, plan.production.events
    generated = _generated(plan)
    kept_sum = sum(float(used.weights[used.place].sum()) for used in generated)
    efficiency = _efficiency(generated) if card.filtered else 1.0
    scale = section.value_pb * efficiency / kept_sum
    events, sums, seconds = 0, np.zeros(2), np.zeros(2)
    for number, used in enumerate(generated):
        block = store.load(used.task)
        columns = block.columns.select(np.arange(block.columns.events) < wanted - events)
        place = used.place + number * BLOCK_EVENTS
        weights = (scale * used.weights[used.place]).astype(np.float32)
        who = identity(card, seed=plan.seed, luminosity_block=first_block + number, place=place)
        tree.extend(columns.with_scalars({"genWeight": weights, **who}).arrays)
        events += columns.events
        sums += weights.astype(np.float64).sum(), (weights.astype(np.float64) ** 2).sum()
        seconds += block.generator_seconds, block.reconstruction_seconds
    return ProcessReport(
        card=card,
        generated=sum(len(used.weights) for used in generated),
        efficiency=efficiency,
        cross_section=section,
        books=Books(events, float(sums[0]), float(sums[1]), len(generated)),
        generator_seconds=float(seconds[0]),
        reconstruction_seconds=float(seconds[1]),
    )


def _generated(plan: ProcessPlan) -> list[BlockTally]:
    """The blocks that are needed, in order; of the last one only what was generated until the last wanted event."""
    used: list[BlockTally] = []
    missing = plan.production.events
    for block in range(len(plan.tasks)):
        made = plan.finished[block]
        if len(made.place) >= missing and plan.production.card.filtered:
            end = int(made.place[missing - 1]) + 1
            used.append(replace(made, place=made.place[:missing], weights=made.weights[:end]))
        else:
            used.append(made)
        missing -= len(used[-1].place)
        if missing <= 0:
            break
    if not sum(float(made.weights[made.place].sum()) for made in used) > 0.0:
        raise SimulationError(f"card {plan.production.card.name}: the weights of its events sum to nothing")
    return used


def _efficiency(generated: Sequence[BlockTally]) -> float:
    """The share of the weights that passes the filters.

    The last event is left out of both sums: it passes because the count ends with it, which would bias the share (J. B.
    S. Haldane, Biometrika 33 (1945) 222). With one event alone there is nothing else to go by.
    """
    passed = sum(float(made.weights[made.place].sum()) for made in generated)
    everything = sum(float(made.weights.sum()) for made in generated)
    last = float(generated[-1].weights[-1])
    return (passed - last) / (everything - last) if passed > last else passed / everything


def _total(reports: Sequence[ProcessReport]) -> Books:
    """The books of all processes together."""
    books = [report.books for report in reports]
    return Books(
        sum(b.events for b in books),
        sum(b.weight_sum for b in books),
        sum(b.weight_square_sum for b in books),
        sum(b.luminosity_blocks for b in books),
    )


def _process_table(reports: Sequence[ProcessReport], *, seed: int, particles: bool, pileup: float) -> str:
    """What the file holds, as JSON: enough to name the labels and to make the sample again from the same cards."""
    processes = [
        {
            **report.card.model_dump(mode="json"),
            "events": report.events,
            "generated": report.generated,
            "filter_efficiency": report.efficiency,
            "generator_cross_section_pb": report.cross_section.value_pb,
            "generator_cross_section_error_pb": report.cross_section.error_pb,
        }
        for report in reports
    ]
    conditions = {"seed": seed, "block_events": BLOCK_EVENTS, "particles": particles, "pileup": pileup}
    return json.dumps({**conditions, "processes": processes}, indent=1)
