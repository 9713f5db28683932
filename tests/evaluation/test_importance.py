"""What a network ignores has no importance, and what it uses has the one that is known."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
from hepfilter.evaluation import importance as module
from hepfilter.evaluation.importance import Importance, ImportanceStudy, importance, shuffled_feature, shuffled_momenta
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.caching import open_events
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.io.sources import Source
from tests.training.simulated import write_sample

CLASSES = (EventClass(name="background", is_signal=False), EventClass(name="signal", is_signal=True))
GRAPH = load_graph_specification("objects")


def definition(graph: GraphSpecification = GRAPH) -> ModelDefinition:
    return ModelDefinition(graph=graph, architecture=load_architecture("edgeconv-small"), classes=CLASSES)


def column(graphs: PaddedGraphs, name: str, graph: GraphSpecification = GRAPH) -> NDArray[np.float32]:
    """[b] the sum of one feature over the nodes."""
    values: NDArray[np.float32] = graphs.features[:, :, graph.feature_names.index(name)].sum(1).numpy()
    return values


def margin(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of the two classes."""
    return np.stack([-score, score], axis=1)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CachedGraphs]:
    """Soft jets as background, two hard muons as signal."""
    path = write_sample(tmp_path_factory.mktemp("importance") / "s.root", events_each=300)
    with open_events([Source(str(path))], GRAPH, cache=None, split_seed=1, progress=lambda *_: None) as found:
        yield found.select(np.isin(found.labels, [0, 102]))


def by_name(study: ImportanceStudy) -> dict[str, Importance]:
    return {one.name: one for one in study.inputs}


def of(events: CachedGraphs, score: str) -> dict[str, Importance]:
    def logits(graphs: PaddedGraphs) -> NDArray[np.float32]:
        return margin(column(graphs, score) / 10)

    target = (events.labels == 102).astype(np.int64)
    return by_name(importance(logits, events, target, np.ones(len(events)), definition()))


def test_what_is_ignored_counts_nothing(events: CachedGraphs) -> None:
    found = of(events, "is_muon")
    assert list(found) == [*GRAPH.node_features, "pairs", *GRAPH.collections]
    for name in ("ln_pt", "ln_energy", "charge", "pairs", "jet", "photon"):  # a muon stays one whatever is beside it
        assert (found[name].loss.value, found[name].loss.error, found[name].auc.value) == (0, 0, 0)
    for name in ("collection", "muon"):
        assert found[name].loss.value > 5 * found[name].loss.error > 0
        assert found[name].auc.value > 0.2


def test_a_collection_that_is_missing_tells_nothing(events: CachedGraphs) -> None:
    found = of(events, "is_muon")
    assert found["muon"].auc.value == pytest.approx(0.5, abs=0.05)  # what is left has no muon to be told by


def test_one_feature_by_which_all_is_told() -> None:
    """Margins of ±6: shuffled, half of the events are wrong by as much, and the loss rises by 3."""
    graph = GraphSpecification.model_validate(
        {
            "name": "one", "collections": {"muon": {"max_count": 1}}, "max_nodes": 1, "edges": {"kind": "full"},
            "node_features": ["ln_pt", "charge"], "pair_features": ["ln_delta_r"],
        }
    )  # fmt: skip
    n = 4_000
    target = np.arange(n) % 2
    features = torch.stack([torch.rand(n), torch.from_numpy(2.0 * target - 1).float()], dim=1).unsqueeze(1)
    graphs = PaddedGraphs(features, torch.ones(n, 1, 4), torch.ones(n, 1, dtype=torch.bool))
    empty = np.zeros((n, len(OBSERVABLES)), np.float32)
    data = LabelledGraphs(target.astype(np.int32), np.ones(n), np.zeros(n), empty, graphs=graphs)
    study = importance(lambda g: margin(3 * column(g, "charge", graph)), data, target, np.ones(n), definition(graph))
    found = by_name(study)
    assert list(found) == ["ln_pt", "charge", "pairs"]  # one collection cannot be left out
    assert (study.n_events, study.auc) == (n, 1)
    assert study.loss == pytest.approx(np.log1p(np.exp(-6)))
    assert abs(found["charge"].loss.value - 3) < 4 * found["charge"].loss.error < 0.6
    assert abs(found["charge"].auc.value - 0.5) < 4 * found["charge"].auc.error < 0.1
    assert found["ln_pt"].loss.value == found["pairs"].auc.value == 0


