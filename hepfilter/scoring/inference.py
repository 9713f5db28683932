"""A network at work: fixed shapes, so that what it says of an event depends on that event and on nothing else.

Events are sorted into buckets by their number of nodes; every bucket is computed in batches of one fixed shape, the
last one filled up with empty events, each batch by one thread. So neither the chunk, nor the order of events, nor the
number of threads changes any operation that an event takes part in.
"""

import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.errors import UsageError
from hepfilter.graphs.padded import PaddedGraphs, bucket_sizes
from hepfilter.models.network import GraphNetwork
from hepfilter.work.processes import cores

Precision = Literal["float32", "bfloat16"]

_BATCH_FLOATS: Final = {"cpu": 2**20, "cuda": 2**26}
"""Messages in one batch: on a CPU they stay in its cache."""
_BATCH_EVENTS: Final = {"cpu": (16, 256), "cuda": (16, 8192)}

Item = TypeVar("Item")
Result = TypeVar("Result")


class Inference:
    """A network on a device.

    `threads` of a CPU work side by side (default: all that this process may use; no matter on CUDA). `precision` is
    that of all but the last layer and the heads. `compile` lets torch compile the network for each of its few shapes,
    now, which takes minutes the first time; where that fails, for lack of a C++ compiler say, the network runs as it
    stands, with one warning. `compiled` says which it is. UsageError for an unknown precision.
    """

    def __init__(
        self,
        network: GraphNetwork,
        device: torch.device,
        *,
        threads: int | None = None,
        precision: Precision = "float32",
        compile: bool = False,
    ) -> None:
        if precision not in get_args(Precision):
            raise UsageError(f"precision {precision!r} is unknown; {' and '.join(get_args(Precision))} are there")
        self.device, self.precision = device, precision
        self.threads = 1 if device.type == "cuda" else max(1, threads or cores())
        self.network = network.to(device).eval()
        self._workspace = threading.local()
        self._compiled: dict[tuple[int, int], Callable[..., Tensor]] = {}
        if compile:
            self._compile()

    @property
    def compiled(self) -> bool:
        """The network runs compiled."""
        return bool(self._compiled)

    @property
    def device_class(self) -> str:
        """What scores depend on beside the model: device, precision, and whether it is compiled."""
        return f"{self.device.type}-{self.precision}{'-compiled' if self.compiled else ''}"

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(events, nodes) of the batches that there can be."""
        sizes = bucket_sizes(self.network.definition.graph.max_nodes)
        return tuple((self.events_per_batch(n_nodes), n_nodes) for n_nodes in sizes)

    def outputs(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """[B, classes + heads]: logits and scores of the heads of every event of `graphs` (on the CPU), in order."""
        definition = self.network.definition
        result = np.empty((len(graphs), len(definition.classes) + len(definition.heads)), dtype=np.float32)

        def run(batch: tuple[Tensor, int, int]) -> tuple[Tensor, Tensor]:
            events, n_nodes, n_events = batch
            return events, self.forward(self.moved(graphs.cropped(n_nodes).select(events).filled(n_events)))

        # What CUDA computes is waited for only here: the next batch is prepared and sent meanwhile.
        for events, outputs in self._in_threads(run, self._batches(graphs)):
            result[events.numpy()] = outputs[: len(events)].cpu().numpy()
        return result

    def forward(self, batch: PaddedGraphs) -> Tensor:
        """[b, classes + heads] of a batch of one of the `shapes`, on the device."""
        reduced = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")
        n_events, n_nodes = batch.mask.shape
        with torch.inference_mode(), reduced:
            if self._compiled:
                return self._compiled[n_events, n_nodes](batch.features, batch.momenta, batch.mask)
            return self.network.all_outputs(batch, workspace=self._space(n_events, n_nodes))

    def moved(self, batch: PaddedGraphs) -> PaddedGraphs:
        """The batch on the device; to CUDA from pinned memory, so that the copy is not waited for."""
        if self.device.type == "cuda":
            batch = PaddedGraphs(batch.features.pin_memory(), batch.momenta.pin_memory(), batch.mask.pin_memory())
        return batch.to(self.device)

    def events_per_batch(self, n_nodes: int) -> int:
        """A power of two: the most events whose messages fit."""
        least, most = _BATCH_EVENTS[self.device.type]
        fitting = _BATCH_FLOATS[self.device.type] // self.network.workspace_size(1, n_nodes)
        return int(min(most, max(least, 2 ** (max(fitting, 1).bit_length() - 1))))

    def _batches(self, graphs: PaddedGraphs) -> Iterator[tuple[Tensor, int, int]]:
        """(positions of the events, nodes, events of the fixed shape); together every event once."""
        for n_nodes, inside in graphs.buckets():
            n_events = self.events_per_batch(n_nodes)
            for events in inside.split(n_events):  # type: ignore[no-untyped-call]
                yield events, n_nodes, n_events

    def _space(self, n_events: int, n_nodes: int) -> Tensor:
        """This thread's own memory for messages, kept between the batches of a call."""
        size = self.network.workspace_size(n_events, n_nodes)
        space: Tensor | None = getattr(self._workspace, "space", None)
        if space is None or len(space) < size:
            space = self._workspace.space = torch.empty(size, device=self.device)
        return space

    def _in_threads(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Each item by one thread that torch does not split further; results in order."""
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield from pool.map(work, items)
        finally:
            # The workers set their own number, but also the one that later threads of this process begin with.
            torch.set_num_threads(before)

    def _compile(self) -> None:
        """Compile for all shapes, by the threads that will run them, or for none."""
        self._compiled = {shape: _compiled(self.network, self.device) for shape in self.shapes}
        width = self.network.num_features

        def run(shape: tuple[int, int]) -> Tensor:
            parts = torch.zeros(*shape, width), torch.zeros(*shape, 4), torch.zeros(*shape, dtype=torch.bool)
            return self.forward(self.moved(PaddedGraphs(*parts)))

        try:
            for shape in self.shapes:
                list(self._in_threads(run, [shape]))
        except RuntimeError as error:
            self._compiled = {}
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            warnings.warn(f"torch cannot compile the network here, it runs as it is: {reason}", stacklevel=4)


def _compiled(network: GraphNetwork, device: torch.device) -> Callable[..., Tensor]:
    """[b, N, F], [b, N, 4], [b, N] → all outputs; compiled at the first call, for the shape of that call."""

    def forward(features: Tensor, momenta: Tensor, mask: Tensor) -> Tensor:
        return network.all_outputs(PaddedGraphs(features, momenta, mask))

    # torch keeps what it compiled with the code object, up to a limit: each shape of each network gets one of its own.
    own = types.FunctionType(forward.__code__.replace(), forward.__globals__, closure=forward.__closure__)
    options: dict[str, Any] | None = {"cpp.threads": 1} if device.type == "cpu" else None
    function: Callable[..., Tensor] = torch.compile(own, fullgraph=True, dynamic=False, options=options)
    return function
