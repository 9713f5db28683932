"""Which blocks a sample needs: enough of each process for the events that are asked for, filtered or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hepfilter.config.card import Card
from hepfilter.config.sample import Production
from hepfilter.errors import HepfilterError, SimulationError
from hepfilter.simulation.blocks import BLOCK_EVENTS, BlockTask, make_block
from hepfilter.simulation.flat import Floats, Ints
from hepfilter.simulation.pythia import CrossSection, cross_section
from hepfilter.simulation.store import BlockStore
from hepfilter.work.tasks import Executor, Job, Task, run_tasks

HOPELESS_EVENTS = 50_000

Progress = Callable[[str, int], None]


def adding_up(report: Callable[[str, int, int], None], *, total: int) -> Progress:
    """A `Progress` that is told (process, events) and calls `report` with (stage, events so far, `total`)."""
    done = 0
    report("simulating", done, total)

    def moved(_: str, events: int) -> None:
        nonlocal done
        done += events
        report("simulating", done, total)

    return moved


@dataclass(frozen=True)
class BlockTally:
    """What was generated for a block: the `weights` of all events, and the `place` among them of those that passed."""

    task: BlockTask
    place: Ints
    weights: Floats


@dataclass
class ProcessPlan:
    """The blocks of one process: they are taken in order until enough events are kept, whoever makes them when.

    Without filters the blocks are known beforehand and the last one is as short as it may be; with filters all are
    whole, and more are begun as the share of events that pass becomes known.
    """

    production: Production
    seed: int
    particles: bool
    pileup: float
    tasks: list[BlockTask] = field(default_factory=list)
    finished: dict[int, BlockTally] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Events that passed so far."""
        return sum(len(made.place) for made in self.finished.values())

    @property
    def needs_more(self) -> bool:
        """Whether, as far as is known, the blocks begun so far will not do."""
        generated = sum(len(made.weights) for made in self.finished.values())
        share = self.kept / generated if generated else 1.0
        under_way = sum(task.events for task in self.tasks if task.block not in self.finished)
        return self.kept + share * under_way < self.production.events

    def begin(self) -> BlockTask:
        """The next block."""
        card, block = self.production.card, len(self.tasks)
        rest = self.production.events - block * BLOCK_EVENTS
        events = BLOCK_EVENTS if card.filtered else min(BLOCK_EVENTS, rest)
        task = BlockTask(card, self.seed, block, events, self.particles, self.pileup)
        self.tasks.append(task)
        return task

    def finish(self, made: BlockTally) -> None:
        """Take note of a block; SimulationError if the first ones, whoever made them, leave no hope for any event."""
        self.finished[made.task.block] = made
        generated = 0
        for block in range(len(self.tasks)):
            if block not in self.finished or len(self.finished[block].place):
                return
            generated += len(self.finished[block].weights)
            if generated >= HOPELESS_EVENTS:
                raise SimulationError(
                    f"card {self.production.card.name}: none of the first {generated} events passes the filters; "
                    "loosen them, or generate harder events"
                )


def generation(store: BlockStore) -> Job:
    """The job of those who make the blocks of a sample."""
    return Job(BlockStore, (store.folder,))


def find_cross_sections(plans: Sequence[ProcessPlan], executor: Executor) -> list[CrossSection]:
    """The cross-section of each process; `executor` is one for `generation`."""
    sections: dict[str, CrossSection] = {}

    def finished(task: Task, section: CrossSection) -> list[Task]:
        (card,) = task.arguments
        sections[card.name] = section
        return []

    cards = [plan.production.card for plan in plans]
    run_tasks(executor, [Task(_cross_section, (card,)) for card in cards], finished=finished, failed=_give_up)
    return [sections[card.name] for card in cards]


def make_all(plans: Sequence[ProcessPlan], executor: Executor, *, progress: Progress | None = None) -> None:
    """Make the blocks of all processes and leave them in the store; those that lie there already are not made again.

    `executor` is one for `generation`. `progress` is called with (process, events kept) after each block, in whatever
    order they are finished.
    """
    by_name = {plan.production.card.name: plan for plan in plans}

    def begin() -> list[Task]:
        """As many blocks as there are slots, of the first processes that need more."""
        under_way = sum(len(plan.tasks) - len(plan.finished) for plan in plans)
        begun: list[Task] = []
        for plan in plans:
            while under_way + len(begun) < executor.slots and plan.needs_more:
                begun.append(Task(_stored_block, (plan.begin(),)))
        return begun

    def finished(task: Task, made: BlockTally) -> list[Task]:
        plan = by_name[made.task.card.name]
        before = min(plan.kept, plan.production.events)
        plan.finish(made)
        if progress is not None:
            progress(plan.production.card.name, min(plan.kept, plan.production.events) - before)
        return begin()

    run_tasks(executor, begin(), finished=finished, failed=_give_up)


def _give_up(task: Task, error: HepfilterError) -> list[Task]:
    raise error


def _cross_section(store: BlockStore, card: Card) -> CrossSection:
    return cross_section(card)


def _stored_block(store: BlockStore, task: BlockTask) -> BlockTally:
    """Make a block, unless it lies in the store, and say what was generated."""
    if task in store:
        made = store.load(task)
    else:
        made = make_block(task)
        store.save(task, made)
    return BlockTally(task, made.place, made.weights)
