"""What a network looks at: how much worse it gets when a feature is shuffled, or a collection is not there.

Permutation importance (L. Breiman, Machine Learning 45 (2001) 5; A. Fisher, C. Rudin, F. Dominici, arXiv:1801.01489).
A feature is shuffled among the nodes of one collection of many events, so that no jet gets the charge of a muon. What
two features say alike, a network can take from either: the importance of each alone is small then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from hepfilter.config.graph import GraphSpecification
from hepfilter.config.model import ModelDefinition
from hepfilter.evaluation.metrics import BackgroundScores
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.reading import Progress
from hepfilter.models.interest import interest

MOST_EVENTS: Final = 20_000
"""As many of each class, where there are that many."""
REPEATS: Final = 5
PAIRS: Final = "pairs"

Logits = Callable[[PaddedGraphs], NDArray[np.float32]]
Kind = Literal["feature", "pairs", "collection"]


@dataclass(frozen=True)
class Change:
    """The mean of a change over the repeats, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Importance:
    """What is lost without one input: `loss` is how much the cross-entropy rises, `auc` how much the AUC falls.

    kind: "feature", shuffled among nodes; "pairs", edges and pair features, from momenta that are shuffled among nodes;
    "collection", taken out of the events.
    """

    kind: Kind
    name: str
    loss: Change
    auc: Change


@dataclass(frozen=True)
class ImportanceStudy:
    """Of `n_events`, a different part of them in each of `n_repeats`.

    loss: cross-entropy of the untouched events.    auc: of their `interest`, all signals against all backgrounds.
    """

    n_events: int
    n_repeats: int
    loss: float
    auc: float
    inputs: tuple[Importance, ...]


def importance(
    logits: Logits,
    data: LabelledEvents,
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    definition: ModelDefinition,
    *,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> ImportanceStudy:
    """For every node feature, the pairs, and every collection where there are several.

    `logits` gives [b, classes] of padded graphs; `targets` [B] are the true classes in the definition's order,
    `weights` [B] ≥ 0 what events count. `data` must be able to leave out collections (`graphs.cache`). With a part of
    the events for each repeat the errors are those of shuffling and of the sample.
    """
    rng = np.random.default_rng(seed)
    totals = np.bincount(targets, weights, minlength=len(definition.classes)).astype(np.float64)
    parts = _parts(targets, len(totals), rng)
    rows = []
    for part in parts:
        scaled = _with_totals(targets[part], weights[part], totals)
        test = _Test(logits, data, part, targets[part], scaled, definition)
        rows.append(list(test.figures(rng)))
        progress("importance", sum(map(len, parts[: len(rows)])), sum(map(len, parts)))
    figures = np.array([[figure for _, _, figure in row] for row in rows])  # [repeats, 1 + inputs, 2]
    intact, changes = figures[:, 0].mean(axis=0), (figures[:, 1:] - figures[:, :1]) * [1, -1]
    found = (
        Importance(kind, name, *(_change(changes[:, number, column]) for column in range(2)))
        for number, (kind, name, _) in enumerate(rows[0][1:])
    )
    return ImportanceStudy(sum(map(len, parts)), len(parts), float(intact[0]), float(intact[1]), tuple(found))


def shuffled_feature(
    graphs: PaddedGraphs, feature: str, specification: GraphSpecification, rng: np.random.Generator
) -> PaddedGraphs:
    """The graphs with one node feature (all columns of a one-hot one) shuffled among the nodes of each collection.

    The collection itself is shuffled among all nodes, as is everything where the graph does not tell the collection.
    """
    columns = _columns(specification)
    group = torch.zeros(int(graphs.mask.sum()), dtype=torch.int64)
    if feature != "collection" and "collection" in columns:
        group = graphs.features[graphs.mask][:, columns["collection"]].argmax(dim=1)
    order = _shuffle(group, rng)
    features = graphs.features.clone()
    nodes = features[graphs.mask]
    nodes[:, columns[feature]] = nodes[order][:, columns[feature]]
    features[graphs.mask] = nodes
    return replace(graphs, features=features)


def shuffled_momenta(graphs: PaddedGraphs, rng: np.random.Generator) -> PaddedGraphs:
    """The graphs with the momenta, of which edges and pair features are made, shuffled among all nodes."""
    momenta = graphs.momenta.clone()
    momenta[graphs.mask] = momenta[graphs.mask][torch.from_numpy(rng.permutation(int(graphs.mask.sum())))]
    return replace(graphs, momenta=momenta)


@dataclass(frozen=True)
class _Test:
    """The events of one repeat: `part` [b] are their positions in `data`; targets and weights [b] are theirs alone."""

    logits: Logits
    data: LabelledEvents
    part: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]
    definition: ModelDefinition

    def figures(self, rng: np.random.Generator) -> Iterator[tuple[Kind, str, tuple[float, float]]]:
        """Loss and AUC: first of the events as they are, then without each input."""
        graph, graphs = self.definition.graph, self.data.padded(self.part)
        several = len(graph.collections) > 1
        yield "feature", "", self._of(graphs)
        for feature in graph.node_features:
            if several or feature != "collection":
                yield "feature", feature, self._of(shuffled_feature(graphs, feature, graph, rng))
        yield "pairs", PAIRS, self._of(shuffled_momenta(graphs, rng))
        for number, collection in enumerate(graph.collections if several else ()):
            absent = np.zeros((len(self.part), len(graph.collections)), np.bool_)
            absent[:, number] = True
            yield "collection", collection, self._of(self.data.padded(self.part, absent=absent))

    def _of(self, graphs: PaddedGraphs) -> tuple[float, float]:
        """The mean cross-entropy, and the AUC of interest for all signals against all backgrounds."""
        logits, classes = self.logits(graphs), self.definition.classes
        right = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(logits)), self.targets]
        score = interest(logits, classes)
        signal = np.array([event_class.is_signal for event_class in classes])[self.targets]
        background = BackgroundScores(score[~signal], self.weights[~signal])
        return -float(right @ self.weights) / self.weights.sum(), background.auc(score[signal], self.weights[signal])


