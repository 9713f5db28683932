"""Which objects become nodes."""

import numpy as np

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.graphs.nodes import collect_nodes
from tests.graph_records import random_record, record_of


def limited(**changes: object) -> GraphSpecification:
    shipped = load_graph_specification("objects").model_dump()
    return GraphSpecification.model_validate({**shipped, **changes})


def test_collections_stand_in_the_specifications_order_and_the_softest_of_the_last_are_cut() -> None:
    specification = limited(collections={"muon": {"max_count": 2}, "jet": {"max_count": 3}}, max_nodes=4)
    jets = [{"pt": pt} for pt in (90.0, 80.0, 70.0, 60.0)]
    muons = [{"pt": pt, "charge": 1.0} for pt in (30.0, 20.0, 10.0)]
    nodes = collect_nodes(record_of(2, jet=[jets, []], muon=[muons, muons[:1]]), specification)
    by_event = {
        event: nodes.pt[nodes.event == event][np.argsort(nodes.position[nodes.event == event])] for event in (0, 1)
    }
    assert by_event[0].tolist() == [30.0, 20.0, 90.0, 80.0]
    assert by_event[1].tolist() == [30.0]
    assert nodes.collection[nodes.pt == 90.0].tolist() == [1]


def test_soft_and_forward_objects_are_no_nodes_and_free_their_place() -> None:
    specification = limited(collections={"jet": {"max_count": 2, "min_pt": 25, "max_abs_eta": 3}}, max_nodes=2)
    jets = [{"pt": 90.0, "eta": -4.0}, {"pt": 50.0}, {"pt": 40.0, "eta": 3.0}, {"pt": 30.0}, {"pt": 24.9}]
    nodes = collect_nodes(record_of(jet=[jets]), specification)
    assert nodes.pt.tolist() == [50.0, 40.0]


def test_positions_have_no_gaps_and_every_event_has_the_nodes_a_loop_finds() -> None:
    specification = load_graph_specification("objects")
    record = random_record(200, seed=5)
    nodes = collect_nodes(record, specification)
    for event in range(200):
        expected = []
        for name, limits in specification.collections.items():
            kept = [
                o
                for o in record[event, name].to_list()
                if o["pt"] >= limits.min_pt and abs(o["eta"]) <= (limits.max_abs_eta or np.inf)
            ]
            expected += [o["pt"] for o in kept[: limits.max_count]]
        mine = nodes.event == event
        order = np.argsort(nodes.position[mine])
        assert nodes.position[mine][order].tolist() == list(range(mine.sum()))
        assert nodes.pt[mine][order].tolist() == expected[: specification.max_nodes]


def test_missing_charge_and_identity_are_zero() -> None:
    specification = load_graph_specification("particles")
    nodes = collect_nodes(record_of(particle=[[{"pt": 5.0}]]), specification)
    assert nodes.charge.tolist() == [0.0]
    assert nodes.pdg_id.tolist() == [0]


def test_nan_is_kept_so_that_it_is_noticed() -> None:
    nodes = collect_nodes(record_of(jet=[[{"pt": float("nan")}]]), load_graph_specification("objects"))
    assert np.isnan(nodes.pt).tolist() == [True]
