from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.flat import Candidates, FlatObjects, matched, prompt
from hepfilter.simulation.jets import (
    FAKE_WORKING_POINTS,
    FAT_RADII,
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
    empty = Truth(prompt(nothing), nothing, nothing, nothing, nothing, numbers, numbers, np.zeros((0, 3)))
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


def test_jets_of_top_pairs(top_candidates: Candidates, top_truth: Truth) -> None:
    found, columns = jets(top_candidates.objects, top_truth, np.random.default_rng(2))
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


def test_jets_hold_the_leptons_too(top_candidates: Candidates, top_truth: Truth) -> None:
    found, _ = jets(top_candidates.objects, top_truth, np.random.default_rng(2))
    seen = top_candidates.objects
    leptons = seen[np.isin(np.abs(seen.pdg_id), [11, 13]) & (seen.pt > 25)]
    assert np.all(matched(leptons, found, radius=0.4))


def test_jets_measure_the_quarks(top_candidates: Candidates, top_truth: Truth) -> None:
    quarks = top_truth.hard[(top_truth.hard_status == 23) & (np.abs(top_truth.hard.pdg_id) < 6)]
    hard = quarks[(quarks.pt > 60) & (np.abs(quarks.eta) < 2)]
    found = cluster_jets(top_candidates.objects, radius=0.4, minimum_pt=15.0).jets
    assert np.mean(matched(hard, found, radius=0.3)) > 0.9


@pytest.mark.parametrize("radius", FAT_RADII.values(), ids=FAT_RADII)
def test_fat_jets_have_substructure(top_candidates: Candidates, top_truth: Truth, radius: float) -> None:
    found, columns = fat_jets(top_candidates.objects, top_truth, radius=radius)
    assert len(found) > 20
    assert found.pt.min() >= 170.0
    assert np.all(columns["msoftdrop"] <= columns["mass"] + 1e-6)
    assert np.all((columns["tau2"] <= columns["tau1"] + 1e-9) & (columns["tau3"] <= columns["tau2"] + 1e-2))
    assert all(len(column) == len(found) for column in columns.values())


def test_wider_jets_hold_what_narrower_ones_miss(top_candidates: Candidates, top_truth: Truth) -> None:
    found = {name: fat_jets(top_candidates.objects, top_truth, radius=radius) for name, radius in FAT_RADII.items()}
    (narrow, of_narrow), (wide, of_wide) = found["FatJet"], found["AK10Jet"]
    assert len(wide) > len(narrow)
    assert of_wide["nConstituents"].mean() > 1.05 * of_narrow["nConstituents"].mean()
    # Flavour is looked for within the jet's own radius.
    for name, (jet, columns) in found.items():
        assert np.array_equal(columns["hadronFlavour"], hadron_flavour(jet, top_truth, radius=FAT_RADII[name]))
        assert not np.array_equal(columns["hadronFlavour"], hadron_flavour(jet, top_truth))


def test_quarks_of_the_hard_process_are_counted_within_the_radius(objects: Maker) -> None:
    rows = [(0, 600.0, 0.0, 3.1), (2, 500.0, 1.0, 0.0)]
    candidates = objects([(e, pt, eta, phi) for e, pt, eta, phi in rows], n_events=3)
    quarks = [
        (0, 200.0, 0.5, 3.1, 5, 23), (0, 200.0, 0.0, -2.6, -1, 23), (0, 200.0, -0.7, 3.1, 2, 23),  # inside
        (0, 600.0, 0.0, 3.1, 6, 22), (0, 600.0, 0.0, 3.1, 6, 23), (0, 100.0, 0.0, 3.0, 21, 23),  # tops, a gluon
        (0, 300.0, 0.1, 3.1, 4, 21), (0, 300.0, 0.0, 3.0, 24, 22),  # incoming; a W
        (0, 200.0, 0.9, 3.1, 3, 23),  # outside 0.8, within 1.0
        (1, 300.0, 0.0, 3.1, 1, 23),  # of another event
        (2, 300.0, 1.1, 0.0, 5, 23),
    ]  # fmt: skip
    hard = objects([row[:4] for row in quarks], n_events=3)
    codes, status = (np.array([row[place] for row in quarks]) for place in (4, 5))
    truth = replace(_truth(objects, hard=replace(hard, pdg_id=codes)), hard_status=status)
    counted = {radius: fat_jets(candidates, truth, radius=radius)[1]["nGenQuarks"].tolist() for radius in (0.8, 1.0)}
    assert counted == {0.8: [3, 1], 1.0: [4, 1]}


def _by_hand(objects: Maker) -> FlatObjects:
    """Three jets of pT 100 (with 60 and 40 GeV inside), 30 and 18, and one of 40 in another event."""
    rows = [(0, 60.0, 0.0, 0.0), (0, 40.0, 0.1, 0.0), (0, 30.0, 2.0, 1.0), (0, 18.0, -2.0, 2.0), (2, 40.0, 0.0, 0.0)]
    return objects(rows, n_events=3)


def test_jets_lose_the_density_times_their_area(objects: Maker) -> None:
    candidates, truth = _by_hand(objects), _truth(objects, bottom=objects([], n_events=3))
    raw, plain = jets(candidates, truth, np.random.default_rng(1))
    found, columns = jets(candidates, truth, np.random.default_rng(1), rho=np.array([20.0, 5.0, 10.0]))
    area = np.pi * 0.4**2
    assert raw.event.tolist() == [0, 0, 0, 2] and not plain["rawFactor"].any()
    # 18 − 10.05 GeV falls below the cut of 15; the others stay.
    assert found.event.tolist() == [0, 0, 2]
    assert found.pt == pytest.approx([raw.pt[0] - 20 * area, 30 - 20 * area, 40 - 10 * area])
    assert found.mass[0] == pytest.approx(raw.mass[0] * found.pt[0] / raw.pt[0])
    assert found.pt * (1 - columns["rawFactor"]) == pytest.approx(raw.pt[[0, 1, 3]])
    assert np.all(columns["rawFactor"] < 0.0)
    assert columns["nConstituents"].tolist() == [2, 1, 1]


def test_jets_that_stay_keep_what_is_inside_when_another_is_dropped(objects: Maker) -> None:
    candidates = _by_hand(objects)
    candidates = replace(candidates, pdg_id=np.array([211, 22, 130, 22, 211]))
    truth = _truth(objects, bottom=objects([], n_events=3))
    found, columns = jets(candidates, truth, np.random.default_rng(1), rho=np.array([7.0, 0.0, 0.0]))
    assert found.pt == pytest.approx([100 - 7 * np.pi * 0.16, 30 - 7 * np.pi * 0.16, 40.0], rel=1e-3)
    assert columns["chHEF"] == pytest.approx([0.6, 0.0, 1.0], abs=2e-3)
    assert columns["neEmEF"] == pytest.approx([0.4, 0.0, 0.0], abs=2e-3)
    assert columns["neHEF"].tolist() == [0.0, 1.0, 0.0]
    everything, _ = jets(candidates, truth, np.random.default_rng(1), rho=np.array([1e4, 0.0, 1e4]))
    assert len(everything) == 0


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
