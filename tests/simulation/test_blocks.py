from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hepfilter.config.card import Card, load_card
from hepfilter.simulation import pileup
from hepfilter.simulation.blocks import (
    EVENTS_OF_STREAM,
    PYTHIA_SEEDS,
    BlockTask,
    MadeBlock,
    derived_seed,
    identity,
    make_block,
    pythia_seed,
)

# Z to muons beside a parton, without hadrons: a thousand events a second.
Z_JET = {
    "name": "zj",
    "title": "Z and a parton",
    "family": "own",
    "is_signal": True,
    "label": 7,
    "multiple_interactions": False,
    "settings": (
        "WeakBosonAndParton:qqbar2gmZg = on",
        "WeakBosonAndParton:qg2gmZq = on",
        "PhaseSpace:pTHatMin = 20",
        "23:onMode = off",
        "23:onIfAny = 13",
        "HadronLevel:Hadronize = off",
        "HadronLevel:Decay = off",
    ),
}
MUON = {"collection": "Muon", "pt_min": 40, "eta_max": 1.5}


def _task(*, events: int = 200, block: int = 2, seed: int = 1, pileup: float = 0.0, **card: Any) -> BlockTask:
    made = Card.model_validate({**Z_JET, **card})
    return BlockTask(made, seed=seed, block=block, events=events, particles=True, pileup=pileup)


def _equal(one: MadeBlock, two: MadeBlock) -> bool:
    arrays = [
        [block.columns.scalars, block.columns.counts, *block.columns.values.values(), {"place": block.place}]
        for block in (one, two)
    ]
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)
        for a, b in zip(*arrays, strict=True)
    )


def test_seeds_are_fixed_for_good() -> None:
    # Golden: samples made by earlier versions can be made again only while these stay.
    assert derived_seed("qcd_50", 1, 0, purpose="pythia") == 14_347_259_064_492_958_295
    assert pythia_seed("qcd_50", 1, 0) == 492_958_296
    assert pythia_seed("qcd_50", 1, 7) == 492_958_303


@pytest.mark.parametrize("purpose", ["pythia", "pile-up"])
def test_blocks_of_a_process_never_share_a_generators_seed(purpose: str) -> None:
    # One step a block, around the circle of all seeds: two of them meet after 900 million blocks, no sooner.
    for name, seed in (("qcd_50", 1), ("a", 2)):
        first = pythia_seed(name, seed, 0, purpose=purpose)
        end = PYTHIA_SEEDS - first  # the block that has the last seed
        for block in (1, 2, 499, 1_999_999, end - 1, end, end + 1, PYTHIA_SEEDS - 1):
            found = pythia_seed(name, seed, block, purpose=purpose)
            assert 1 <= found <= PYTHIA_SEEDS == 900_000_000
            assert (found - first) % PYTHIA_SEEDS == block
        assert pythia_seed(name, seed, end, purpose=purpose) == PYTHIA_SEEDS
        assert pythia_seed(name, seed, end + 1, purpose=purpose) == 1


def test_seeds_differ_by_every_argument() -> None:
    base = ("qcd@50", 1, 0, "pythia")
    others = [
        ("qcd@500", 1, 0, "pythia"),
        ("qcd@50", 2, 0, "pythia"),
        ("qcd@50", 1, 1, "pythia"),
        ("qcd@50", 1, 0, "x"),
    ]
    seeds = {derived_seed(name, seed, block, purpose=purpose) for name, seed, block, purpose in [base, *others]}
    assert len(seeds) == 5
    assert pythia_seed("qcd@50", 1, 0) != pythia_seed("qcd@50", 1, 0, purpose="pile-up")
    assert all(1 <= pythia_seed("a", 1, block) <= 900_000_000 for block in range(2000))


