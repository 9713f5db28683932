"""Whole-process time and memory of a skim, beside ROOT's RDataFrame Snapshot keeping the same share of the same file.

    python benchmarks/skim.py FILE.root --keep 1% --runs 5

The two run in turn, start-up included; the table gives medians, the ratio is that of the medians of one run of this
script. RDataFrame runs where ROOT is installed and cuts on `event % N == 0`, so that `event` must count the events.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

RDATAFRAME = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
source, output, every, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if threads > 1:
    ROOT.EnableImplicitMT(threads)
options = ROOT.RDF.RSnapshotOptions()
options.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.kZSTD
options.fCompressionLevel = 5
ROOT.RDataFrame("Events", source).Filter(f"event % {every} == 0").Snapshot("Events", output, "", options)
"""


def run(command: list[str]) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, peak memory in MB) of one process."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        errors = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors.decode()[-2000:]}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--keep", default="1%")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()

    import uproot

    with uproot.open({options.file: "Events"}) as tree:
        events, branches = tree.num_entries, len(tree.branches)
    text = options.keep
    share = Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    hepfilter = [
        str(Path(sys.executable).with_name("hepfilter")),
        "skim",
        str(options.file),
        "--keep",
        text,
        "--compression",
        "ZSTD:5",
        "--force",
        "-o",
    ]
    with tempfile.TemporaryDirectory() as folder:
        jobs = {"hepfilter skim (GNN)": [*hepfilter, f"{folder}/hepfilter.root"]}
        for threads in (1, 2):
            arguments = [str(options.file), f"{folder}/rdf.root", str(round(1 / share)), str(threads)]
            jobs[f"RDataFrame Snapshot, {threads} thread(s)"] = [sys.executable, "-c", RDATAFRAME, *arguments]
        try:
            import ROOT  # noqa: F401
        except ImportError:
            jobs = {name: command for name, command in jobs.items() if "RDataFrame" not in name}
        results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in jobs}
        for _ in range(options.runs):
            for name, command in jobs.items():
                results[name].append(run(command))
    print(f"{options.file.name}: {events:,} events, {branches:,} branches, {text} kept")
    print(f"medians of {options.runs} runs in turn")
    print(f"{'':32} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'events/s':>9} {'ratio':>6}")
    own = statistics.median(wall for wall, _, _ in results["hepfilter skim (GNN)"])
    for name, figures in results.items():
        wall, cpu, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:32} {wall:8.2f} {cpu:8.2f} {memory:8.0f} {events / wall:9,.0f} {wall / own:6.2f}")


if __name__ == "__main__":
    main()
