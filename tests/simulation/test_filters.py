from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hepfilter.config.card import load_card
from hepfilter.config.process import DetectorRequirement, GeneratorRequirement
from hepfilter.errors import SimulationError
from hepfilter.simulation.filters import check_filters, may_pass_detector, passes_detector, passes_generator
from hepfilter.simulation.flat import Candidates, FlatObjects
from hepfilter.simulation.nano import NanoBlock, describe
from hepfilter.simulation.observation import without_pile_up
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.truth import Record, Truth, read_record

Maker = Callable[..., FlatObjects]


def _record(objects: Maker, rows: list[tuple[int, int, int, float, float]], *, n_events: int) -> Record:
    """A record from rows (event, code, mother's row, pt, eta)."""
    event, code, mother, pt, eta = zip(*rows, strict=True)
    made = objects([(e, p, t, 0.0) for e, p, t in zip(event, pt, eta, strict=True)], n_events=n_events)
    nowhere = np.zeros(len(rows))
    return Record(
        objects=replace(made, pdg_id=np.array(code)),
        status=np.full(len(rows), -22),
        mother=np.array(mother),
        x=nowhere,
        y=nowhere,
        z=nowhere,
    )


def _passed(record: Record, *requirements: dict[str, Any]) -> list[bool]:
    return passes_generator(record, [GeneratorRequirement(**requirement) for requirement in requirements]).tolist()


def test_bosons_are_judged_by_their_last_copy(objects: Maker) -> None:
    rows = [
        (0, 23, -1, 25.0, 0.0), (0, 23, 0, 35.0, 0.0),  # the shower lifts the Z above the cut
        (1, 23, -1, 35.0, 0.0), (1, 23, 2, 25.0, 0.0),  # and pushes this one below
        (3, 23, -1, 40.0, 0.0), (3, 23, 4, 50.0, 0.0), (3, 11, 5, 30.0, 0.0),
    ]  # fmt: skip
    record = _record(objects, rows, n_events=4)
    assert _passed(record, {"pdg_id": [23], "pt_min": 30}) == [True, False, False, True]
    # Both copies lie above 30 GeV, and count once.
    assert _passed(record, {"pdg_id": [23], "pt_min": 30, "at_least": 2}) == [False] * 4
    assert _passed(record, {"pdg_id": [23], "at_most": 1}) == [True, True, False, True]


def test_stable_leptons_are_counted_within_the_bounds_whatever_their_sign(objects: Maker) -> None:
    rows = [
        (0, 11, -1, 30.0, 0.5), (0, -13, -1, 20.0, -1.0),
        (1, 11, -1, 30.0, 2.6), (1, -13, -1, 20.0, -1.0),  # one lies outside
        (2, 11, -1, 19.9, 0.0), (2, 13, -1, 90.0, 0.0),  # one is too soft
        (3, 15, -1, 50.0, 0.0), (3, 11, -1, 50.0, 0.0), (3, 12, -1, 50.0, 0.0),  # one is no such lepton
        (4, -11, -1, 20.0, -2.4), (4, -11, -1, 21.0, 0.0), (4, 13, -1, 22.0, 0.0),
    ]  # fmt: skip
    record = _record(objects, rows, n_events=6)
    leptons: dict[str, Any] = {"pdg_id": [11, 13], "pt_min": 20, "eta_max": 2.5}
    assert _passed(record, {**leptons, "at_least": 2}) == [True, False, False, False, True, False]
    assert _passed(record, {**leptons, "at_least": 2, "at_most": 2}) == [True, False, False, False, False, False]
    assert _passed(record, {**leptons, "at_least": 0, "at_most": 0}) == [False, False, False, False, False, True]
    assert _passed(record, {"pdg_id": [-11], "pt_min": 20, "pt_max": 30}) == [False, False, False, False, True, False]


def test_all_requirements_hold_at_once_and_none_keeps_all(objects: Maker) -> None:
    rows = [(0, 11, -1, 30.0, 0.0), (1, 11, -1, 30.0, 0.0), (1, 22, -1, 5.0, 0.0), (2, 22, -1, 5.0, 0.0)]
    record = _record(objects, rows, n_events=4)
    assert _passed(record, {"pdg_id": [11]}, {"pdg_id": [22]}) == [False, True, False, False]
    assert _passed(record) == [True] * 4


def test_the_shipped_cut_on_the_z_is_that_of_its_last_entry_in_pythias_record() -> None:
    card = load_card("zjets@20").model_copy(update={"multiple_interactions": False})
    made = generate(card, events=80, seed=5)
    passed = passes_generator(read_record(made.events, made.particle_data), card.generator_filter)
    expected, first = [], []
    for particles in made.events.prt:
        bosons = [np.hypot(p.p.px, p.p.py) for p in particles if p.id == 23]
        expected.append(bosons[-1] >= 30.0)
        first.append(bosons[0] >= 30.0)
    assert passed.tolist() == expected
    assert first != expected  # the copies matter
    assert 0.2 < passed.mean() < 0.9


