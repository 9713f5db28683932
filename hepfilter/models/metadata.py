"""What a checkpoint says of itself, readable without torch.

A checkpoint is one safetensors file (8 bytes little-endian length, a JSON header, the tensors' bytes; nothing in it is
ever executed). The header's ``__metadata__`` holds under ``hepfilter`` a JSON text with the keys

format_version  int; `FORMAT_VERSION` is the newest that is understood, older ones are migrated
model_hash      BLAKE2b of definition and weights, see `model_hash`
definition      graph specification, architecture, classes with their priors (`config.model.ModelDefinition`)
provenance      how the weights came to be: plain data, for people but for what `Origin` reads
calibration     score → background p-value as plain data, or null; not part of the model hash
digest          BLAKE2b of the other keys, against damage
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from hepfilter.config.base import StrictModel, validate
from hepfilter.config.files import is_file
from hepfilter.config.model import ModelDefinition
from hepfilter.config.shipped import MODEL_SUFFIX
from hepfilter.config.shipped import pretrained_models as pretrained_models
from hepfilter.config.strict_json import parse_json
from hepfilter.config.training import Split
from hepfilter.errors import CheckpointError, ConfigError, nearest

FORMAT_VERSION: Final = 1
MAX_HEADER: Final = 16 * 2**20
"""Bytes; a longer header is taken for corruption before it is read."""

TEXT_KEY: Final = "hepfilter"

MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""From version v to v + 1, for every version before `FORMAT_VERSION`; the first has no forerunner."""


class _Content(StrictModel):
    """The metadata as they stand in the file."""

    format_version: int
    model_hash: str
    definition: dict[str, Any]
    provenance: dict[str, Any]
    calibration: dict[str, Any] | None


@dataclass(frozen=True)
class Process:
    """What a truth label means, and whether the model was trained on events of it."""

    label: int
    family: str
    is_signal: bool
    trained: bool


class StatedTraining(StrictModel):
    """What of its configuration a training has to tell: its `split`, and the simulation cards of its classes."""

    model_config = ConfigDict(extra="ignore")

    split: Split | None = None
    classes: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class Origin(StrictModel):
    """What is read of a provenance; all that it may lack, and whatever else it says is for people.

    `processes` are those that the training's configuration names; older trainings say `excluded_families` alone.
    """

    model_config = ConfigDict(extra="ignore")

    training: StatedTraining = StatedTraining()
    excluded_families: tuple[str, ...] = ()
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of one checkpoint. `stated_definition` is the definition as it stands in the file, for the hash."""

    path: Path
    format_version: int
    model_hash: str
    definition: ModelDefinition
    stated_definition: Mapping[str, Any]
    provenance: Mapping[str, Any]
    calibration: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The file's name without suffix, by which a model that ships is known."""
        return self.path.name.removesuffix(MODEL_SUFFIX)

    @property
    def origin(self) -> Origin:
        """What the provenance says of the training; CheckpointError if that is not what `hepfilter train` writes."""
        try:
            return validate(dict(self.provenance), Origin, where=f"{self.path}: provenance")
        except ConfigError as error:
            raise CheckpointError(f"{error}; save the model without that key, or train it anew") from error


def metrics_path(model: Path) -> Path:
    """Where the metrics of a training stand: beside the `model` that it wrote."""
    return model.with_suffix(".metrics.json")


def find_checkpoint(name: str | Path) -> Path:
    """The file of the model that ships as `name`, or the file at that path; CheckpointError names the nearest."""
    known = pretrained_models()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if is_file(path):
        return path
    close = nearest(str(name), known)
    raise CheckpointError(f"{name}: no such file and no model that ships ({', '.join(known) or 'none does'}){close}")


def read_metadata(name: str | Path) -> ModelMetadata:
    """The metadata of the model `name` (one that ships, or a path); CheckpointError if it is no sound checkpoint.

    The weights are not read, so their agreement with the model hash is not checked; `checkpoint.load` does that.
    """
    path = find_checkpoint(name)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            prefix = stream.read(8)
            header = stream.read(_header_length(prefix, size, path))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_header(header, size, path)


def parse_metadata(raw: bytes, path: Path) -> ModelMetadata:
    """As `read_metadata`, from all bytes of the file; `path` is for messages."""
    return parse_header(raw[8 : 8 + _header_length(raw[:8], len(raw), path)], len(raw), path)


