"""Events per second from event records to scores, by step and number of threads. Prints tables; is no test.

    python benchmarks/model_speed.py [--graph objects] [--model edgeconv-small | CHECKPOINT] [--events 20000]

Events are generated here: about as many objects as tt̄ events of NanoAOD have after cleaning. Each figure is the best of
several runs, since other work on the machine can only slow it down.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
from hepfilter.events.record import Objects, build_record
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.models.checkpoint import build_network, save
from hepfilter.models.metadata import pretrained_models
from hepfilter.scoring.scorer import Scorer

MEAN_COUNTS = {"jet": 5.0, "muon": 0.6, "electron": 0.6, "photon": 0.4, "met": 1.0, "particle": 120.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graph", default="objects", help="graph specification, when --model names an architecture")
    parser.add_argument("--model", default="edgeconv-small", help="architecture (random weights), or a checkpoint")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint(options.model, options.graph, Path(folder))
        scorers = {threads: Scorer(path, device="cpu", threads=threads) for threads in (1, 2)}
    print(f"{processor()}, torch {torch.__version__}; {scorers[1].metadata.definition.architecture!r}")
    record = generated_record(options.events)
    steps(record, scorers, options.repeats)
    buckets(record, scorers[1], options.repeats)


def steps(record: ak.Array, scorers: dict[int, Scorer], repeats: int) -> None:
    specification = scorers[1].metadata.definition.graph
    graphs = build_padded(record, specification)
    few = graphs.select(slice(0, 500))
    batch = batch_of(few, specification)
    network = scorers[1]._network
    table = Table("step", "threads", "events/s", title=f"{len(record):,} events, {mean_nodes(graphs):.1f} nodes each")

    def row(name: str, threads: int, n_events: int, run: Callable[[], object]) -> None:
        torch.set_num_threads(threads)
        table.add_row(name, str(threads), f"{n_events / best(run, repeats):,.0f}")

    with torch.inference_mode():
        row("record → padded graphs", 1, len(record), lambda: build_padded(record, specification))
        row("padded → torch-geometric batch", 1, len(few), lambda: batch_of(few, specification))
        for threads, scorer in scorers.items():
            row("padded → logits, dense", threads, len(graphs), lambda scorer=scorer: scorer.logits(graphs))
            row("batch → logits, message passing", threads, len(few), lambda: network(batch))
            row("record → scores, all of it", threads, len(record), lambda scorer=scorer: scorer.score(record))
    Console().print(table)


def buckets(record: ak.Array, scorer: Scorer, repeats: int) -> None:
    graphs = build_padded(record, scorer.metadata.definition.graph)
    torch.set_num_threads(1)
    table = Table(
        "room for nodes", "share of events", "events per batch", "events/s, one thread", title="dense forward"
    )
    with torch.inference_mode():
        for n_nodes, events in graphs.buckets():
            size = scorer._events_per_batch(n_nodes)
            part = graphs.select(events[:size]).cropped(n_nodes).filled(size)
            space = scorer._space(size, n_nodes)
            seconds = best(
                lambda part=part, space=space: scorer._network.forward_padded(part, workspace=space), 10 * repeats
            )
            table.add_row(str(n_nodes), f"{len(events) / len(graphs):.1%}", str(size), f"{size / seconds:,.0f}")
    Console().print(table)


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs, after one to warm up."""
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def checkpoint(model: str, graph: str, folder: Path) -> Path:
    if model in pretrained_models() or Path(model).suffix == ".safetensors":
        return pretrained_models().get(model, Path(model))
    classes = tuple(EventClass(name=f"c{i}", is_signal=i > 3) for i in range(12))
    definition = ModelDefinition(
        graph=load_graph_specification(graph), architecture=load_architecture(model), classes=classes
    )
    torch.manual_seed(1)
    path = folder / "random.safetensors"
    save(build_network(definition), path, provenance={})
    return path


def generated_record(n_events: int) -> ak.Array:
    rng = np.random.default_rng(1)
    collections = {}
    for name, mean in MEAN_COUNTS.items():
        counts = np.ones(n_events, int) if name == "met" else rng.poisson(mean, n_events)
        total = int(counts.sum())
        event, pt = np.repeat(np.arange(n_events), counts), 20 + rng.exponential(40, total)
        columns = {"pt": pt[np.lexsort((-pt, event))], "eta": rng.normal(0, 1.3, total)}
        columns |= {"phi": rng.uniform(-3.14, 3.14, total), "mass": rng.exponential(5, total)}
        collections[name] = Objects.from_counts(
            counts, {key: value.astype(np.float32) for key, value in columns.items()}
        )
    return build_record(collections, n_events)


def mean_nodes(graphs: object) -> float:
    return float(graphs.node_counts.float().mean())  # type: ignore[attr-defined]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