def _parts(targets: NDArray[np.int64], n_classes: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Positions of events for each repeat that has any: each event in one at most, equally many of each class."""
    repeat = np.full(len(targets), -1)
    for number in range(n_classes):
        chosen = rng.permutation(np.flatnonzero(targets == number))[: MOST_EVENTS // n_classes]
        repeat[chosen] = (np.arange(len(chosen)) + number) % REPEATS
    return [part for number in range(REPEATS) if len(part := np.flatnonzero(repeat == number))]


def _with_totals(
    targets: NDArray[np.int64], weights: NDArray[np.float64], totals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The weights [b], scaled within each class to its total."""
    sums = np.bincount(targets, weights, minlength=len(totals))
    factors = np.divide(totals, sums, out=np.zeros(len(totals)), where=sums > 0)
    scaled: NDArray[np.float64] = weights * factors[targets]
    return scaled


def _columns(specification: GraphSpecification) -> dict[str, slice]:
    """Node feature → its columns."""
    found: dict[str, slice] = {}
    start = 0
    for feature in specification.node_features:
        width = len(specification.model_copy(update={"node_features": (feature,)}).feature_names)
        found[feature] = slice(start, start + width)
        start += width
    return found


def _shuffle(group: Tensor, rng: np.random.Generator) -> Tensor:
    """[V] an order of the nodes that keeps every place in its group [V]."""
    order = torch.arange(len(group))
    for number in range(int(group.max()) + 1 if len(group) else 0):
        members = (group == number).nonzero().flatten()
        order[members] = members[torch.from_numpy(rng.permutation(len(members)))]
    return order


def _change(values: NDArray[np.float64]) -> Change:
    """From one value a repeat; of a single one the error is not known, NaN."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Change(float(values.mean()), error)