def parse_header(header: bytes, size: int, path: Path) -> ModelMetadata:
    """From the JSON `header` of a file of `size` bytes; CheckpointError tells what is wrong with it."""
    corrupt = f"{path}: is no sound checkpoint (%s); fetch it again or train it anew"
    entries = _json_object(header, corrupt % "its header is not JSON")
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(TEXT_KEY), str):
        raise CheckpointError(f"{path}: is a safetensors file, but none of hepfilter; `hepfilter train` makes them")
    content = _json_object(metadata[TEXT_KEY], corrupt % "its metadata are not JSON")
    _refuse_newer(content, path)
    if content.pop("digest", None) != digest_of(content):
        raise CheckpointError(corrupt % "its metadata were changed")
    content = _migrated(content, path)
    if size != 8 + len(header) + _data_length(entries, corrupt):
        raise CheckpointError(corrupt % "its weights are cut short or overlong")
    return _metadata(content, path)


def digest_of(content: Mapping[str, Any]) -> str:
    """BLAKE2b (16 bytes, hexadecimal) of plain JSON data; the order of keys counts."""
    return hashlib.blake2b(_canonical(content), digest_size=16).hexdigest()


def model_hash(definition: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    """BLAKE2b (16 bytes, hexadecimal) over all that a score depends on.

    `definition` is plain JSON data: graph specification, architecture, classes; the order of its keys counts, since the
    order of the collections does. `tensors` are the weights and the normalisation by name; their order does not count.
    """
    state = hashlib.blake2b(b"hepfilter-model", digest_size=16)
    state.update(_canonical(definition))
    for name in sorted(tensors):
        values = np.asarray(tensors[name], order="C")
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        state.update(f"\0{name}\0{values.dtype.name}\0{list(values.shape)}\0".encode())
        state.update(little.tobytes())
    return state.hexdigest()


def _canonical(data: Mapping[str, Any]) -> bytes:
    """JSON without spaces, in ASCII, keys in their order."""
    return json.dumps(data, separators=(",", ":")).encode()


def _header_length(prefix: bytes, size: int, path: Path) -> int:
    """The length that the first 8 bytes announce, if it can be true."""
    length = int.from_bytes(prefix, "little") if len(prefix) == 8 else 0
    if not 2 <= length <= min(MAX_HEADER, size - 8):
        raise CheckpointError(f"{path}: is no checkpoint or is cut short; a file made by `hepfilter train` works")
    return length


def _json_object(text: str | bytes, message: str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise CheckpointError(message) from error
    if not isinstance(value, dict):
        raise CheckpointError(message)
    return value


def _refuse_newer(content: Mapping[str, Any], path: Path) -> None:
    """CheckpointError if the content comes from the future; nothing else of it can be judged then."""
    version = content.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has format version {version}, this hepfilter reads up to {FORMAT_VERSION}; install a newer one"
        )


def _migrated(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content in the newest format; CheckpointError if it comes from no known past."""
    version = content.get("format_version")
    while type(version) is not int or version != FORMAT_VERSION:
        if type(version) is not int or version not in MIGRATIONS:
            raise CheckpointError(f"{path}: has the unknown format version {version!r}; train it anew")
        content = MIGRATIONS[version](content)
        version = content["format_version"]
    return content


def _data_length(entries: Mapping[str, Any], corrupt: str) -> int:
    """The end of the last tensor's bytes, counted from the end of the header."""
    try:
        return max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (TypeError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise CheckpointError(corrupt % "its list of tensors is damaged") from error


def _metadata(content: Mapping[str, Any], path: Path) -> ModelMetadata:
    """The content as dataclass, validated."""
    try:
        valid = validate(content, _Content, where=str(path))
        definition = validate(valid.definition, ModelDefinition, where=f"{path}: definition")
    except ConfigError as error:
        raise CheckpointError(f"{error}; install the hepfilter that made this model, or train it anew") from error
    return ModelMetadata(
        path=path,
        format_version=valid.format_version,
        model_hash=valid.model_hash,
        definition=definition,
        stated_definition=valid.definition,
        provenance=valid.provenance,
        calibration=valid.calibration,
    )
