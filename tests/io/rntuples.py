"""RNTuples for the tests: made with uproot, opened, skimmed."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from hepfilter.io.compression import parse_compression
from hepfilter.io.container import RootFile
from hepfilter.io.rntuple.reading import NTuple, read_ntuple
from hepfilter.io.rntuple.selection import column_values
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.writing import Column, write_empty_streamers


class Bytes:
    """A file's bytes, and the ranges that were asked for."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return os.pread(self._file, stop - start, start)

    def __del__(self) -> None:
        os.close(self._file)


def open_ntuple(path: Path | str, name: str = "Events") -> NTuple:
    with uproot.open(path) as file:
        position = file.key(name).fSeekKey
    return read_ntuple(Bytes(path), str(path), name, position)


def make_ntuple(path: Path, clusters: Sequence[int] = (100,), *, first: int = 0, name: str = "Events") -> Path:
    """An ntuple written by uproot, one cluster after the other."""
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        ntuple = None
        for size in clusters:
            number = np.arange(first, first + size)
            first += size
            counts = number % 4
            arrays = {
                "id": number,
                "x": (number / 7).astype(np.float32),
                "flag": number % 3 == 0,
                "small": (number % 100).astype(np.int16),
                "xs": ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts),
                "text": ak.Array([f"event {i}" for i in number]),
                "deep": pairs_of(number % 3),
            }
            if ntuple is None:
                ntuple = file.mkrntuple(name, arrays)
            else:
                ntuple.extend(arrays)
    return path


def pairs_of(counts: np.ndarray) -> ak.Array:
    """Lists of these lengths, of lists of two numbers."""
    total = int(counts.sum())
    return ak.unflatten(ak.unflatten(np.arange(2 * total), np.full(total, 2)), counts)


def skim_ntuple(
    source: NTuple | Sequence[tuple[NTuple, np.ndarray]],
    kept: np.ndarray | None,
    path: Path,
    *,
    added: Sequence[Column] = (),
    drop: Collection[str] = (),
    extra: Sequence[dict[str, np.ndarray]] | None = None,
    compression: str = "ZSTD:5",
) -> NTuple:
    """Skim one source, or several with what is kept of each, and open the result."""
    sources = [(source, kept)] if isinstance(source, NTuple) else list(source)
    with RootFile(path, compression=parse_compression(compression)) as out:
        write_empty_streamers(out)
        with NTupleWriter(out, sources[0][0], added, drop=frozenset(drop)) as writer:
            for number, (own, chosen) in enumerate(sources):
                writer.copy(own, chosen, extra[number] if extra else None)
            total = sum(int(chosen.sum()) for _, chosen in sources)
            assert writer.num_entries == total
            name = writer.name
    result = open_ntuple(path, name)
    assert result.num_entries == total
    return result


def assert_copied(source: NTuple, kept: np.ndarray, copy: NTuple, *, first: int = 0) -> None:
    """Every column of the copy's fields holds, from entry `first` on, the chosen items of the source's, bit for bit."""
    chosen = np.flatnonzero(kept)
    wanted = column_values(source, source.field_names, chosen)
    found = column_values(copy, source.field_names, range(first, first + len(chosen)))
    assert [name for name, _ in wanted] == [name for name, _ in found]
    assert [name for (name, old), (_, new) in zip(wanted, found, strict=True) if old != new] == []


def choose(number: int, share: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(number) < share
