"""Saving and loading a network with everything that belongs to it, as one file, without pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.model import CustomArchitecture
from hepfilter.errors import CheckpointError
from hepfilter.io.publishing import write_whole
from hepfilter.io.text import one_line
from hepfilter.models.architectures import build_network
from hepfilter.models.conditional import Conditional
from hepfilter.models.metadata import (
    FORMAT_VERSION,
    TEXT_KEY,
    ModelMetadata,
    digest_of,
    find_checkpoint,
    model_hash,
    parse_metadata,
)
from hepfilter.models.network import GraphNetwork

_KNOWN_TYPES: Final = {
    torch.from_numpy(np.zeros(0, kind)).dtype for kind in ("?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
}


@dataclass(frozen=True)
class Checkpoint:
    """A network, in evaluation mode and on the CPU, and the metadata of the file that it came from."""

    network: GraphNetwork
    metadata: ModelMetadata


def save(
    network: GraphNetwork,
    path: Path,
    *,
    provenance: Mapping[str, Any],
    calibration: Mapping[str, Any] | None = None,
) -> ModelMetadata:
    """Write `network` to `path`; the file appears complete or not at all. The same input gives the same bytes.

    `provenance` and `calibration` are plain JSON data. OutputError if the folder cannot be written, CheckpointError if
    weights are not finite.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    _refuse_not_finite(tensors, path)
    definition = network.definition.model_dump(mode="json")
    stated_hash = model_hash(definition, _as_arrays(tensors))
    content = {
        "format_version": FORMAT_VERSION,
        "model_hash": stated_hash,
        "definition": definition,
        "provenance": dict(provenance),
        "calibration": None if calibration is None else dict(calibration),
    }
    text = json.dumps(content | {"digest": digest_of(content)})
    raw = safetensors.torch.save(tensors, metadata={TEXT_KEY: text})
    write_whole(path, raw)
    return parse_metadata(raw, path)


def load(name: str | Path) -> Checkpoint:
    """The model that ships as `name`, or the one in that file; CheckpointError if it is not what it states."""
    path = find_checkpoint(name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    metadata = parse_metadata(raw, path)
    remedy = "fetch it again or train it anew"
    try:
        tensors = safetensors.torch.load(raw)
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: of a type that torch lacks
        raise CheckpointError(f"{path}: its tensors cannot be read ({one_line(error)}); {remedy}") from error
    strange = [str(value.dtype) for value in tensors.values() if value.dtype not in _KNOWN_TYPES]
    if strange:
        raise CheckpointError(f"{path}: holds {strange[0]}, which no model of ours has; {remedy}")
    if model_hash(metadata.stated_definition, _as_arrays(tensors)) != metadata.model_hash:
        raise CheckpointError(f"{path}: weights and definition do not have the model hash that it states; {remedy}")
    _refuse_misfits(metadata, tensors)
    return Checkpoint(_network(metadata, tensors), metadata)


def _network(metadata: ModelMetadata, tensors: Mapping[str, Tensor]) -> GraphNetwork:
    """The network of the definition with these weights, which fit; CheckpointError if they make no sense."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(metadata.definition)
    _refuse_not_finite(tensors, metadata.path)
    network.load_state_dict(dict(tensors))
    for name, head in network.heads.items():
        if isinstance(head, Conditional) and not head.is_sound:
            raise CheckpointError(f"{metadata.path}: the table of its head {name} does not rise; train it anew")
    return network.eval()


def _refuse_not_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: its tensor {name} is not finite; train it anew, with a lower learning rate")


def _refuse_misfits(metadata: ModelMetadata, tensors: Mapping[str, Tensor]) -> None:
    """CheckpointError unless names, shapes and types of the weights are those of the definition.

    The network that they are compared with has no memory, so that a small file cannot ask for a large one. Only those
    of other packages are made as they are: what they do in the making is not ours.
    """
    custom = isinstance(metadata.definition.architecture, CustomArchitecture)
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if custom else "meta"):
        network = build_network(metadata.definition)
    expected = {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}
    found = {name: (tuple(value.shape), value.dtype) for name, value in tensors.items()}
    if expected != found:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise CheckpointError(f"{metadata.path}: its tensor {wrong[0]} does not fit its architecture; train it anew")


def _as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: value.numpy() for name, value in tensors.items()}
