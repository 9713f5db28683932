"""A skim by hand, beside its peers: the same file, the same cut, all branches kept, whole processes with start-up.

    python benchmarks/skim.py FILE.root --cut 15% --runs 5

Runs hepfilter, RDataFrame's Snapshot with one and with two threads, plain uproot and hepconvert in turn, as far as they
are installed, and prints medians, ratios to hepfilter, what hepfilter read of the file, and the floor: the CPU time of
unpacking just the baskets that hold a chosen event and of packing the output, and of starting Python with its
libraries. The cuts go by the event number, so that chosen events lie evenly: `event` must count the events. A peer that
needs longer than `--limit` seconds is ended, and not run again. With `--model` the skim by the network runs as well.
"""

import argparse
import importlib.util
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CUTS = {
    "15%": ("event % 20 < 3", "arrays['event'] % 20 < 3"),
    "1%": ("event % 100 == 0", "arrays['event'] % 100 == 0"),
    "0.1%": ("event % 1000 == 0", "arrays['event'] % 1000 == 0"),
    "0.01%": ("event % 10000 == 0", "arrays['event'] % 10000 == 0"),
    "0%": ("nMuon > 1000", "arrays['nMuon'] > 1000"),
    "all": ("event >= 0", "arrays['event'] >= 0"),
}

RDATAFRAME = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
source, output, cut, threads, algorithm, level = sys.argv[1:7]
if int(threads) > 1:
    ROOT.EnableImplicitMT(int(threads))
options = ROOT.RDF.RSnapshotOptions()
options.fCompressionAlgorithm = getattr(ROOT.RCompressionSetting.EAlgorithm, "k" + algorithm)
options.fCompressionLevel = int(level)
ROOT.RDataFrame("Events", source).Filter(cut).Snapshot("Events", output, "", options)
"""

UPROOT = """
import sys
import awkward as ak
import uproot
source, output, cut, algorithm, level = sys.argv[1:6]
with uproot.open(source) as file, uproot.recreate(output, compression=getattr(uproot, algorithm)(int(level))) as out:
    tree, made = file["Events"], None
    counters = {branch.count_branch.name for branch in tree.branches if branch.count_branch is not None}
    for start in range(0, tree.num_entries, 25_000):
        arrays = tree.arrays(entry_start=start, entry_stop=start + 25_000, how=dict)
        kept = eval(cut)
        groups, flat = {}, {}
        for branch in tree.branches:
            if branch.count_branch is not None:
                name = branch.count_branch.name[1:]
                groups.setdefault(name, {})[branch.name.removeprefix(name + "_")] = arrays[branch.name][kept]
            elif branch.name not in counters:
                flat[branch.name] = arrays[branch.name][kept]
        chunk = flat | {name: ak.zip(members) for name, members in groups.items()}
        if made is None:
            made = out.mktree("Events", {name: values.type for name, values in chunk.items()})
        made.extend(chunk)
"""

HEPCONVERT = """
import sys
import hepconvert
source, output, cut, algorithm, level = sys.argv[1:6]
hepconvert.copy_root(output, source, cut=cut, keep_trees=["Events"], force=True, progress_bar=False,
                     compression=algorithm, compression_level=int(level))
