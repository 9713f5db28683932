"""From event records to scores: fixed shapes, fixed grid, so that a score belongs to its event and to nothing else.

Events are sorted into buckets by their number of nodes; every bucket is computed in batches of one fixed shape, the
last one filled up with empty events, each batch by one thread. So neither the chunk, nor the order of events, nor the
number of threads changes any operation that an event takes part in. What remains, the last bits that differ between
linear algebra libraries and processors, is rounded to `GRID`.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.errors import CheckpointError
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.checkpoint import load
from hepfilter.models.device import choose_device
from hepfilter.models.interest import interest
from hepfilter.models.metadata import ModelMetadata
from hepfilter.work.executors import cores

GRID: Final = 2.0**-10
"""Scores are multiples of this, about 0.001 in log-odds. Fine enough: far below what any model resolves; float32 holds
every multiple up to ±16384 exactly. Coarse enough: the 1e-6 by which processors differ moves one score in a thousand,
and that one by one step."""

_BATCH_FLOATS: Final = {"cpu": 2**20, "cuda": 2**26}
"""Messages in one batch: on a CPU they stay in its cache."""
_BATCH_EVENTS: Final = {"cpu": (16, 256), "cuda": (16, 8192)}


class Scorer:
    """A model, ready to score.

    `name` is a model that ships or a checkpoint's path; `device` is "auto" (CUDA where there is one), "cpu" or "cuda";
    `threads` of the CPU work side by side (default: all that this process may use; no matter on CUDA).
    CheckpointError if the model is not sound, UsageError if the device is not there.
    """

    def __init__(self, name: str | Path, *, device: str = "auto", threads: int | None = None) -> None:
        checkpoint = load(name)
        self.device = choose_device(device)
        self.metadata: ModelMetadata = checkpoint.metadata
        self.threads = 1 if self.device.type == "cuda" else max(1, threads or cores())
        self._network = checkpoint.network.to(self.device)
        self._workspace = threading.local()

    @property
    def model_hash(self) -> str:
        """What scores depend on: weights, graph specification, normalisation, architecture, classes."""
        return self.metadata.model_hash

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of the event record that the model looks at."""
        return tuple(self.metadata.definition.graph.collections)

    @property
    def device_class(self) -> str:
        """What scores depend on beside the model hash: device and precision."""
        return f"{self.device.type}-float32"

    def score(self, record: ak.Array) -> NDArray[np.float32]:
        """`interest` of every event of `record`, in its order: finite multiples of `GRID`; no events give no scores."""
        return self.score_graphs(build_padded(record, self.metadata.definition.graph))

    def score_graphs(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """`interest` of each event of `graphs` (on the CPU). CheckpointError names the first without a finite score."""
        logits = self.logits(graphs)
        faults = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if len(faults):
            where = f"event {faults[0]} of {len(logits)} (counted from 0 in this chunk)"
            raise CheckpointError(f"{self.metadata.path}: gives {where} no finite score; another model may work")
        values = interest(logits, self.metadata.definition.classes)
        rounded: NDArray[np.float32] = np.rint(values / np.float32(GRID)) * np.float32(GRID)
        return rounded

    def logits(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """[B, classes] of every event of `graphs` (on the CPU), in their order, not rounded."""
        result = np.empty((len(graphs), len(self.metadata.definition.classes)), dtype=np.float32)

        def run(batch: tuple[Tensor, int, int]) -> None:
            events, n_nodes, n_events = batch
            chosen = graphs.select(events).cropped(n_nodes).filled(n_events).to(self.device)
            with torch.inference_mode():
                logits = self._network.forward_padded(chosen, workspace=self._space(n_events, n_nodes))
            result[events.numpy()] = logits[: len(events)].cpu().numpy()

        self._in_threads(run, self._batches(graphs))
        return result

    def _batches(self, graphs: PaddedGraphs) -> Iterator[tuple[Tensor, int, int]]:
        """(positions of the events, nodes, events of the fixed shape); together every event once."""
        for n_nodes, inside in graphs.buckets():
            n_events = self._events_per_batch(n_nodes)
            for events in inside.split(n_events):  # type: ignore[no-untyped-call]
                yield events, n_nodes, n_events

    def _events_per_batch(self, n_nodes: int) -> int:
        """A power of two: the most events whose messages fit."""
        least, most = _BATCH_EVENTS[self.device.type]
        fitting = _BATCH_FLOATS[self.device.type] // self._network.workspace_size(1, n_nodes)
        return int(min(most, max(least, 2 ** (max(fitting, 1).bit_length() - 1))))

    def _space(self, n_events: int, n_nodes: int) -> Tensor:
        """This thread's own memory for messages, kept between the batches of a call."""
        size = self._network.workspace_size(n_events, n_nodes)
        space: Tensor | None = getattr(self._workspace, "space", None)
        if space is None or len(space) < size:
            space = self._workspace.space = torch.empty(size, device=self.device)
        return space

    def _in_threads(self, work: Any, items: Iterable[Any]) -> None:
        """Each item by one thread that torch does not split further."""
        before = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for _ in pool.map(work, items):
                    pass
        finally:
            # The workers set their own number, but also the one that later threads of this process begin with.
            torch.set_num_threads(before)
