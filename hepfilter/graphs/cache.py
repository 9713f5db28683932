"""Labelled events in a folder: read from ROOT files once, then mapped into memory, or larger than it.

A cache is a folder of three files, with neither pickle nor ROOT in them, to be carried to any machine:

header.json  format version, graph specification, seed of the split, names of the observables, facts of the sources,
             checksum of both arrays
nodes.npy    [V] what the specification made nodes, event by event: `node_dtype`
events.npy   [B] a row an event: `EVENT_DTYPE`

A folder without header is no cache: it is written last. Features are computed on loading, from the numbers that a ROOT
file would give and by the same code, so that graphs are the same bit for bit. `graphs.caching` makes caches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from hepfilter.config.files import is_file
from hepfilter.config.graph import GraphSpecification
from hepfilter.config.strict_json import load_json
from hepfilter.errors import ConfigError, TrainingError
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.build import pad_nodes
from hepfilter.graphs.nodes import FlatNodes
from hepfilter.graphs.padded import PaddedGraphs

FORMAT_VERSION: Final = 1
HEADER, NODES, EVENTS = "header.json", "nodes.npy", "events.npy"
EVENT_DTYPE: Final = np.dtype(
    [
        ("label", "<i4"),
        ("weight", "<f8"),
        ("split_hash", "<f8"),
        ("n_nodes", "<u2"),
        ("observables", "<f4", (len(OBSERVABLES),)),
    ]
)


class CacheError(TrainingError):
    """A cache that is damaged, or made for something else; `fault` is the message without what would work."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}; remove it, and make it again from the files with --cache")
        self.fault = fault


def node_dtype(specification: GraphSpecification) -> np.dtype[Any]:
    """A row of `NODES`, GeV and rad; `collection` is a position in the specification; pdg_id where it is a feature."""
    fields = [(name, "<f4") for name in ("pt", "eta", "phi", "mass")] + [("charge", "i1"), ("collection", "u1")]
    return np.dtype(fields + [("pdg_id", "<i4")] * ("particle_class" in specification.node_features))


def content_of(specification: GraphSpecification, *, split_seed: int) -> dict[str, Any]:
    """What a cache must be of, to serve a training, as it stands in its header."""
    return {
        "format_version": FORMAT_VERSION,
        "graph": specification.model_dump(mode="json"),
        "split_seed": split_seed,
        "observables": list(OBSERVABLES),
    }


