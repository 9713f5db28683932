"""Which blocks are made."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.card import Card
from hepfilter.config.sample import Production
from hepfilter.errors import SimulationError, WorkerError
from hepfilter.simulation import scheduling
from hepfilter.simulation.blocks import BLOCK_EVENTS, BlockTask, MadeBlock
from hepfilter.simulation.nano import NanoBlock
from hepfilter.simulation.scheduling import BlockTally, ProcessPlan, generation, make_all
from hepfilter.simulation.store import BlockStore
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.processes import InProcess
from hepfilter.work.tasks import Done, Job, Task

FILTER = ({"pdg_id": [23], "pt_min": 30},)


def _plan(events: int, *, name: str = "own", filtered: bool = False) -> ProcessPlan:
    card = Card.model_validate(
        {
            "name": name,
            "title": "own",
            "family": "own",
            "is_signal": False,
            "label": 5,
            "settings": ("WeakSingleBoson:ffbar2gmZ = on",),
            "generator_filter": FILTER if filtered else (),
        }
    )
    return ProcessPlan(Production(card, events), seed=1, particles=False, pileup=0.0)


def _run(plan: ProcessPlan, kept: list[int], *, slots: int, order: np.random.Generator) -> int:
    """Follow a plan with up to `slots` blocks at once that end in any order; the largest number begun at a time."""
    waiting: list[BlockTask] = []
    busiest = 0
    while True:
        while len(waiting) < slots and plan.needs_more:
            waiting.append(plan.begin())
        if not waiting:
            return busiest
        busiest = max(busiest, len(waiting))
        task = waiting.pop(int(order.integers(len(waiting))))
        plan.finish(_generated(task, kept[task.block] if plan.production.card.filtered else task.events))


def _generated(task: BlockTask, kept: int) -> BlockTally:
    """A block of which the first `kept` events pass."""
    return BlockTally(task, np.arange(kept), np.ones(task.events))


@given(events=st.integers(1, 4000), slots=st.integers(1, 6), seed=st.integers(0, 99))
def test_without_filters_blocks_are_whole_but_for_the_last(events: int, slots: int, seed: int) -> None:
    plan = _plan(events)
    _run(plan, [], slots=slots, order=np.random.default_rng(seed))
    sizes = [task.events for task in plan.tasks]
    assert sum(sizes) == events == plan.kept
    assert all(size == BLOCK_EVENTS for size in sizes[:-1])
    assert [task.block for task in plan.tasks] == list(range(len(sizes)))


@given(
    events=st.integers(1, 900),
    kept=st.lists(st.integers(0, BLOCK_EVENTS), min_size=1, max_size=6),
    slots=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_with_filters_whole_blocks_are_begun_until_enough_is_kept(
    events: int, kept: list[int], slots: int, seed: int
) -> None:
    kept = [*kept, *[BLOCK_EVENTS] * 10]
    plan = _plan(events, filtered=True)
    busiest = _run(plan, kept, slots=slots, order=np.random.default_rng(seed))
    assert all(task.events == BLOCK_EVENTS for task in plan.tasks)
    assert [task.block for task in plan.tasks] == list(range(len(plan.tasks))) == sorted(plan.finished)
    assert plan.kept >= events
    assert busiest <= slots
    # One at a time, not one block too many is made.
    needed = int(np.searchsorted(np.cumsum(kept), events)) + 1
    assert len(plan.tasks) >= needed
    if slots == 1:
        assert len(plan.tasks) == needed


def test_the_share_that_passes_decides_how_many_are_begun() -> None:
    plan = _plan(1000, filtered=True)
    first = plan.begin()
    assert plan.needs_more  # while nothing is known, all may pass
    plan.begin()
    assert not plan.needs_more
    plan.finish(_generated(first, 50))  # one in ten
    begun = 0
    while plan.needs_more:
        plan.begin()
        begun += 1
    assert 50 + (1 + begun) * 50 == 1000


def test_a_filter_that_nothing_passes_is_given_up() -> None:
    plan = _plan(10, filtered=True)
    with pytest.raises(SimulationError, match=r"^card own: none of the first 50000 events passes the filters; loosen"):
        _run(plan, [0] * 200, slots=1, order=np.random.default_rng(0))
    assert len(plan.tasks) == 100
    lucky = _plan(10, filtered=True)
    _run(lucky, [0] * 98 + [1] + [0] * 20 + [9], slots=1, order=np.random.default_rng(0))
    assert lucky.kept == 10


def test_whether_there_is_hope_depends_on_the_first_blocks_not_on_who_is_fast() -> None:
    plan = _plan(10, filtered=True)
    tasks = [plan.begin() for _ in range(101)]
    for task in tasks[1:]:  # 50,000 events without one that passes, but the first block is still under way
        plan.finish(_generated(task, 0))
    plan.finish(_generated(tasks[0], 10))
    assert plan.kept == 10


def _quick_block(task: BlockTask) -> MadeBlock:
    """A block without Pythia; of a filtered process fewer pass in each block."""
    events = max(20, 200 - 60 * task.block) if task.card.filtered else task.events
    return MadeBlock(NanoBlock(events, {}, {}, {}), np.arange(events), np.ones(task.events), 0.0, 0.0)


def _in_process(folder: Path) -> InProcess:
    return InProcess(generation(BlockStore(folder)))


def test_progress_ends_at_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "make_block", _quick_block)
    told: list[tuple[str, int]] = []
    plans = [_plan(1100, name="plain"), _plan(350, name="cut", filtered=True)]
    make_all(plans, _in_process(tmp_path), progress=lambda name, n: told.append((name, n)))
    assert told == [("plain", 500), ("plain", 500), ("plain", 100), ("cut", 200), ("cut", 140), ("cut", 10)]


def test_blocks_in_the_store_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(task: BlockTask) -> MadeBlock:
        made.append(task.block)
        return _quick_block(task)

    monkeypatch.setattr(scheduling, "make_block", counted)
    store = BlockStore(tmp_path)
    make_all([_plan(1000)], _in_process(tmp_path))
    assert made == [0, 1]
    make_all([_plan(1000)], _in_process(tmp_path))
    assert made == [0, 1]
    store.path(_plan(1000).begin()).unlink()
    make_all([_plan(1600)], _in_process(tmp_path))  # more events: what lies there is their beginning
    assert made == [0, 1, 0, 2, 3]


class _DeadlyStore(BlockStore):
    """Ends the process that asks whether it holds a block, as the kernel does where memory runs out."""

    def __contains__(self, task: Any) -> bool:
        os._exit(9)


def test_a_block_that_kills_its_workers_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(WorkerError, match=r"3 workers ended in the middle of it: for lack of memory .*, or by a crash"),
        open_executor(Execution(2), Job(_DeadlyStore, (tmp_path,))) as executor,
    ):
        make_all([_plan(400)], executor)


class _Reversed:
    """An executor that ends what was begun last, with as many slots as it is given; it runs it by `executor`."""

    def __init__(self, executor: InProcess, slots: int) -> None:
        self.slots, self._executor, self._begun, self.most = slots, executor, list[Task](), 0

    def submit(self, task: Task) -> None:
        self._begun.append(task)
        self.most = max(self.most, len(self._begun))

    def wait(self) -> list[Done]:
        self._executor.submit(self._begun.pop())
        return self._executor.wait()


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_all_slots_are_used_while_a_process_needs_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    monkeypatch.setattr(scheduling, "make_block", _quick_block)
    plans = [_plan(1600, name="plain"), _plan(900, name="cut", filtered=True)]
    executor = _Reversed(_in_process(tmp_path), slots)
    make_all(plans, executor)
    assert executor.most == slots
    assert plans[0].kept == 1600 and plans[1].kept >= 900


def test_a_plan_knows_the_weights_and_places_of_its_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def weighted(task: BlockTask) -> MadeBlock:
        place = np.arange(1, task.events, 2)
        return MadeBlock(NanoBlock(len(place), {}, {}, {}), place, np.arange(task.events) + 0.5, 0.0, 0.0)

    monkeypatch.setattr(scheduling, "make_block", weighted)
    first, again = _plan(300, filtered=True), _plan(300, filtered=True)
    make_all([first], _in_process(tmp_path))
    monkeypatch.setattr(scheduling, "make_block", None)  # the second time all comes from the store
    make_all([again], _in_process(tmp_path))
    for plan in (first, again):
        assert (plan.kept, sorted(plan.finished)) == (500, [0, 1])
        for block, made in plan.finished.items():
            assert made.task == plan.tasks[block]
            assert np.array_equal(made.place, np.arange(1, 500, 2))
            assert np.array_equal(made.weights, np.arange(500) + 0.5)


def test_there_is_no_hope_once_the_first_blocks_are_known_in_whatever_order() -> None:
    plan = _plan(10, filtered=True)
    tasks = [plan.begin() for _ in range(101)]
    plan.finish(_generated(tasks[100], 5))  # a later event does not help: alone, no worker would have come so far
    for task in tasks[1:100]:
        plan.finish(_generated(task, 0))
    with pytest.raises(SimulationError, match="none of the first 50000 events passes the filters"):
        plan.finish(_generated(tasks[0], 0))
