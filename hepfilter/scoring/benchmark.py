"""Events per second of every step from event records to scores, and of training: what `hepfilter bench` shows.

Each figure is the best of several runs, as other work on the machine can only slow it down; the first run, which
allocates and compiles, is timed by itself.
"""

import itertools
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
from hepfilter.errors import ConfigError, UsageError
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load
from hepfilter.models.device import choose_device
from hepfilter.models.metadata import pretrained_models
from hepfilter.models.network import GraphNetwork
from hepfilter.scoring.generated import generated_record
from hepfilter.scoring.inference import Inference, Precision
from hepfilter.work.processes import cores

_SECONDS: Final = 0.5
"""A step is repeated for this long."""
_REFERENCE_EVENTS: Final = 256
CLASSES: Final = tuple(EventClass(name=f"class{number}", is_signal=number > 3) for number in range(12))


@dataclass(frozen=True)
class Machine:
    """What a figure belongs to. `device` is the name of the CUDA device, or of the processor."""

    processor: str
    device: str
    torch: str


@dataclass(frozen=True)
class Measurement:
    """One step on batches of `n_events` with room for `n_nodes`; `first` is the time of the first run in seconds.

    build      event records → padded graphs, on the CPU
    transfer   a batch to the device (CUDA only)
    forward    a batch of a fixed shape → outputs
    backward   forward, loss and gradients of a training batch
    reference  forward by torch-geometric's message passing
    outputs    all graphs → outputs, as a skim does it
    """

    step: str
    precision: Precision
    compiled: bool
    threads: int
    n_events: int
    n_nodes: int
    first: float
    events_per_second: float


@dataclass(frozen=True)
class BenchReport:
    """All steps of one network. `mean_nodes` is that of the generated events."""

    machine: Machine
    model: str
    graph: str
    architecture: str
    parameters: int
    mean_nodes: float
    measurements: tuple[Measurement, ...]


def network_of(name: str, graph: str | None = None) -> GraphNetwork:
    """A model that ships, a checkpoint (``.safetensors``), or an architecture with random weights on `graph`.

    `graph` is ``objects`` if not given. ConfigError or CheckpointError if there is none of that name, UsageError if a
    graph is given for a model, which brings its own.
    """
    if name in pretrained_models() or Path(name).suffix == ".safetensors":
        if graph is not None:
            raise UsageError(f"{name}: a model brings its own graph; leave --graph out, or name an architecture")
        return load(name).network
    try:
        architecture = load_architecture(name)
    except ConfigError as error:
        raise ConfigError(f"{error}; models that ship: {', '.join(pretrained_models())}") from error
    specification = load_graph_specification(graph or "objects")
    try:
        definition = ModelDefinition(graph=specification, architecture=architecture, classes=CLASSES)
    except ValueError as error:
        raise UsageError(f"{name} on {specification.name}: {_reason(error)}; try --graph particles") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build_network(definition).eval()


