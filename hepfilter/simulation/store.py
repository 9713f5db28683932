"""Blocks on disk beside the output: what lets a sample go on where it was ended, and keeps memory flat.

A block's file is named by its process, by a hash of all that its content depends on, and by its place, so a block is
taken up again only where it is the right one: by the same command, or by one that asks for more events or processes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cramjam
import numpy as np

from hepfilter import __version__
from hepfilter.errors import OutputError
from hepfilter.io.publishing import remove_unfinished, write_whole
from hepfilter.simulation.blocks import BLOCK_EVENTS, BlockTask, MadeBlock
from hepfilter.simulation.nano import NanoBlock
from hepfilter.wording import counted
from hepfilter.work.run_lock import LOCK, locked_folder

_DIGEST_SIZE = 16
_FAULTS = (cramjam.DecompressionError, zipfile.BadZipFile, EOFError, OSError, ValueError, TypeError, LookupError)
_BLOCKS = "*.block"
_DEPENDENCIES = ("pythia8mc", "fastjet", "numpy")


class BlockStore:
    """A folder of blocks; any process may write into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, task: BlockTask) -> Path:
        """The file of a block."""
        return self.folder / f"{_process_stem(task)}-{task.block:06}-{task.events}.block"

    def refuse_others(self, tasks: Sequence[BlockTask]) -> None:
        """OutputError if blocks of other processes, seeds or versions than those of `tasks` lie here: they may be an
        unfinished sample that somebody wants to go on with."""
        stems = {_process_stem(task) for task in tasks}
        others = sorted(path.name for path in self.folder.glob(_BLOCKS) if path.name.rsplit("-", 2)[0] not in stems)
        if others:
            raise OutputError(
                f"{self.folder}: holds {counted(len(others), 'block')} of another sample, such as {others[0]}; finish "
                "that by its own command, remove the folder, or give another output"
            )

    def __contains__(self, task: BlockTask) -> bool:
        return self.path(task).is_file()

    def save(self, task: BlockTask, made: MadeBlock) -> None:
        """Write a block, whole or not at all; OutputError if the disk is full or the folder gone."""
        arrays: dict[str, Any] = {f"scalar/{name}": column for name, column in made.columns.scalars.items()}
        arrays |= {f"counts/{name}": column for name, column in made.columns.counts.items()}
        arrays |= {f"values/{name}/{f}": c for name, columns in made.columns.values.items() for f, c in columns.items()}
        arrays |= {"place": made.place, "weights": made.weights}
        arrays["seconds"] = np.array([made.generator_seconds, made.reconstruction_seconds])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        stored = bytes(cramjam.zstd.compress(buffer.getvalue(), level=1))
        write_whole(self.path(task), _digest(stored), stored)

    def load(self, task: BlockTask) -> MadeBlock:
        """Read a block back; OutputError if its file is damaged."""
        path = self.path(task)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror}; run the same command again") from error
        try:
            if data[:_DIGEST_SIZE] != _digest(data[_DIGEST_SIZE:]):
                raise ValueError("digest")
            unpacked = io.BytesIO(bytes(cramjam.zstd.decompress(data[_DIGEST_SIZE:])))
            return _block(dict(np.load(unpacked, allow_pickle=False)))
        except _FAULTS as error:
            raise OutputError(f"{path}: is damaged; remove it and run the same command again") from error


def _block(arrays: dict[str, Any]) -> MadeBlock:
    """The block that was saved as these arrays."""
    scalars, counts = {}, {}
    values: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        match key.split("/"):
            case ["scalar", name]:
                scalars[name] = array
            case ["counts", name]:
                counts[name] = array
                values.setdefault(name, {})
            case ["values", name, field]:
                values.setdefault(name, {})[field] = array
    columns = NanoBlock(len(arrays["place"]), scalars, counts, values)
    return MadeBlock(columns, arrays["place"], arrays["weights"], *map(float, arrays["seconds"]))


def finished_blocks(output: Path) -> int:
    """How many blocks of a sample to be written to `output` an earlier run has left."""
    return len(list(_folder(output).glob(_BLOCKS)))


@contextmanager
def open_store(output: Path) -> Iterator[BlockStore]:
    """The store for a sample to be written to `output`: the folder ``output.blocks``.

    It is removed when the block ends well, and when it holds nothing; else it stays, for the same command to go on.
    OutputError as `locked_folder`.
    """
    folder = _folder(output)
    with locked_folder(folder, output=output):
        remove_unfinished(folder, _BLOCKS)
        done = False
        try:
            yield BlockStore(folder)
            done = True
        finally:
            if done or not any(folder.glob(_BLOCKS)):
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what we have made; what else somebody put there stays."""
    remove_unfinished(folder, _BLOCKS)
    for path in [*folder.glob(_BLOCKS), folder / LOCK]:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_SIZE).digest()


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.blocks")


def _process_stem(task: BlockTask) -> str:
    """What the names of all blocks of a process begin with: its name, and a hash of all that decides their content."""
    content = {"card": task.card.model_dump(mode="json"), "seed": task.seed, "versions": _versions()}
    content |= {"particles": task.particles, "pileup": task.pileup, "block_events": BLOCK_EVENTS}
    digest = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
    return f"{task.card.name}-{digest}"


@cache
def _versions() -> dict[str, str]:
    return {"hepfilter": __version__, **{name: version(name) for name in _DEPENDENCIES}}
