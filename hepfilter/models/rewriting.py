"""Names for checkpoints, and giving one another calibration without touching what its model hash covers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hepfilter.errors import CheckpointError, UsageError
from hepfilter.io.publishing import refuse_output, write_whole
from hepfilter.models.metadata import TEXT_KEY, ModelMetadata, digest_of, find_checkpoint, parse_metadata

SUFFIX: Final = ".safetensors"
_ALIGNMENT: Final = 8
"""Bytes; safetensors pads its header with blanks to a multiple of this."""


def refuse_checkpoint(path: Path, *, force: bool) -> None:
    """What can be told of a model's file before any work: UsageError without the suffix, else as `refuse_output`."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: is no name for a model; give one that ends in {SUFFIX} with -o")
    refuse_output(path, force=force)


def write_calibration(name: str | Path, path: Path, calibration: Mapping[str, Any] | None) -> ModelMetadata:
    """Write the model `name` (one that ships, or a path) with another calibration, or without, to `path`.

    All else stays, the tensors byte by byte. CheckpointError if the model is not sound, OutputError as `write_whole`.
    """
    source = find_checkpoint(name)
    try:
        raw = source.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read: {error.strerror}") from error
    parse_metadata(raw, source)
    length = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:length])
    content = json.loads(header["__metadata__"][TEXT_KEY])
    del content["digest"]
    content["calibration"] = None if calibration is None else dict(calibration)
    header["__metadata__"][TEXT_KEY] = json.dumps(content | {"digest": digest_of(content)})
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    changed = len(text).to_bytes(8, "little") + text + raw[length:]
    metadata = parse_metadata(changed, path)
    write_whole(path, changed)
    return metadata
