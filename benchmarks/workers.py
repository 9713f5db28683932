"""What a second worker brings: whole skims by one worker and by two, and by two of Dask, start-up apart.

    python benchmarks/workers.py SMALL.root LARGE.root… [--runs 3] [--dask] [--only cuts|model]

Each skim is timed as a whole process, with SMALL alone and with LARGE alone, in turns; the difference of the medians is
what the events that LARGE has more take: start-up is in both. One worker has one core, and so one thread of torch, as
each of several has. Prints seconds, events/s and ratios; the machine must be quiet.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hepfilter.io.events import find_tree
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source

HEPFILTER = [sys.executable, "-m", "hepfilter"]
KINDS = {"cuts": ["--where", "event % 100 < 5"], "model": ["--keep", "1%"]}


@contextmanager
def dask(folder: Path) -> Iterator[str]:
    """A scheduler with two workers of one thread each; its address."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        started = [subprocess.Popen([*command, "--port", "0", "--no-dashboard", "--scheduler-file", file], **quiet)]
        stack.callback(lambda: [process.kill() for process in started])
        while not file.exists():
            time.sleep(0.1)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
        worker += ["--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--local-directory", str(folder)]
        started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        yield str(json.loads(file.read_text())["address"])


def seconds(inputs: list[str], options: list[str], folder: Path, cores: set[int]) -> float:
    """One skim as a process, on these cores: what works in the calling process would use threads on all there are."""
    output = folder / "out.root"
    begun = time.perf_counter()
    command = [*HEPFILTER, "skim", *inputs, "-o", str(output), "--force", "--layout", "intersection"]
    subprocess.run(
        [*command, *options], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )  # fmt: skip
    taken = time.perf_counter() - begun
    output.unlink()
    shutil.rmtree(f"{output}.ledger", ignore_errors=True)
    return taken


def entries(paths: list[str]) -> int:
    """Events of files."""
    total = 0
    for path in paths:
        with open_file(Source(path)) as file:
            total += find_tree(file).tree.num_entries
    return total


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small")
    parser.add_argument("large", nargs="+")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dask", action="store_true", help="two Dask workers too")
    parser.add_argument("--only", choices=KINDS)
    given = parser.parse_args()
    more = entries(given.large) - entries([given.small])
    every = os.sched_getaffinity(0)
    print(f"{more:,} events more")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ways = {"one worker": ["--workers", "1"], "two workers": ["--workers", "2"]}
        if given.dask:
            ways["two of Dask"] = ["--scheduler", stack.enter_context(dask(folder))]
        for kind, options in KINDS.items():
            if given.only not in (None, kind):
                continue
            taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ways}
            for _ in range(given.runs):
                for name, way in ways.items():
                    for inputs, times in zip(([given.small], given.large), taken[name], strict=True):
                        cores = {min(every)} if name == "one worker" else every
                        times.append(seconds(inputs, [*options, *way], folder, cores))
            report(kind, taken, more)


def report(kind: str, taken: dict[str, tuple[list[float], list[float]]], more: int) -> None:
    """The table of one kind of skim."""
    steady = {name: statistics.median(large) - statistics.median(small) for name, (small, large) in taken.items()}
    for name, (small, large) in taken.items():
        ratio = steady["one worker"] / steady[name]
        whole = f"{statistics.median(small):.2f} s and {statistics.median(large):.2f} s"
        print(f"{kind}: {name}: {whole}; {more / steady[name]:,.0f} events/s, {ratio:.2f} × one worker")


if __name__ == "__main__":
    main()
