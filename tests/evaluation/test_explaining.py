"""What is said to carry a score does: without it the score is lower, by just that much."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.config.model import TransformerArchitecture
from hepfilter.evaluation.explaining import Explanation, explain, score_subsets
from hepfilter.graphs import keys
from hepfilter.graphs.build import build_batch, build_padded
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.models.checkpoint import save
from hepfilter.models.interest import interest
from hepfilter.scoring.scorer import Scorer
from tests.graph_records import network, random_record, record_of, small_objects_particles, small_particles
from tests.training.simulated import CARDS, write_sample

DILEPTON = record_of(
    muon=[[{"pt": 300.0, "eta": 0.3, "charge": 1.0}, {"pt": 280.0, "eta": -0.5, "phi": 3.0, "charge": -1.0}]],
    jet=[[{"pt": 60.0, "eta": 1.0, "phi": 1.5, "mass": 9.0}, {"pt": 30.0, "eta": -2.0, "phi": -1.0, "mass": 5.0}]],
    met=[[{"pt": 20.0, "phi": 0.5}]],
)


@pytest.fixture(scope="module")
def shipped() -> Scorer:
    return Scorer("interest-objects", device="cpu", threads=1)


@pytest.fixture(scope="module")
def signals(shipped: Scorer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Explanation, ...]:
    """Of dilepton events with at least four nodes that the shipped model finds interesting."""
    path = write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=120)
    with open_file(Source(str(path))) as file:
        events = find_events(file).read()
    record = events.record[events.identity.luminosity_block == CARDS["zprime_ll"]]
    found = build_padded(record, shipped.metadata.definition.graph).node_counts.numpy() >= 4
    return explain(shipped, record[found & (shipped.score(record) > 2)])


def lost(shipped: Scorer, event: Explanation, gone: np.ndarray) -> float:
    kept = ~np.isin(np.arange(len(event.carried)), gone)
    return event.score - float(score_subsets(shipped, event.nodes, kept[None])[0])


@pytest.mark.parametrize("count", [1, 2])
def test_without_what_carries_most_the_score_is_lowest(shipped, signals, count):
    assert len(signals) > 40
    rng = np.random.default_rng(1)
    most, any_of_them, least = [], [], []
    for event in signals:
        order = np.argsort(-event.carried)
        most.append(lost(shipped, event, order[:count]))
        any_of_them.append(lost(shipped, event, rng.permutation(order)[:count]))
        least.append(lost(shipped, event, order[-count:]))
    assert np.mean(most) > np.mean(any_of_them) + 1 > np.mean(least) + 1.5


def test_of_a_dilepton_the_leptons_and_the_edge_between_them_carry_the_score(shipped):
    (event,) = explain(shipped, DILEPTON)
    assert event.score == pytest.approx(float(shipped.score(DILEPTON)[0]), abs=1e-3)
    assert event.nodes.pt.tolist() == [20, 300, 280, 60, 30]
    assert set(np.argsort(-event.carried)[:2]) == {1, 2}
    assert event.edges[:, np.argmax(event.carried_by_edges)].tolist() == [1, 2]
    assert event.carried_by_edges.max() > 1


def test_an_object_carries_what_a_file_without_it_would_lack(shipped):
    (event,) = explain(shipped, DILEPTON)
    without = ak.with_field(DILEPTON, DILEPTON.muon[:, 1:], "muon")
    assert event.carried[1] == pytest.approx(event.score - float(shipped.score(without)[0]), abs=2e-3)


def made(tmp_path: Path, graph: GraphSpecification, **options) -> Scorer:
    path = tmp_path / "made.safetensors"
    save(network(graph, **options), path, provenance={})
    return Scorer(path, device="cpu", threads=1)


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        (load_graph_specification("objects"), {}),
        (small_particles(), {}),
        (small_objects_particles(), {"architecture": TransformerArchitecture(width=16, layers=2, heads=4)}),
    ],
    ids=["full", "nearest", "transformer"],
)
def test_an_edge_carries_what_the_reference_loses_without_it(tmp_path, graph, options):
    scorer, record = made(tmp_path, graph, **options), random_record(3, seed=4)
    for place, event in enumerate(explain(scorer, record)):
        batch = build_batch(record[place : place + 1], graph)
        pairs = np.sort(batch.edge_index.numpy(), axis=0)
        assert {tuple(pair) for pair in pairs.T.tolist()} == {tuple(pair) for pair in event.edges.T.tolist()}
        assert len(event.edges[0]) == len(set(map(tuple, event.edges.T.tolist()))) == len(event.carried_by_edges)
        for number in range(0, event.edges.shape[1], 7):
            kept = torch.from_numpy(~(pairs == event.edges[:, [number]]).all(axis=0))
            fewer = batch.clone()
            fewer[keys.EDGE_INDEX], fewer[keys.EDGE_ATTR] = batch.edge_index[:, kept], batch.edge_attr[kept]
            with torch.inference_mode():
                logits = scorer.inference.network(fewer).numpy()
            expected = event.score - float(interest(logits, scorer.metadata.definition.classes)[0])
            assert event.carried_by_edges[number] == pytest.approx(expected, abs=1e-4)
        assert np.abs(event.carried_by_edges).max() > 1e-3


def test_events_do_not_know_of_each_other_and_the_network_forgets(shipped):
    record = ak.concatenate([DILEPTON, random_record(3, seed=2), DILEPTON])
    before = shipped.score(record)
    first, *_, last = explain(shipped, record)
    (alone,) = explain(shipped, DILEPTON)
    for event in (first, last):
        assert event.score == alone.score
        assert event.carried.tolist() == alone.carried.tolist()
        assert event.carried_by_edges.tolist() == alone.carried_by_edges.tolist()
    assert shipped.score(record).tolist() == before.tolist()


def test_events_with_no_object_or_one(shipped):
    empty, single = explain(shipped, record_of(2, muon=[[], [{"pt": 50.0, "charge": 1.0}]]))
    assert len(empty.carried) == len(empty.carried_by_edges) == len(single.carried_by_edges) == 0
    assert empty.edges.shape == (2, 0)
    assert single.carried.tolist() == [single.score - empty.score]
    assert explain(shipped, random_record(0)) == ()
