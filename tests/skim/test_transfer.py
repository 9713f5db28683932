"""The columns that a skim adds, and the order in which clusters are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.copy_plan import Cluster, Piece
from hepfilter.io.copying import ClusterBaskets
from hepfilter.skim.added import ENTRY, INTEREST, PASSED, AddedValues, added_columns
from hepfilter.skim.cluster_copy import Write
from hepfilter.skim.transfer import TreeTransfer


def added(entries: list[int], scores: list[float]) -> AddedValues:
    columns = (
        (INTEREST, np.array(scores, np.float32)),
        (PASSED, np.ones(len(entries), bool)),
        (ENTRY, np.array(entries)),
    )
    return AddedValues(np.array(entries), dict(columns))


SCORED = added([2, 5, 9], [0.5, -1.0, 3.0])


def test_the_columns_that_readers_know():
    assert [(column.name, np.dtype(column.dtype)) for column in SCORED.columns] == [
        ("HepFilter_interest", np.float32),
        ("HepFilter_passed", np.bool_),
        ("HepFilter_entry", np.int64),
    ]
    assert added_columns(("interest",)) == SCORED.columns
    assert added_columns(()) == [PASSED, ENTRY]


def test_each_entry_has_its_own_score():
    values = SCORED.of(np.array([5, 9]))
    assert {name: column.tolist() for name, column in values.items()} == {
        INTEREST.name: [-1.0, 3.0],
        PASSED.name: [True, True],
        ENTRY.name: [5, 9],
    }
    assert values[INTEREST.name].dtype == np.float32


class Output:
    """Stands for a SkimOutput: keeps what is written to its events."""

    def __init__(self) -> None:
        self.written: list[tuple[int, list[int], dict[str, list[Any]]]] = []

    @contextmanager
    def new_events(self, _layout: object, columns: object) -> Iterator["Output"]:
        assert columns == SCORED.columns
        yield self

    def write_cluster(self, count: int, baskets: list[int], columns: dict[str, npt.NDArray[Any]]) -> None:
        self.written.append((count, baskets, {name: values.tolist() for name, values in columns.items()}))


class Copies:
    """Stands for a ClusterCopy: each cluster in two groups, whose baskets are numbers."""

    def __init__(self, clusters: list[Cluster]) -> None:
        self.plan = SimpleNamespace(clusters=clusters, layout=None)

    def run(self, output: int, write: Write) -> None:
        for number, cluster in enumerate(self.plan.clusters):
            if cluster.output == output:
                write(cluster, [ClusterBaskets([group * 10 + number], 100 + group) for group in range(2)])


def test_an_output_gets_its_clusters_with_the_values_of_all_their_pieces():
    other = added([0, 2], [7.0, 8.0])
    clusters = [
        Cluster(0, (Piece(0, np.array([2, 5])),)),
        Cluster(1, (Piece(0, np.array([9])), Piece(1, np.array([0, 2])))),
        Cluster(1, (Piece(1, np.array([2])),)),
    ]
    transfer, counts = TreeTransfer(Copies(clusters), [SCORED, other]), []
    first, second = Output(), Output()
    transfer.write(first, 0, counts.append)
    assert (counts, transfer.bytes_read) == ([2], 201)
    transfer.write(second, 1, counts.append)
    assert (counts, transfer.bytes_read) == ([2, 3, 1], 603)
    assert [baskets for _, baskets, _ in first.written + second.written] == [[0, 10], [1, 11], [2, 12]]
    assert second.written[0][2][ENTRY.name] == [9, 0, 2]
    assert second.written[0][2][INTEREST.name] == [3.0, 7.0, 8.0]
