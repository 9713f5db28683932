"""Kills a skim at chosen moments, and lets it go on: `python -m tests.skim.crashes FOLDER WORKERS FRACTION…`.

A moment is whatever reaches the disk: an fsync, a rename, a commit of the ledger, a cluster of the output. A fraction
names one of all moments of a run. Prints one JSON object a line: the moment, what it was, whether the run was over but
for its ledger (then the next is told that its output exists), and whether what stands there in the end is what an
undisturbed run makes. A process of its own, without threads, so that it can be forked.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hepfilter.errors import OutputError
from hepfilter.io.treewriter import TreeWriter
from hepfilter.skim import file_reading
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.work import ledger
from tests.skim.outputs import contents

RECIPE = Recipe(where="nMuon >= 1", compression="ZSTD:1")


class Moments:
    """Counts what reaches the disk, and kills the process at the one with number `fatal`."""

    def __init__(self, fatal: int = -1) -> None:
        self.fatal = fatal
        self.names: list[str] = []

    def pass_by(self, name: str) -> None:
        """One more."""
        if len(self.names) == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def watch(self, owner: Any, name: str) -> None:
        """Let each call of a function be a moment, before it and behind it."""
        inner: Callable[..., Any] = getattr(owner, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(f"before {name}")
            result = inner(*args, **kwargs)
            self.pass_by(f"after {name}")
            return result

        setattr(owner, name, outer)


def run(folder: Path, output: Path, workers: int, moments: Moments) -> None:
    """One run."""
    for owner, name in (
        (os, "fsync"), (Path, "rename"), (Path, "replace"), (Path, "unlink"),
        (ledger.Ledger, "commit"), (TreeWriter, "write_cluster"),
    ):  # fmt: skip
        moments.watch(owner, name)
    inputs = sorted(map(str, folder.glob("in*.root")))
    skim(inputs, output, RECIPE, workers=workers, list_events=output.with_suffix(".txt"))


def forked(folder: Path, output: Path, workers: int, fatal: int) -> int:
    """The run in a process of its own; the signal that ended it, 0 for none."""
    child = os.fork()
    if not child:
        try:
            run(folder, output, workers, Moments(fatal))
        except BaseException as error:  # noqa: BLE001  (told, whatever it is)
            expected = isinstance(error, OutputError) and "exists; give another name" in str(error)
            print("" if expected else repr(error), end="", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def main(folder: Path, workers: int, fractions: list[float]) -> None:
    """All moments."""
    file_reading.UNIT_ENTRIES = 400
    moments = Moments()
    run(folder, folder / "whole.root", 1, moments)
    whole = contents(folder / "whole.root")
    for place, fraction in enumerate(fractions):
        number = int(fraction * len(moments.names))
        output = folder / f"out{place}.root"
        killed = forked(folder, output, workers, number)
        finished = output.exists() and not (folder / f"{output.name}.ledger" / "ledger.sqlite").exists()
        ended = forked(folder, output, workers, -1)
        found = {
            "place": place,
            "moment": f"{number} of {len(moments.names)}",
            "what": moments.names[number],
            "killed": killed,
            "finished": finished,
            "ended": ended,
            "same": output.exists() and contents(output) == whole,
            "list": output.with_suffix(".txt").read_text() == (folder / "whole.txt").read_text(),
            "rest": sorted(path.name for path in folder.glob(f"*out{place}.*")),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [float(text) for text in sys.argv[3:]])