"""

GNN = "hepfilter with the GNN"

STARTUP = "import numpy, cramjam, xxhash, yaml, pydantic, typer, rich.table, lark"


@dataclass(frozen=True)
class Figures:
    """One process: wall and CPU seconds of it and its children, peak memory in MB of the largest of them."""

    wall: float
    cpu: float
    memory: float


def run(command: list[str], limit: float) -> Figures | None:
    """Run a process to its end; None if it needs longer than `limit` seconds."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        while True:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            if time.perf_counter() - start > limit:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None
            time.sleep(0.005)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command[:3])} … failed:\n{errors.read().decode()[-2000:]}")
    return Figures(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def jobs(file: Path, folder: Path, cut: str, compression: str, options: argparse.Namespace) -> dict[str, list[str]]:
    """The commands, by name; what is not installed is left out."""
    expression, python = CUTS[cut]
    algorithm, level = compression.split(":")
    own = [str(Path(sys.executable).with_name("hepfilter")), "skim", str(file), "--compression", compression, "--force"]
    where = ["--where", expression, "-o", str(folder / "hepfilter.root")]
    found = {
        "hepfilter, 1 worker": [*own, *where, "--workers", "1"],
        "hepfilter, 2 workers": [*own, *where, "--workers", "2"],
    }
    if options.model:
        found[GNN] = [*own, "--keep", cut, "-o", str(folder / "gnn.root")]
    target = [str(file), str(folder / "peer.root"), expression]
    if importlib.util.find_spec("ROOT"):
        for threads in ("1", "2"):
            name = f"RDataFrame, {threads} thread{'s' if threads == '2' else ''}"
            found[name] = [sys.executable, "-c", RDATAFRAME, *target, threads, algorithm, level]
    found["plain uproot"] = [
        sys.executable,
        "-c",
        UPROOT,
        str(file),
        str(folder / "peer.root"),
        python,
        algorithm,
        level,
    ]
    if importlib.util.find_spec("hepconvert"):
        cut_text = expression.replace("&&", "&")
        found["hepconvert"] = [sys.executable, "-c", HEPCONVERT, *target[:2], cut_text, algorithm, level]
    return found


def floor(file: Path, output: Path, expression: str) -> dict[str, float]:
    """CPU seconds that no skim of this file by Python can do without."""
    import numpy as np

    from hepfilter.events.expressions import parse_expression
    from hepfilter.io.compression import pack, unpack
    from hepfilter.io.reading import open_file
    from hepfilter.io.sources import Source

    def baskets(path: Path, chosen: "np.ndarray | None") -> list[tuple[memoryview, int]]:
        with open_file(Source(str(path))) as opened:
            stored = []
            for branch in opened.tree("Events").by_name.values():
                places = branch.stored
                assert places is not None
                for number, (seek, size) in enumerate(zip(places.seeks, places.sizes, strict=True)):
                    low, high = places.edges[number : number + 2]
                    if chosen is None or np.searchsorted(chosen, low) < np.searchsorted(chosen, high):
                        raw = memoryview(opened.source(int(seek), int(seek + size)))
                        header = int.from_bytes(raw[14:16], "big")
                        stored.append((raw[header:], int.from_bytes(raw[6:10], "big")))
            return stored

    with open_file(Source(str(file))) as opened:
        tree = opened.tree("Events")
        cut = parse_expression(expression, tree.branch_names)
        chosen = np.flatnonzero(cut.passes(tree.values(cut.branches), tree.num_entries))
    needed, written = baskets(file, chosen), baskets(output, None)
    with open_file(Source(str(output))) as opened:
        compression = opened.compression
    start = time.process_time()
    for raw, size in needed:
        unpack(raw, size)
    unpacking = time.process_time() - start
    payloads = [bytes(unpack(raw, size)) for raw, size in written]
    start = time.process_time()
    for payload in payloads:
        pack(payload, compression)
    packing = time.process_time() - start
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", STARTUP], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    startup = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"start-up": startup, "unpacking": unpacking, "packing": packing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cut", choices=CUTS, default="15%")
    parser.add_argument("--compression", default="ZSTD:5")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a peer is ended")
    parser.add_argument("--only", nargs="*", help="only jobs whose names begin so")
    parser.add_argument("--model", action="store_true", help="also skim by the network that ships")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = jobs(options.file, folder, options.cut, options.compression, options)
        if options.only:
            chosen = ("hepfilter, 1 worker", *options.only)
            commands = {job: command for job, command in commands.items() if job.startswith(chosen)}
        results: dict[str, list[Figures] | None] = {job: [] for job in commands}
        for _ in range(options.runs):
            for job, command in commands.items():
                gathered = results[job]
                if gathered is not None:
                    figures = run(command, options.limit)
                    results[job] = None if figures is None else [*gathered, figures]
        print_table(options, results)
        print_reading(options, commands["hepfilter, 1 worker"])
        if GNN in commands:
            print_scoring(commands[GNN])
        print_floor(floor(options.file, folder / "hepfilter.root", CUTS[options.cut][0]))


def print_table(options: argparse.Namespace, results: dict[str, list[Figures] | None]) -> None:
    print(f"{options.file.name}, {options.cut} kept ({CUTS[options.cut][0]}), {options.compression}")
    print(f"medians of {options.runs} runs in turn; ratio of wall times to the faster hepfilter (least, most)")
    own = {job: figures for job, figures in results.items() if job.startswith("hepfilter, ") and figures}
    best = min(own.values(), key=lambda figures: statistics.median(run.wall for run in figures))
    print(f"{'':24} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'ratio':>7}")
    for job, figures in results.items():
        if figures is None:
            print(f"{job:24} {'>':>3}{options.limit:5.0f}")
            continue
        wall, cpu, memory = (statistics.median(getattr(f, name) for f in figures) for name in ("wall", "cpu", "memory"))
        ratios = [theirs.wall / ours.wall for theirs, ours in zip(figures, best, strict=True)]
        ratio = wall / statistics.median(f.wall for f in best)
        print(f"{job:24} {wall:8.2f} {cpu:8.2f} {memory:8.0f} {ratio:7.2f} ({min(ratios):.2f}, {max(ratios):.2f})")
    peers = [f for job, f in results.items() if job.startswith("RDataFrame") and f]
    if peers:
        fastest = min(statistics.median(run.wall for run in figures) for figures in peers)
        print(f"RDataFrame's best takes {fastest / statistics.median(run.wall for run in best):.2f} times as long")
        if scored := results.get(GNN):
            ratio = statistics.median(run.wall for run in scored) / fastest
            print(f"with the GNN a skim takes {ratio:.2f} times as long as RDataFrame's best by the cut")


def print_reading(options: argparse.Namespace, command: list[str]) -> None:
    done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    read, payload, size = report["bytes_read"], report["payload_bytes"], options.file.stat().st_size
    print(f"{report['read']:,} events, {report['written']:,} written")
    print(f"the baskets hold {payload / 1e6:.1f} of {size / 1e6:.1f} MB;")
    print(f"read {read / 1e6:.1f} MB in all, twice the tree's own record included: {1 - read / size:.1%} never read")


def print_scoring(command: list[str]) -> None:
    """Once more, to tell the start-up from the rest."""
    start = time.perf_counter()
    done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    wall, report = time.perf_counter() - start, json.loads(done.stdout)
    rate = report["read"] / report["seconds"]
    print(f"with the GNN: start-up {wall - report['seconds']:.1f} s, nothing is compiled; then {rate:,.0f} events/s")


def print_floor(parts: dict[str, float]) -> None:
    text = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
    print(f"floor, CPU: {sum(parts.values()):.2f} s = {text}")


if __name__ == "__main__":
    main()