def test_pairs_are_told_by_momenta(events: CachedGraphs) -> None:
    target = (events.labels == 102).astype(np.int64)

    def logits(graphs: PaddedGraphs) -> NDArray[np.float32]:
        return margin(graphs.momenta[:, :, 0].sum(1).numpy() / 1000)

    found = by_name(importance(logits, events, target, np.ones(len(events)), definition()))
    assert found["pairs"].auc.value > 5 * found["pairs"].auc.error > 0
    assert all(found[name].loss.value == 0 for name in GRAPH.node_features)


def test_few_events_of_each_class_stand_for_all(events: CachedGraphs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 200)
    target = (events.labels == 102).astype(np.int64)
    weights = np.where(target == 1, 3.0, 1.0)
    weights *= np.random.default_rng(1).uniform(0.5, 1.5, len(target))
    share = weights[target == 1].sum() / weights.sum()

    def logits(graphs: PaddedGraphs) -> NDArray[np.float32]:
        return np.tile(np.log([1, 3]).astype(np.float32), (len(graphs), 1))

    study = importance(logits, events, target, weights, definition())
    assert study.n_events == 200
    assert study.auc == 0.5
    assert study.loss == pytest.approx(-share * np.log(0.75) - (1 - share) * np.log(0.25), rel=1e-5)


def test_a_handful_of_events_gives_no_errors(events: CachedGraphs) -> None:
    few = events.select(np.isin(np.arange(len(events)), [0, len(events) - 1]))
    target = (few.labels == 102).astype(np.int64)
    study = importance(lambda g: margin(column(g, "is_muon")), few, target, np.ones(2), definition())
    assert (study.n_events, study.n_repeats) == (2, 2)
    assert np.isnan(study.auc)  # never both signal and background
    only = few.select(np.array([True, False]))
    single = importance(lambda g: margin(column(g, "is_muon")), only, target[:1], np.ones(1), definition())
    assert np.isnan(single.inputs[0].loss.error)


def test_shuffling_stays_within_collections(events: CachedGraphs) -> None:
    graphs, rng = events.padded(np.arange(200)), np.random.default_rng(1)
    found = shuffled_feature(graphs, "ln_pt", GRAPH, rng)
    one_hot = [number for number, name in enumerate(GRAPH.feature_names) if name.startswith("is_")]
    kind = graphs.features[graphs.mask][:, one_hot].argmax(1)
    before, after = (g.features[g.mask] for g in (graphs, found))
    assert (after[:, 0] != before[:, 0]).float().mean() > 0.5
    assert torch.equal(after[:, 1:], before[:, 1:])
    for number in kind.unique():
        assert torch.equal(after[kind == number, 0].sort().values, before[kind == number, 0].sort().values)
    assert not found.features[~graphs.mask].any()
    mixed = shuffled_feature(graphs, "collection", GRAPH, rng).features[graphs.mask]
    assert torch.equal(mixed[:, one_hot].sum(1), torch.ones(len(mixed)))
    assert (mixed[:, one_hot].argmax(1) != kind).any()


def test_shuffled_momenta_are_the_same_all_together(events: CachedGraphs) -> None:
    graphs = events.padded(np.arange(200))
    found = shuffled_momenta(graphs, np.random.default_rng(1))
    assert not torch.equal(found.momenta, graphs.momenta)
    assert torch.equal(found.features, graphs.features)
    assert torch.equal(found.momenta[graphs.mask][:, 0].sort().values, graphs.momenta[graphs.mask][:, 0].sort().values)
    assert not found.momenta[~graphs.mask].any()