def benchmark(
    network: GraphNetwork,
    *,
    name: str,
    device: str = "auto",
    precisions: Sequence[Precision] = ("float32", "bfloat16"),
    compile: bool = False,
    threads: Sequence[int] | None = None,
    n_events: int = 4096,
    batch: int = 64,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> BenchReport:
    """Time all steps of `network` on generated events, eager and if wanted compiled, for each precision.

    `threads` are the numbers of threads for which `outputs` is timed (default: one, and all); `batch` is the size of a
    training batch. `progress` is called as (stage, done, in all).
    """
    chosen = choose_device(device)
    numbers = (1,) if chosen.type == "cuda" else tuple(dict.fromkeys(threads or (1, cores())))
    specification = network.definition.graph
    record = generated_record(n_events, specification)
    graphs = build_padded(record, specification)
    rows = [_measured("build", lambda: build_padded(record, specification), torch.device("cpu"), graphs, threads=1)]
    ways = list(itertools.product((False, True) if compile else (False,), precisions, numbers))
    for done, (compiled, precision, number) in enumerate(ways):
        progress("measuring", done, len(ways) + 1)
        inference = Inference(network, chosen, threads=number, precision=precision, compile=compiled)
        rows += _inference_steps(inference, graphs, shapes=number == numbers[0])
    progress("measuring", len(ways), len(ways) + 1)
    rows += [_backward(network, graphs.select(slice(0, batch)), chosen, precision) for precision in precisions]
    rows.append(_reference(network, graphs.select(slice(0, _REFERENCE_EVENTS)), chosen))
    progress("measuring", len(ways) + 1, len(ways) + 1)
    return BenchReport(
        machine=machine(chosen),
        model=name,
        graph=specification.name,
        architecture=network.definition.architecture.kind,
        parameters=parameters(network),
        mean_nodes=float(graphs.node_counts.float().mean()),
        measurements=tuple(rows),
    )


def timed(run: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds of the first run, and of the fastest of those that fit into `_SECONDS` after it (at least one)."""

    def once() -> float:
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    first = once()
    best = spent = once()
    while spent < _SECONDS:
        latest = once()
        best, spent = min(best, latest), spent + latest
    return first, best


def training_step(logits_of: Callable[[], Tensor], device: torch.device, precision: Precision) -> None:
    """Forward, loss and gradients, as in training; the gradients add up."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        logits = logits_of()
    logits.float().logsumexp(1).sum().backward()  # type: ignore[no-untyped-call]


def parameters(network: torch.nn.Module) -> int:
    """How many weights a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def machine(device: torch.device) -> Machine:
    """The machine that this runs on."""
    processor = _processor()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor
    return Machine(processor, name, torch.__version__)


def _inference_steps(inference: Inference, graphs: PaddedGraphs, *, shapes: bool) -> list[Measurement]:
    """All graphs, and if wanted one batch of each shape."""
    rows = [_of_inference("outputs", lambda: inference.outputs(graphs), inference, graphs, threads=inference.threads)]
    for n_events, n_nodes in inference.shapes if shapes else ():
        batch = graphs.cropped(n_nodes).select(slice(0, n_events)).filled(n_events)
        rows += _batch_steps(inference, batch)
    return rows


def _batch_steps(inference: Inference, batch: PaddedGraphs) -> list[Measurement]:
    """Transfer and forward of one batch, by one thread of the CPU."""
    moved = inference.moved(batch)
    steps: dict[str, Callable[[], object]] = {"forward": lambda: inference.forward(moved)}
    if inference.device.type == "cuda":
        steps = {"transfer": lambda: inference.moved(batch), **steps}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_of_inference(step, run, inference, batch, threads=1) for step, run in steps.items()]
    finally:
        torch.set_num_threads(before)


def _of_inference(
    step: str, run: Callable[[], object], inference: Inference, graphs: PaddedGraphs, *, threads: int
) -> Measurement:
    """With the precision of `inference`, compiled if it is."""
    row = _measured(step, run, inference.device, graphs, threads=threads)
    return replace(row, precision=inference.precision, compiled=inference.compiled)


def _backward(network: GraphNetwork, graphs: PaddedGraphs, device: torch.device, precision: Precision) -> Measurement:
    """A training batch."""
    network = network.to(device).train()
    moved = graphs.to(device)
    row = _measured(
        "backward", lambda: training_step(lambda: network.forward_padded(moved), device, precision), device, graphs
    )
    network.zero_grad()
    network.eval()
    return replace(row, precision=precision)


def _reference(network: GraphNetwork, graphs: PaddedGraphs, device: torch.device) -> Measurement:
    """The list of edges is built beforehand."""
    network, batch = network.to(device), batch_of(graphs, network.definition.graph).to(device)
    with torch.inference_mode():
        return _measured("reference", lambda: network(batch), device, graphs)


def _measured(
    step: str, run: Callable[[], object], device: torch.device, graphs: PaddedGraphs, *, threads: int | None = None
) -> Measurement:
    """In float32 and as it stands; with as many threads as torch takes by itself unless stated."""
    first, seconds = timed(run, device)
    n_events, n_nodes = graphs.mask.shape
    used = torch.get_num_threads() if threads is None else threads
    return Measurement(step, "float32", False, used, n_events, n_nodes, first, n_events / seconds)


def _processor() -> str:
    """The processor's name, as well as it can be known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def _reason(error: ValueError) -> str:
    """What a model definition says is wrong, without pydantic's frame."""
    lines = [line.strip() for line in str(error).splitlines() if "Value error, " in line]
    return lines[0].removeprefix("Value error, ").split(" [type=")[0] if lines else " ".join(str(error).split())
