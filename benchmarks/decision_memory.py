"""What the main process holds of each event that passes the cuts, until all of them are decided about.

    python benchmarks/decision_memory.py [--events 20000000] [--case cuts|threshold|keep|menu]

makes what workers would send (units of 20,000 entries, every event chosen), joins it, decides, makes the books, and
prints the largest memory above that of the program itself, and bytes an event. No file is opened.
"""

import argparse
import resource
import time
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
from scale import UNIT, Stub, make_head, make_unit, sources

from hepfilter.events.identity import Identity
from hepfilter.io.sources import Source
from hepfilter.skim.books import make_books
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import decide_events, menu_conditions, split_verdict
from hepfilter.skim.findings import FileHead, Flow, UnitRead
from hepfilter.skim.first_pass import FirstPass
from hepfilter.skim.gathering import Gathering
from hepfilter.skim.joining import join
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.survey import Surveyor
from hepfilter.trigger.lock import read_trigger
from hepfilter.work.tasks import Done

SCORES: Final = ("interest", "rarity", "scarcity", "contrast", "pvalue", "combined")
"""What the model that ships says of each event."""
UNITS: Final = 50  # a file: a million events


def make_recipe(case: str) -> Recipe:
    """Cuts alone, a threshold or a share by the network, or the menu that ships."""
    if case == "keep":
        return Recipe(keep=Fraction(1, 100))
    if case == "threshold":
        return Recipe(threshold=0.99)
    return Recipe(where="nMuon > 1") if case == "cuts" else Recipe(trigger=read_trigger("discovery"))


class Everything(Stub):
    """An executor whose units hold every event, as far as the recipe asks for them."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(UNITS)
        self._scored = recipe.needs_scores
        self._asked = {} if recipe.trigger is None else menu_conditions(recipe.trigger.menu)
        self._rng = np.random.default_rng(1)

    def wait(self) -> list[Done]:
        """The first task's result."""
        task = self._tasks.popleft()
        if len(task.arguments) == 2:  # (source, number of units to begin with)
            source, count = task.arguments
            head = self._head(source)
            return [Done(task, (head, [self._unit(source, *unit) for unit in head.units[:count]]))]
        source, _, units = task.arguments
        return [Done(task, [self._unit(source, *unit) for unit in units])]

    def _head(self, source: Source) -> FileHead:
        facts = {"model": "m", "scores": SCORES} if self._scored else None
        return replace(make_head(source, UNITS), identified=self._scored, asked=tuple(self._asked), score_facts=facts)

    def _unit(self, source: Source, start: int, stop: int) -> UnitRead:
        count, file = stop - start, int(source.path.rpartition("/")[2].removesuffix(".root"), 16)
        event = file * UNITS * UNIT + np.arange(start, stop, dtype=np.uint64)
        who = Identity(np.ones(count, np.uint32), (event // 1000).astype(np.uint32), event)
        return replace(
            make_unit(start, stop),
            chosen=np.arange(start, stop),
            weights=np.ones(count),
            scores={name: self._rng.random(count, np.float32) for name in SCORES} if self._scored else None,
            conditions={name: self._rng.random(count) < 0.1 for name in self._asked},
            identity=who if self._scored else None,
            flow=Flow({"read": count, "where": count}, {"read": float(count), "where": float(count)}),
        )


def largest() -> int:
    """The largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--case", choices=("cuts", "threshold", "keep", "menu"), default="keep")
    given = parser.parse_args()
    recipe, found = make_recipe(given.case), list(sources(given.events // (UNITS * UNIT)))
    cuts, before, begun = Cuts(recipe), largest(), time.process_time()
    gathering = Gathering(found, lambda _: None, ledger=None, on_bad_file="stop", progress=lambda *_: None)
    gathering.run(Everything(recipe))
    files = tuple(join(gathering.heads[number], gathering.units(number), cuts) for number in range(len(found)))
    count = sum(len(file.chosen) for file in files)
    held = largest() - before
    read = FirstPass(recipe, files, tuple(range(len(files))), {}, Surveyor(recipe, cuts), cuts, None)
    verdict = decide_events(files, recipe, {})
    report = make_books(split_verdict(files, verdict), verdict, read)
    over = largest() - before
    print(f"{given.case}: {count:,} events that passed the cuts, {report.passed:,} kept")
    print(f"when all are read: {held / count:.0f} bytes an event; while they are decided: {over / count:.0f}")
    print(f"{(time.process_time() - begun) / count * 1e6:.2f} s of CPU time a million events")


if __name__ == "__main__":
    main()
