"""Making a cache from simulated files, a bounded number of events at a time, or taking the one that is there."""

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from hepfilter import __version__
from hepfilter.config.graph import GraphSpecification
from hepfilter.errors import OutputError, TrainingError
from hepfilter.graphs.cache import (
    EVENT_DTYPE,
    EVENTS,
    HEADER,
    NODES,
    CachedGraphs,
    CacheError,
    content_of,
    is_cache,
    node_dtype,
    open_cache,
    read_header,
)
from hepfilter.graphs.labelled import refuse_nothing
from hepfilter.graphs.nodes import FlatNodes
from hepfilter.graphs.reading import LabelledNodes, Progress, read_chunks
from hepfilter.io.checksum import file_facts
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources

_PARTIAL: Final = ".part"


def cached_graphs(
    sources: Sequence[Source],
    specification: GraphSpecification,
    folder: Path,
    *,
    split_seed: int,
    progress: Progress,
    noted: Callable[[str], None] = lambda _: None,
) -> CachedGraphs:
    """The events of `sources`, from the cache in `folder`; it is made if there is none of them and of this version.

    "Of them" is told by size, UUID and checksum of each file (see `io.checksum.FileFacts`) and by its tree. One that is
    damaged is made anew, and `noted` hears of it. Of several processes one makes it, the others wait. OutputError if
    the folder holds other things or cannot be written, TrainingError and the errors of reading as
    `graphs.reading.read_chunks`, or if there is no event.
    """
    content = content_of(specification, split_seed=split_seed)
    content |= {"hepfilter": __version__, "sources": [_facts(source) for source in sources]}
    with _locked(folder):
        try:
            if is_cache(folder) and content.items() <= read_header(folder).items():
                return open_cache(folder, specification, split_seed=split_seed)
        except CacheError as error:
            noted(f"{error.fault}; it is made again from the files")
        chunks = read_chunks(sources, specification, split_seed=split_seed, progress=progress)
        try:
            numbers = _write(folder, chunks, specification)
            refuse_nothing(sources, numbers["n_events"])
            _publish(folder, content | numbers)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
        finally:
            for partial in folder.glob(f"*{_PARTIAL}"):
                partial.unlink()
    return open_cache(folder, specification, split_seed=split_seed)


def expand_events(inputs: Sequence[str]) -> list[Source]:
    """The files that `inputs` mean, as `io.sources.expand_sources`, where a folder may be a cache."""
    caches = [Source(text) for text in inputs if is_cache(text)]
    files = [text for text in inputs if not is_cache(text)]
    return caches + (expand_sources(files) if files or not caches else [])


@contextmanager
def open_events(
    sources: Sequence[Source],
    specification: GraphSpecification,
    *,
    cache: Path | None,
    split_seed: int,
    progress: Progress,
    noted: Callable[[str], None] = lambda _: None,
) -> Iterator[CachedGraphs]:
    """The events of `sources`, from the folder `cache` or from one that is gone after the `with` block.

    A single source may be a cache itself. TrainingError for a cache beside other sources; else as `cached_graphs`.
    """
    caches = [source.path for source in sources if is_cache(source.path)]
    if caches and len(sources) > 1:
        raise TrainingError(f"{caches[0]}: is a cache, which serves alone; make one of all files with --cache")
    if caches:
        yield open_cache(Path(caches[0]), specification, split_seed=split_seed)
    elif cache is not None:
        yield cached_graphs(sources, specification, cache, split_seed=split_seed, progress=progress, noted=noted)
    else:
        with tempfile.TemporaryDirectory(prefix="hepfilter-") as folder:
            yield cached_graphs(sources, specification, Path(folder), split_seed=split_seed, progress=progress)


def _facts(source: Source) -> dict[str, Any]:
    """What tells a source from another and from its later self."""
    with open_file(source) as file:
        return {"tree": source.tree, **asdict(file_facts(file))}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this process alone; OutputError if it holds what is none of ours."""
    try:
        folder.mkdir(exist_ok=True)
        others = {path.name.removesuffix(_PARTIAL) for path in folder.iterdir()} - {HEADER, NODES, EVENTS}
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be a folder for a cache: {error.strerror}") from error
    try:
        if others:
            raise OutputError(f"{folder}: holds {min(others)}, which belongs to no cache; give a folder of its own")
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(folder: Path, chunks: Iterator[LabelledNodes], specification: GraphSpecification) -> dict[str, Any]:
    """Write both arrays under temporary names; the numbers of events and nodes, and the checksum of both."""
    with (
        _GrowingArray(folder / f"{NODES}{_PARTIAL}", node_dtype(specification)) as nodes,
        _GrowingArray(folder / f"{EVENTS}{_PARTIAL}", EVENT_DTYPE) as events,
    ):
        for chunk in chunks:
            nodes.append(_node_rows(chunk.nodes, specification))
            events.append(_event_rows(chunk))
        checksum = f"{nodes.digest.hexdigest()} {events.digest.hexdigest()}"
        return {"n_events": events.length, "n_nodes": nodes.length, "checksum": checksum}


def _publish(folder: Path, header: dict[str, Any]) -> None:
    """Put the arrays in their places and the header last; whoever has mapped the old ones keeps them."""
    (folder / HEADER).unlink(missing_ok=True)
    (folder / f"{HEADER}{_PARTIAL}").write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
    for name in (NODES, EVENTS, HEADER):
        (folder / f"{name}{_PARTIAL}").replace(folder / name)


def _node_rows(nodes: FlatNodes, specification: GraphSpecification) -> NDArray[np.void]:
    """The nodes event by event; TrainingError for a charge that a byte does not hold."""
    whole = np.isin(nodes.charge, np.arange(-128, 128))
    if not whole.all():
        raise TrainingError(
            f"an object has the charge {nodes.charge[~whole][0]}; a cache holds whole ones, -128 to 127"
        )
    order = np.lexsort((nodes.position, nodes.event))
    rows = np.zeros(len(order), node_dtype(specification))
    for name in rows.dtype.names or ():
        rows[name] = getattr(nodes, name)[order]
    return rows


def _event_rows(chunk: LabelledNodes) -> NDArray[np.void]:
    """The columns of a chunk."""
    rows = np.zeros(len(chunk), EVENT_DTYPE)
    rows["label"], rows["weight"], rows["split_hash"] = chunk.labels, chunk.weights, chunk.split_hash
    rows["n_nodes"] = np.bincount(chunk.nodes.event, minlength=len(chunk))
    rows["observables"] = chunk.observables
    return rows


class _GrowingArray:
    """A one-dimensional .npy file that is appended to; its length comes into its header at the end.

    numpy leaves room in the header for any length (https://numpy.org/neps/nep-0001-npy-format.html).
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.length, self.digest = 0, xxhash.xxh3_128()
        self._dtype, self._stream = dtype, path.open("wb")

    def __enter__(self) -> Self:
        self._write_header()
        return self

    def append(self, rows: NDArray[np.void]) -> None:
        """Add rows at the end."""
        raw = rows.tobytes()
        self._stream.write(raw)
        self.digest.update(raw)
        self.length += len(rows)

    def __exit__(self, *_: object) -> None:
        self._stream.seek(0)
        self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        facts = {
            "descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self.length,)
        }  # fmt: skip
        np.lib.format.write_array_header_1_0(self._stream, facts)
