"""How long the command line takes to answer: help, completion, a look into a small file; beside Python alone.

    python benchmarks/start_up.py

Medians of several runs of each, in turns, so that other work on the machine meets all alike; the seconds of the
processor hardly depend on it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PROGRAM = "import sys; sys.argv[0] = 'hepfilter'; from hepfilter.__main__ import main; main()"


def commands(source: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """By name what is run, and what the environment has more."""
    hepfilter = [sys.executable, "-c", PROGRAM]
    completion = {"COMP_WORDS": "hepfilter skim --model ", "COMP_CWORD": "3", "_HEPFILTER_COMPLETE": "complete_bash"}
    return {
        "python -c pass": ([sys.executable, "-c", "pass"], {}),
        "import hepfilter": ([sys.executable, "-c", "import hepfilter"], {}),
        "hepfilter --version": ([*hepfilter, "--version"], {}),
        "hepfilter --help": ([*hepfilter, "--help"], {}),
        "hepfilter skim --help": ([*hepfilter, "skim", "--help"], {}),
        "completion of --model": (hepfilter, completion),
        "hepfilter inspect": ([*hepfilter, "inspect", str(source)], {}),
    }


def processor_seconds() -> float:
    """Those of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(source: Path, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds, and seconds of the processor, of each run, by what was run; the first of each fills caches."""
    seconds: dict[str, list[tuple[float, float]]] = {}
    for _ in range(runs + 1):
        for name, (words, more) in commands(source).items():
            started, used = time.perf_counter(), processor_seconds()
            subprocess.run(words, env=os.environ | more, stdout=subprocess.DEVNULL, check=True)
            taken = time.perf_counter() - started, processor_seconds() - used
            seconds.setdefault(name, []).append(taken)
    return {name: taken[1:] for name, taken in seconds.items()}


def table(seconds: dict[str, list[tuple[float, float]]]) -> list[str]:
    lines = ["| command | median, s | fastest, s | processor, s |", "| --- | ---: | ---: | ---: |"]
    for name, all_ in seconds.items():
        wall, used = ([pair[number] for pair in all_] for number in (0, 1))
        lines.append(f"| {name} | {statistics.median(wall):.3f} | {min(wall):.3f} | {statistics.median(used):.3f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args(arguments)
    from tests.nano import make_nano

    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(table(measured(make_nano(Path(folder) / "small.root", 1000), options.runs))))


if __name__ == "__main__":
    main()
