from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.flat import FlatObjects, matched
from hepfilter.simulation.jets import (
    FAKE_WORKING_POINTS,
    TAG_POWERS,
    TAG_SCORES,
    TAU_WORKING_POINTS,
    fat_jets,
    hadron_flavour,
    jets,
    medium_efficiency,
    tag_score,
    taus,
)  # fmt: skip
from hepfilter.simulation.truth import Truth

Maker = Callable[..., FlatObjects]
SHOTS = 40_000


def _truth(objects: Maker, **parts: FlatObjects) -> Truth:
    n_events = next(iter(parts.values())).n_events
    nothing = objects([], n_events=n_events)
    numbers = np.zeros(0, dtype=np.int64)
    empty = Truth(nothing, nothing, nothing, nothing, nothing, numbers, numbers)
    return replace(empty, **parts)


@pytest.mark.parametrize("flavour", [0, 4, 5])
@pytest.mark.parametrize("pt", [30.0, 100.0, 600.0])
def test_tags_pass_the_working_points_as_stated(gun: Maker, flavour: int, pt: float) -> None:
    found = gun(0, 0, pt=pt, eta=1.0, shots=SHOTS)
    flavours = np.full(SHOTS, flavour)
    score = tag_score(found, flavours, np.random.default_rng(1))
    assert np.all((score >= 0.0) & (score < 1.0))
    medium = medium_efficiency(found, flavours)[0]
    for threshold, power in zip(TAG_SCORES, TAG_POWERS, strict=True):
        expected = medium**power
        passed = np.mean(score > threshold)
        assert abs(passed - expected) < 4.5 * np.sqrt(expected * (1 - expected) / SHOTS)


def test_medium_efficiencies_are_the_cards(gun: Maker) -> None:
    at_100 = gun(0, 0, pt=100.0, eta=1.0, shots=1)
    one = np.ones(1, dtype=np.int64)
    assert medium_efficiency(at_100, 5 * one)[0] == pytest.approx(0.85 * np.tanh(0.25) * 25 / 7.3)
    assert medium_efficiency(at_100, 4 * one)[0] == pytest.approx(0.25 * np.tanh(1.8) / 1.13)
    assert medium_efficiency(at_100, 0 * one)[0] == pytest.approx(0.0138)
    forward = gun(0, 0, pt=100.0, eta=3.0, shots=1)
    assert medium_efficiency(forward, 5 * one)[0] == pytest.approx(0.0138)


def test_flavour_comes_from_near_hadrons_and_bottom_wins(objects: Maker) -> None:
    found = objects([(0, 50.0, 0.0, 0.0), (0, 40.0, 2.0, 2.0), (0, 30.0, -2.0, 2.0)], n_events=1)
    bottom = objects([(0, 30.0, 0.3, 0.0)], n_events=1)
    charm = objects([(0, 20.0, 0.1, 0.0), (0, 20.0, 2.0, 2.39), (0, 20.0, -2.0, 2.5)], n_events=1)
    truth = _truth(objects, bottom=bottom, charm=charm)
    assert hadron_flavour(found, truth).tolist() == [5, 4, 0]


def test_jets_of_top_pairs(top_candidates: FlatObjects, top_truth: Truth) -> None:
    found, columns = jets(top_candidates, top_truth, np.random.default_rng(2))
    fractions = sum(columns[name] for name in ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"))
    assert fractions == pytest.approx(np.ones(len(found)))
    central = np.abs(found.eta) < 2.4
    # Tracks carry most of a jet's energy inside the tracker and none far outside.
    assert 0.45 < np.median(columns["chHEF"][central]) < 0.75
    assert np.all(columns["chHEF"][np.abs(found.eta) > 3.0] == 0.0)
    is_bottom = (columns["hadronFlavour"] == 5) & central & (found.pt > 30)
    per_event = np.bincount(found.event, is_bottom, 120)
    assert 1.2 < per_event.mean() < 2.1
    tagged = columns["btagDeepFlavB"] > TAG_SCORES[1]
    assert tagged[is_bottom].mean() > 4 * tagged[(columns["hadronFlavour"] == 0) & central].mean()


def test_jets_hold_the_leptons_too(top_candidates: FlatObjects, top_truth: Truth) -> None:
    found, _ = jets(top_candidates, top_truth, np.random.default_rng(2))
    leptons = top_candidates[np.isin(np.abs(top_candidates.pdg_id), [11, 13]) & (top_candidates.pt > 25)]
    assert np.all(matched(leptons, found, radius=0.4))


def test_jets_measure_the_quarks(top_candidates: FlatObjects, top_truth: Truth) -> None:
    quarks = top_truth.hard[(top_truth.hard_status == 23) & (np.abs(top_truth.hard.pdg_id) < 6)]
    hard = quarks[(quarks.pt > 60) & (np.abs(quarks.eta) < 2)]
    found = cluster_jets(top_candidates, radius=0.4, minimum_pt=15.0).jets
    assert np.mean(matched(hard, found, radius=0.3)) > 0.9


def test_fat_jets_have_substructure(top_candidates: FlatObjects, top_truth: Truth) -> None:
    found, columns = fat_jets(top_candidates, top_truth)
    assert len(found) > 20
    assert found.pt.min() >= 170.0
    assert np.all(columns["msoftdrop"] <= columns["mass"] + 1e-6)
    assert np.all((columns["tau2"] <= columns["tau1"] + 1e-9) & (columns["tau3"] <= columns["tau2"] + 1e-2))
    assert all(len(column) == len(found) for column in columns.values())


def test_taus_are_found_and_faked_as_stated(gun: Maker, objects: Maker) -> None:
    found = gun(0, 0, pt=50.0, eta=1.0, shots=SHOTS)
    true = replace(found[found.event % 2 == 0], charge=np.full(SHOTS // 2, -1))
    chosen, columns = taus(found, _truth(objects, taus=true), np.random.default_rng(3))
    is_true = chosen.event % 2 == 0
    medium = columns["idDeepTau2017v2p1VSjet"] >= 31
    for mask, points in ((is_true, TAU_WORKING_POINTS), (~is_true, FAKE_WORKING_POINTS)):
        for kept, expected in ((mask, points[0]), (mask & medium, points[4])):
            assert kept.sum() / (SHOTS / 2) == pytest.approx(expected, abs=4 * np.sqrt(expected / (SHOTS / 2)))
    assert np.all(columns["charge"][is_true] == -1)
    assert set(columns["charge"][~is_true].tolist()) == {-1, 1}
    bits = {(1 << passed) - 1 for passed in range(1, 9)}
    assert set(columns["idDeepTau2017v2p1VSjet"].tolist()) <= bits


def test_taus_are_central_and_hard(gun: Maker, objects: Maker) -> None:
    for pt, eta in ((19.0, 0.0), (50.0, 2.4)):
        found = gun(0, 0, pt=pt, eta=eta, shots=200)
        assert (
            len(taus(found, _truth(objects, taus=replace(found, charge=np.ones(200))), np.random.default_rng(3))[0])
            == 0
        )
