"""What a plan of many files costs: the ledger, going on from it, and the bookkeeping of each unit. No file is opened.

    python benchmarks/scale.py [--files 100000] [--units 5]

prints seconds and memory for entering the heads of all files into a ledger and for taking them up again, then the
milliseconds that a unit costs beside its reading: submitted, taken in, written as a part, entered.
"""

import argparse
import resource
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hepfilter.io.checksum import FileFacts
from hepfilter.io.shapes import TableShape
from hepfilter.io.sources import Source
from hepfilter.skim.findings import FileHead, Flow, UnitRead
from hepfilter.skim.gathering import Gathering
from hepfilter.skim.packing import pack_head
from hepfilter.work.ledger import open_ledger
from hepfilter.work.tasks import Done, Task

UNIT = 20_000
CLASSES = frozenset((f"Class{number}", 1) for number in range(40))


def make_head(source: Source, units: int) -> FileHead:
    """The head of a file like NanoAOD."""
    return FileHead(
        source=source,
        facts=FileFacts("00000000-1111-2222-3333-444444444444", 10**9, "0" * 32),
        stamp=None,
        made_from=(),
        tree="Events",
        schema="nanoaod",
        schema_checksum="0" * 32,
        num_entries=units * UNIT,
        units=tuple((number * UNIT, (number + 1) * UNIT) for number in range(units)),
        steps=("read", "where"),
        identity_branches=("run", "luminosityBlock", "event"),
        weighted=True,
        identified=True,
        asked=(),
        stated=np.arange(100, dtype=np.uint64),
        rows={},
        others={"Runs": 1, "LuminosityBlocks": 100},
        shapes={"Events": TableShape("0" * 32, {7 * leaf: 12.0 for leaf in range(25)})},
        classes=CLASSES,
        histograms=(),
        entry_bytes=(5000.0, 2000.0),
        head_bytes=200_000,
        head_problems=None,
        absent=(),
        warnings=(),
        score_facts=None,
    )


def make_unit(start: int, stop: int) -> UnitRead:
    """A unit of which one event in a hundred passed."""
    chosen = np.arange(start, stop, 100)
    weights = np.ones(len(chosen))
    flow = Flow({"read": stop - start, "where": len(chosen)}, {"read": 1.0 * (stop - start), "where": weights.sum()})
    empty = np.empty(0, np.int64)
    return UnitRead(
        start, stop, chosen, weights, None, {}, None, empty.astype(np.uint64), empty, flow, {}, 0, 0, None
    )  # fmt: skip


class Stub:
    """An executor that has opened and read everything already."""

    slots = 3

    def __init__(self, units: int) -> None:
        self._units = units
        self._tasks: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Remember the task."""
        self._tasks.append(task)

    def wait(self) -> list[Done]:
        """The first task's result."""
        task = self._tasks.popleft()
        if len(task.arguments) == 2:  # (source, number of units to begin with)
            source, count = task.arguments
            head = make_head(source, self._units)
            return [Done(task, (head, [make_unit(*unit) for unit in head.units[:count]]))]
        return [Done(task, [make_unit(*unit) for unit in task.arguments[2]])]


def sources(files: int) -> Iterator[Source]:
    """Addresses as a site gives them."""
    for number in range(files):
        yield Source(f"root://xrootd.example.org//store/data/Run2024C/NANOAOD/0000/{number:032x}.root")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--units", type=int, default=5, help="units of 20,000 entries a file")
    parser.add_argument("--read", type=int, default=2000, help="files whose units are taken in too")
    given = parser.parse_args()
    found = list(sources(given.files))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.root"
        print(f"{given.files:,} files, {given.files * given.units * UNIT:,} events")
        begun = time.perf_counter()
        with open_ledger(output, {}, [source.path for source in found], anew=False) as ledger:
            for number, source in enumerate(found):
                head = make_head(source, given.units)
                ledger.plan(number, pack_head(head), head.units)
        print(f"planned and entered: {time.perf_counter() - begun:.1f} s")
        begun = time.perf_counter()
        with open_ledger(output, {}, [source.path for source in found], anew=False) as ledger:
            Gathering(found, lambda _: None, ledger=ledger, on_bad_file="stop", progress=lambda *_: None)
        print(f"taken up again: {time.perf_counter() - begun:.1f} s")
        print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    read = found[: given.read]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.root"
        begun = time.perf_counter()
        with open_ledger(output, {}, [source.path for source in read], anew=False) as ledger:
            gathering = Gathering(read, lambda _: None, ledger=ledger, on_bad_file="stop", progress=lambda *_: None)
            gathering.run(Stub(given.units))
        each = (time.perf_counter() - begun) / (len(read) * given.units)
        print(f"each of {len(read) * given.units:,} units: {each * 1000:.2f} ms")


if __name__ == "__main__":
    main()
