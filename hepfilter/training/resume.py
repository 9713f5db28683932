"""Going on with a training that was ended: its state after each epoch, in one file that is written whole or not at all.

Lightning's own checkpoints are pickles. This one is a safetensors file: as tensors the weights (with the average's and
those of further terms), the weights of the best epoch and the moments of the optimiser; as JSON in its header the
optimiser's and the scheduler's settings and positions, the losses so far, and what the training was told. The order of
batches and every random number follow from seed and epoch, so that the number of epochs is their state. On a CPU a
resumed training gives the weights of an undisturbed one, bit for bit.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import safetensors
import safetensors.torch
import torch
import xxhash
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from hepfilter.config.strict_json import parse_json
from hepfilter.errors import TrainingError
from hepfilter.io.publishing import write_whole
from hepfilter.training.history import Epoch, History

FORMAT_VERSION: Final = 1
_REMEDY: Final = "remove it, or train without --resume"
_KEY: Final = "hepfilter-training"
_DIGEST: Final = "digest"


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands after a whole epoch.

    origin: what the training was told, as plain data; a state serves no other.    learning_rate: given or found.
    module, best, optimizer: tensors by name; those of the optimiser are "<number of the weight>.<name>".
    groups, scheduler: plain data of the optimiser and of the learning rate's cycle.
    """

    origin: Mapping[str, Any]
    learning_rate: float
    epochs: tuple[Epoch, ...]
    module: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    groups: list[dict[str, Any]]
    scheduler: dict[str, Any]

    @classmethod
    def of(cls, trainer: Any, module: Any, history: History, *, origin: Mapping[str, Any]) -> Self:
        """The state of a Lightning trainer at the end of an epoch."""
        stored = trainer.optimizers[0].state_dict()
        moments = {f"{number}.{name}": value for number, one in stored["state"].items() for name, value in one.items()}
        return cls(
            origin=origin,
            learning_rate=module.learning_rate,
            epochs=tuple(history.epochs),
            module=module.state_dict(),
            best=history.weights,
            optimizer=moments,
            groups=stored["param_groups"],
            scheduler=trainer.lr_scheduler_configs[0].scheduler.state_dict(),
        )

    def restore(self, trainer: Any) -> None:
        """Put the optimiser and the learning rate where they were; the module is loaded by its owner."""
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in self.optimizer.items():
            number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = value
        trainer.optimizers[0].load_state_dict({"state": moments, "param_groups": self.groups})
        trainer.lr_scheduler_configs[0].scheduler.load_state_dict(self.scheduler)


class StateKeeper(Callback):
    """Restores a state when a fit starts, and writes the new one to `path` after each epoch; None for none."""

    def __init__(
        self, path: Path | None, history: History, *, origin: Mapping[str, Any], restored: TrainingState | None
    ) -> None:
        self._path, self._history, self._origin, self._restored = path, history, origin, restored

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """When the optimiser is there, and its weights are where they are trained."""
        if self._restored is not None:
            self._restored.restore(trainer)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """After `History`, which stands before it among the callbacks."""
        if self._path is not None and trainer.is_global_zero:
            write_state(self._path, TrainingState.of(trainer, module, self._history, origin=self._origin))


def write_state(path: Path, state: TrainingState) -> None:
    """Write `path`, whole or not at all; OutputError if it cannot be written."""
    tensors = {
        f"{part}.{name}": value.detach().cpu().contiguous()
        for part in ("module", "best", "optimizer")
        for name, value in getattr(state, part).items()
    }
    plain = {
        "format_version": FORMAT_VERSION,
        "torch": torch.__version__,
        "origin": state.origin,
        "learning_rate": state.learning_rate,
        "epochs": [asdict(epoch) for epoch in state.epochs],
        "groups": state.groups,
        "scheduler": state.scheduler,
    }
    text = json.dumps(plain)
    told = {_KEY: text, _DIGEST: _digest(text, tensors)}
    write_whole(path, safetensors.torch.save(tensors, metadata=told))


def read_state(path: Path, *, origin: Mapping[str, Any]) -> TrainingState:
    """The state that `write_state` left; TrainingError if it is damaged, or of a training that was told otherwise."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            plain = parse_json(told[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        if told[_DIGEST] != _digest(told[_KEY], tensors):
            raise ValueError("other digest")
        return _state(plain, tensors, origin, where=path)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path}: is no state of a training, or is damaged; {_REMEDY}") from error


def _state(plain: Any, tensors: Mapping[str, Tensor], origin: Mapping[str, Any], *, where: Path) -> TrainingState:
    """The state of these; TrainingError if it is of another training, anything else where it is none."""
    if plain["format_version"] != FORMAT_VERSION:
        raise TrainingError(f"{where}: is of another version of hepfilter; {_REMEDY}")
    if different := [key for key, value in origin.items() if plain["origin"].get(key) != value]:
        raise TrainingError(f"{where}: was left by a training with other {different[0]}; {_REMEDY}")
    parts: dict[str, dict[str, Tensor]] = {"module": {}, "best": {}, "optimizer": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    epochs = tuple(Epoch(**epoch) for epoch in plain["epochs"])
    return TrainingState(
        origin, plain["learning_rate"], epochs, **parts, groups=plain["groups"], scheduler=plain["scheduler"]
    )


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """The xxh3-128 of all that a state holds, against damage."""
    digest = xxhash.xxh3_128(text.encode())
    for name in sorted(tensors):
        digest.update(f"\0{name}\0".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