def test_identity_follows_the_place_among_the_generated_events() -> None:
    place = np.array([0, 3, 499, 500, 700])
    made = identity(load_card("zprime_ll@1500"), seed=1, luminosity_block=3, place=place)
    assert made["luminosityBlock"].tolist() == [3] * 5
    assert made["run"].tolist() == [1] * 5
    assert (made["event"] % EVENTS_OF_STREAM).tolist() == (place + 1).tolist()
    assert len(set((made["event"] // EVENTS_OF_STREAM).tolist())) == 1
    assert made["event"].max() < 2**53
    assert made["HepFilterTruth_label"].tolist() == [102] * 5
    assert made["HepFilterTruth_isSignal"].tolist() == [True] * 5
    assert made["HepFilterTruth_point"].tolist() == [1500.0] * 5
    assert {name: column.dtype.name for name, column in made.items()} == {
        "run": "uint32",
        "luminosityBlock": "uint32",
        "event": "uint64",
        "HepFilterTruth_label": "int32",
        "HepFilterTruth_isSignal": "bool",
        "HepFilterTruth_point": "float32",
    }


@pytest.mark.parametrize(("name", "point"), [("charmonium", 0.0), ("qcd@200", 200.0), ("zprime_ll", 2000.0)])
def test_the_point_is_that_of_the_card(name: str, point: float) -> None:
    made = identity(load_card(name), seed=1, luminosity_block=1, place=np.arange(2))
    assert made["HepFilterTruth_point"].tolist() == [point] * 2


def test_other_seeds_and_points_have_other_event_numbers() -> None:
    cards = [load_card("zprime_ll"), load_card("zprime_ll@1500")]
    numbers = [
        int(identity(card, seed=seed, luminosity_block=1, place=np.arange(1))["event"][0]) // EVENTS_OF_STREAM
        for seed in range(25)
        for card in cards
    ]
    assert len(set(numbers)) == 50


def test_a_block_depends_on_its_task_alone() -> None:
    one, two = make_block(_task(events=20)), make_block(_task(events=20))
    assert one.columns.events == 20
    assert _equal(one, two)
    for changes in ({"block": 3}, {"seed": 2}, {"name": "other"}):
        other = make_block(_task(events=20, **changes))
        assert not np.array_equal(one.columns.scalars["Generator_binvar"], other.columns.scalars["Generator_binvar"])


def test_a_generator_filter_keeps_the_same_events() -> None:
    whole = make_block(_task())
    cut = make_block(_task(generator_filter=({"pdg_id": [13], "pt_min": 50},)))
    assert 20 < len(cut.place) == cut.columns.events < 180
    assert np.all(np.diff(cut.place) > 0)
    binvar = whole.columns.scalars["Generator_binvar"]
    assert np.array_equal(cut.columns.scalars["Generator_binvar"], binvar[cut.place])
    assert np.array_equal(cut.weights, whole.weights)  # those of all that was generated
    # In the hard process a muon may be softer or harder by what it radiates.
    muons = np.abs(whole.columns.values["GenPart"]["pdgId"]) == 13
    event = np.repeat(np.arange(200), whole.columns.counts["GenPart"])[muons]
    hardest = np.zeros(200)
    np.maximum.at(hardest, event, whole.columns.values["GenPart"]["pt"][muons])
    kept = np.isin(np.arange(200), cut.place)
    assert np.all(kept[hardest > 60])
    assert np.mean(kept[hardest < 45]) < 0.1


def test_a_detector_filter_keeps_the_same_events() -> None:
    whole = make_block(_task())
    cut = make_block(_task(detector_filter=(MUON,)))
    muon = whole.columns.values["Muon"]
    good = (muon["pt"] >= 40) & (np.abs(muon["eta"]) < 1.5)
    passed = np.bincount(np.repeat(np.arange(200), whole.columns.counts["Muon"]), good, 200) > 0
    assert 20 < passed.sum() < 180
    assert cut.place.tolist() == np.flatnonzero(passed).tolist()
    assert _equal(cut, replace(whole, columns=whole.columns.select(passed), place=np.flatnonzero(passed)))


def test_filters_that_nothing_passes_give_an_empty_block_with_every_column() -> None:
    whole = make_block(_task(events=10))
    for none in ({"generator_filter": ({"pdg_id": [6]},)}, {"detector_filter": ({**MUON, "pt_min": 5000},)}):
        empty = make_block(_task(events=10, **none))
        assert empty.columns.events == len(empty.place) == 0
        assert empty.columns.arrays.keys() == whole.columns.arrays.keys()
        assert len(empty.weights) == 10


def test_pile_up_adds_to_the_same_hard_collisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Jets make a pool far sooner than minimum bias does.
    pool = {**Z_JET, "name": "pool", "settings": ["HardQCD:all = on", "PhaseSpace:pTHatMin = 20"]}
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(pool))
    monkeypatch.setattr(pileup, "POOL_CARD", tmp_path / "pool.yaml")
    monkeypatch.setattr(pileup, "POOL_EVENTS", 50)
    quiet, busy = make_block(_task(events=10)), make_block(_task(events=10, pileup=20.0))
    assert np.array_equal(quiet.columns.scalars["Generator_binvar"], busy.columns.scalars["Generator_binvar"])
    assert np.array_equal(quiet.columns.values["GenPart"]["pt"], busy.columns.values["GenPart"]["pt"])
    assert busy.columns.counts["PFCands"].sum() > 3 * quiet.columns.counts["PFCands"].sum()


def test_biased_generation_gives_the_events_weights() -> None:
    settings = (*Z_JET["settings"], "PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionRef = 50")
    made = make_block(_task(settings=settings))
    pt_hat = made.columns.scalars["Generator_binvar"].astype(np.float64)
    # Pythia's bias: events are oversampled by (pT-hat / reference)⁴ and weighted by its inverse. The
    # mass that the Z gets afterwards changes pT-hat by a little.
    assert made.weights * (pt_hat / 50.0) ** 4 == pytest.approx(np.ones(200), rel=0.01)