def _block(**fields: list[float]) -> NanoBlock:
    """Three events with 2, 0 and 1 fat jets."""
    values = {name: np.array(column, dtype=np.float32) for name, column in fields.items()}
    jets = {"FatJet": np.array([2, 0, 1]), "AK10Jet": np.zeros(3, dtype=np.int64)}
    nothing = {"pt": np.zeros(0, np.float32), "eta": np.zeros(0, np.float32)}
    return NanoBlock(3, {}, jets, {"FatJet": values, "AK10Jet": nothing})


@pytest.mark.parametrize(
    ("requirement", "passed"),
    [
        ({}, [True, False, True]),
        ({"at_least": 2}, [True, False, False]),
        ({"at_least": 0, "at_most": 1}, [False, True, True]),
        ({"pt_min": 500.0}, [True, False, True]),
        ({"pt_min": 500.5}, [True, False, False]),
        ({"pt_max": 500.0}, [True, False, False]),
        ({"pt_min": 450.0, "eta_max": 2.0}, [True, False, False]),
        ({"minimum": {"nGenQuarks": 3}}, [False, False, True]),
        ({"pt_min": 550.0, "minimum": {"nGenQuarks": 2}}, [True, False, False]),
        ({"pt_max": 550.0, "minimum": {"nGenQuarks": 2}}, [False, False, True]),
    ],
)
def test_reconstructed_objects_are_counted_within_the_bounds(requirement: dict[str, Any], passed: list[bool]) -> None:
    block = _block(pt=[600.0, 400.0, 500.0], eta=[-1.9, 1.0, -2.0], nGenQuarks=[2, 1, 3])
    asked = DetectorRequirement(collection="FatJet", **requirement)
    assert passes_detector(block, [asked]).tolist() == passed
    never = DetectorRequirement(collection="AK10Jet")
    assert passes_detector(block, [asked, never]).tolist() == [False] * 3
    assert passes_detector(block, []).tolist() == [True] * 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"collection": "FatJets"},
            r"^card ttbar: filter on FatJets, but there is no such collection; .*FatJet\b",
        ),
        ({"collection": "zzz"}, r"^card ttbar: filter on zzz, but there is no such collection; there are .*Electron"),
        ({"collection": "PFCands"}, r"^card ttbar: filter on PFCands, but there is no such collection"),
        (
            {"collection": "FatJet", "minimum": {"msoftdrp": 50.0}},
            r"^card ttbar: filter on FatJet_msoftdrp, but there is no such field; nearest: msoftdrop",
        ),
        ({"collection": "Jet", "minimum": {"msoftdrop": 50.0}}, r"^card ttbar: filter on Jet_msoftdrop, .* field"),
    ],
)
def test_a_wrong_collection_or_field_is_named_with_the_nearest(asked: dict[str, Any], said: str) -> None:
    good = DetectorRequirement(collection="FatJet", minimum={"msoftdrop": 50.0, "tau1": 0.1})
    card = load_card("ttbar").model_copy(update={"detector_filter": (good, DetectorRequirement(**asked))})
    with pytest.raises(SimulationError, match=said):
        check_filters(card, particles=False)


def test_candidates_may_be_asked_for_where_they_are_kept() -> None:
    asked = DetectorRequirement(collection="PFCands", minimum={"puppiWeight": 0.5})
    card = load_card("ttbar").model_copy(update={"detector_filter": (asked,)})
    check_filters(card, particles=True)
    with pytest.raises(SimulationError, match="filter on PFCands"):
        check_filters(card, particles=False)


def test_the_early_look_spares_events_and_loses_none(top_candidates: Candidates, top_truth: Truth) -> None:
    seen = without_pile_up(top_candidates)
    block = describe(seen, top_truth, np.random.default_rng(1), particles=False)
    for asked in (
        DetectorRequirement(collection="FatJet", pt_min=180.0, eta_max=2.0, pt_max=350.0),
        DetectorRequirement(collection="AK10Jet", pt_min=200.0, at_least=1, minimum={"msoftdrop": 60.0}),
        DetectorRequirement(collection="AK10Jet", pt_min=171.0, at_least=2),
    ):
        possible = may_pass_detector(seen, [asked])
        passed = passes_detector(block, [asked])
        assert not np.any(passed & ~possible)
        assert 0 < passed.sum() <= possible.sum() < 120
        # Alone the fields that it does not know of make it too generous.
        assert asked.minimum or np.array_equal(passed, possible)


def test_the_early_look_lets_pass_what_it_cannot_judge(top_candidates: Candidates) -> None:
    seen = without_pile_up(top_candidates)
    for asked in (
        DetectorRequirement(collection="Muon", pt_min=1000.0),
        DetectorRequirement(collection="FatJet", pt_min=100.0, at_least=9),
        DetectorRequirement(collection="FatJet", pt_min=1000.0, at_least=0, at_most=0),
    ):
        assert may_pass_detector(seen, [asked]).all()
