"""From event records to scores: on a fixed grid, so that a score belongs to its event and to nothing else.

`scoring.inference` computes with fixed shapes. What remains, the last bits that differ between linear algebra libraries
and processors, is rounded to `GRID`.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import CheckpointError
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.checkpoint import load
from hepfilter.models.device import choose_device
from hepfilter.models.interest import interest
from hepfilter.models.metadata import ModelMetadata
from hepfilter.scoring.calibration import model_calibration, score_names
from hepfilter.scoring.inference import Inference, Precision

if TYPE_CHECKING:
    import awkward as ak

_LOGGER: Final = logging.getLogger(__name__)
GRID: Final = 2.0**-10
"""Scores are multiples of this, about 0.001 in log-odds. Fine enough: far below what any model resolves; float32 holds
every multiple up to ±16384 exactly. Coarse enough: the 1e-6 by which processors differ moves one score in a thousand,
and that one by one step."""


class Scorer:
    """A model, ready to score.

    `name` is a model that ships or a checkpoint's path; `device` is "auto" (CUDA where there is one), "cpu" or "cuda";
    `threads`, `precision` and `compile` are those of `Inference`: the defaults are what is fastest from the first event
    on. CheckpointError if the model is not sound, UsageError if the device is not there.
    """

    def __init__(
        self,
        name: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: Precision = "float32",
        compile: bool = False,
    ) -> None:
        started = time.perf_counter()
        checkpoint = load(name)
        self.metadata: ModelMetadata = checkpoint.metadata
        self.calibration = model_calibration(checkpoint.metadata)
        self.inference = Inference(
            checkpoint.network, choose_device(device), threads=threads, precision=precision, compile=compile
        )
        seconds = time.perf_counter() - started
        _LOGGER.info("model %s loaded for %s in %.2f s", name, self.device_class, seconds)

    @property
    def model_hash(self) -> str:
        """What scores depend on: weights, graph specification, normalisation, architecture, classes."""
        return self.metadata.model_hash

    @property
    def names(self) -> tuple[str, ...]:
        """What is said of every event: ``interest``, the heads, and for a calibrated model their p-values."""
        return score_names(self.metadata)

    @property
    def calibration_hash(self) -> str | None:
        """What p-values depend on beside the scores; None for a model that is not calibrated."""
        return None if self.calibration is None else self.calibration.hash

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of the event record that the model looks at."""
        return tuple(self.metadata.definition.graph.collections)

    @property
    def device_class(self) -> str:
        """What scores depend on beside the model hash: device, precision, and whether the network is compiled."""
        return self.inference.device_class

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of the model beside its name."""
        limits = {} if self.calibration is None else self.calibration.extrapolated_below
        return {
            "model_hash": self.model_hash,
            "device_class": self.device_class,
            "scores": self.names,
            "calibration_hash": self.calibration_hash,
            "extrapolated_below": limits,
        }

    def score(self, record: "ak.Array") -> NDArray[np.float32]:
        """`interest` of every event of `record`, in its order: finite multiples of `GRID`; no events give no scores."""
        return self.score_graphs(build_padded(record, self.metadata.definition.graph))

    def score_graphs(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """`interest` of each event of `graphs` (on the CPU). CheckpointError names the first without a finite score."""
        return self.heads(graphs)["interest"]

    def score_heads(self, record: "ak.Array") -> dict[str, NDArray[np.float32]]:
        """`heads` of every event of `record`, in its order."""
        return self.heads(build_padded(record, self.metadata.definition.graph))

    def heads(self, graphs: PaddedGraphs) -> dict[str, NDArray[np.float32]]:
        """[B] float32 by the name of each of `names`, for the events of `graphs` (on the CPU), in their order.

        `interest` and the model's heads are finite multiples of `GRID`; the p-values of a calibrated model are as
        `Calibration.apply` says. CheckpointError names the first event without finite scores.
        """
        return self.heads_of(self.outputs(graphs))

    def heads_of(self, outputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """As `heads`, of events whose `outputs` [B, classes + heads] are known."""
        faults = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if len(faults):
            where = f"event {faults[0]} of {len(outputs)} (counted from 0 in this chunk)"
            raise CheckpointError(f"{self.metadata.path}: gives {where} no finite score; another model may work")
        definition = self.metadata.definition
        n_classes = len(definition.classes)
        scores = {"interest": _on_grid(interest(outputs[:, :n_classes], definition.classes))}
        scores |= {head.name: _on_grid(outputs[:, n_classes + number]) for number, head in enumerate(definition.heads)}
        return scores if self.calibration is None else scores | self.calibration.apply(scores)

    def logits(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """[B, classes] of every event of `graphs` (on the CPU), in their order, not rounded."""
        return self.outputs(graphs)[:, : len(self.metadata.definition.classes)]

    def outputs(self, graphs: PaddedGraphs) -> NDArray[np.float32]:
        """[B, classes + heads]: logits and scores of the heads of every event, in their order, not rounded."""
        return self.inference.outputs(graphs)


def _on_grid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest multiples of `GRID`."""
    rounded: NDArray[np.float32] = np.rint(values / np.float32(GRID)) * np.float32(GRID)
    return rounded