@dataclass(frozen=True)
class CachedGraphs:
    """`graphs.labelled.LabelledEvents` of a cache; only what is asked for is read.

    nodes, events: the arrays of the folder, mapped.    first: [B + 1] int64, the nodes of each row of `events`.
    positions: [b] int64, which rows of `events` are meant.
    """

    specification: GraphSpecification
    nodes: NDArray[np.void]
    events: NDArray[np.void]
    first: NDArray[np.int64]
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def labels(self) -> NDArray[np.int32]:
        """[b] truth labels."""
        return self._column("label")

    @property
    def weights(self) -> NDArray[np.float64]:
        """[b] generator weights."""
        return self._column("weight")

    @property
    def split_hash(self) -> NDArray[np.float64]:
        """[b] in [0, 1)."""
        return self._column("split_hash")

    @property
    def observables(self) -> NDArray[np.float32]:
        """[b, O], read into memory."""
        return self._column("observables")

    def observable(self, name: str) -> NDArray[np.float32]:
        """[b] one column of the observables, by its name."""
        column: NDArray[np.float32] = self.events["observables"][:, OBSERVABLES.index(name)][self.positions]
        return column

    def select(self, events: NDArray[np.bool_]) -> Self:
        """The events where `events` is true; nothing but their positions is copied."""
        return replace(self, positions=self.positions[events])

    def padded(self, events: NDArray[np.int64], *, absent: NDArray[np.bool_] | None = None) -> PaddedGraphs:
        """The graphs at these positions, in this order; `absent` [b, C] takes collections out of each event.

        An event without them is as if its file had none of them: the places of the others close up.
        """
        rows = self.positions[events]
        counts = self.first[rows + 1] - self.first[rows]
        event = np.repeat(np.arange(len(rows)), counts)
        position = _places(counts)
        table = self.nodes[np.repeat(self.first[rows], counts) + position]
        if absent is not None:
            kept = ~absent[event, table["collection"]]
            table, event = table[kept], event[kept]
            position = _places(np.bincount(event, minlength=len(rows)))
        return pad_nodes(_flat(table, event, position), self.specification, n_events=len(rows))

    def _column(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = self.events[name][self.positions]
        return column


def is_cache(path: str | Path) -> bool:
    """Whether a folder is a cache."""
    return is_file(Path(path) / HEADER)


def open_cache(folder: Path, specification: GraphSpecification, *, split_seed: int) -> CachedGraphs:
    """The events of a cache; CacheError if it is damaged, or made for something else than this training."""
    header = read_header(folder)
    for key, wanted in content_of(specification, split_seed=split_seed).items():
        if header.get(key) != wanted:
            raise CacheError(f"{folder}: its {_difference(key, header.get(key), wanted)}")
    if "checksum" not in header:
        raise CacheError(f"{folder}: has no checksum, which every cache of this version has")
    nodes = _load(folder / NODES, node_dtype(specification))
    events = _load(folder / EVENTS, EVENT_DTYPE)
    first = np.concatenate([[0], np.cumsum(events["n_nodes"], dtype=np.int64)])
    if len(events) != header.get("n_events") or len(nodes) != first[-1]:
        raise CacheError(f"{folder}: its files do not belong together")
    if header["checksum"] != checksum_of(nodes, events):
        raise CacheError(f"{folder}: is damaged, its checksum is another")
    return CachedGraphs(specification, nodes, events, first, np.arange(len(events)))


def read_header(folder: Path) -> dict[str, Any]:
    """The header of a cache; TrainingError if the folder is none, CacheError if it cannot be read."""
    if not is_cache(folder):
        raise TrainingError(f"{folder}: is no cache of `hepfilter train --cache`, which has a {HEADER}")
    try:
        header = load_json(folder / HEADER)
    except ConfigError as error:
        raise CacheError(str(error)) from error
    return header if isinstance(header, dict) else {}


def checksum_of(nodes: NDArray[np.void], events: NDArray[np.void]) -> str:
    """The xxh3-128 of the rows of both arrays, each by itself, as it stands in the header."""
    return " ".join(xxhash.xxh3_128_hexdigest(array.view(np.uint8).data) for array in (nodes, events))


def _load(path: Path, dtype: np.dtype[Any]) -> NDArray[np.void]:
    """An array of the cache, mapped; CacheError if it is not what it must be."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise CacheError(f"{path}: cannot be read ({error})") from error
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
        raise CacheError(f"{path}: holds something else")
    return array.view(np.ndarray)


def _difference(key: str, found: Any, wanted: Any) -> str:
    """What differs, in words: the innermost key of a mapping, and both values where they are short."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        name = next(name for name in {**wanted, **found} if found.get(name) != wanted.get(name))
        return f"{key}: {_difference(name, found.get(name), wanted.get(name))}"
    if isinstance(wanted, list):
        return f"{key} are others"
    return f"{key} is {found}, the training's {wanted}"


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 … n - 1 for each n of `counts`, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _flat(table: NDArray[np.void], event: NDArray[np.int64], position: NDArray[np.int64]) -> FlatNodes:
    """Rows of `NODES` as the nodes that they were."""
    names = table.dtype.names or ()
    return FlatNodes(
        event=event,
        position=position,
        collection=table["collection"].astype(np.int64),
        **{name: table[name] for name in ("pt", "eta", "phi", "mass")},
        charge=table["charge"].astype(np.float32),
        pdg_id=table["pdg_id"] if "pdg_id" in names else np.zeros(len(table), np.int32),
    )
