from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.config.card import load_card
from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.flat import FlatObjects, Floats, prompt
from hepfilter.simulation.nano import (
    BLOCK_COLUMNS,
    COLLECTIONS,
    RUN_COLUMNS,
    NanoBlock,
    describe,
    event_columns,
    missing_momentum,
)  # fmt: skip
from hepfilter.simulation.observation import Observation, observe
from hepfilter.simulation.pileup import PileUp, density
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.truth import Truth, read_record, read_truth

Maker = Callable[..., FlatObjects]
IDENTITY = {
    "run", "luminosityBlock", "event", "genWeight", "Generator_binvar",
    "HepFilterTruth_label", "HepFilterTruth_point", "HepFilterTruth_isSignal",
}  # fmt: skip
# What NanoAOD has no name for.
OWN = {f"AK10Jet_{field}" for field, _, _ in COLLECTIONS["AK10Jet"]} | {
    "FatJet_nGenQuarks", "GenPart_vx", "GenPart_vy", "GenPart_vz",
    "HepFilterTruth_label", "HepFilterTruth_point", "HepFilterTruth_isSignal",
}  # fmt: skip
SAME_TITLE = {
    *(f"{lepton}_{field}" for lepton in ("Electron", "Muon") for field in ("dxy", "dxyErr", "dz", "dzErr")),
    *(f"PFCands_{field}" for field in ("d0", "d0Err", "dz", "dzErr", "puppiWeight")),
    "Jet_rawFactor", "PuppiMET_pt", "PuppiMET_phi", "PuppiMET_sumEt", "MET_sumEt", "fixedGridRhoFastjetAll",
    "FatJet_tau1", "FatJet_tau3", "GenPart_genPartIdxMother", "Muon_looseId", "run", "genEventCount",
}  # fmt: skip


@pytest.fixture(scope="module")
def block(top_truth: Truth) -> NanoBlock:
    return describe(
        observe(top_truth.visible, np.random.default_rng(3)), top_truth, np.random.default_rng(3), particles=True
    )


@pytest.fixture(scope="module")
def crowd(top_truth: Truth) -> Observation:
    """The top pairs under three others each."""
    return observe(top_truth.visible, np.random.default_rng(4), pile_up=PileUp(top_truth.visible, 3.0))


@pytest.fixture(scope="module")
def crowded(crowd: Observation, top_truth: Truth) -> NanoBlock:
    return describe(crowd, top_truth, np.random.default_rng(4), particles=True)


def _components(block: NanoBlock, name: str) -> tuple[Floats, Floats]:
    pt, phi = (block.scalars[f"{name}_{field}"].astype(np.float64) for field in ("pt", "phi"))
    return pt * np.cos(phi), pt * np.sin(phi)


def _balance(block: NanoBlock, weight: str | None = None) -> tuple[Floats, Floats, Floats]:
    """Σ px, Σ py and Σ pT of the written candidates, by a column's weight."""
    pt, phi = (block.values["PFCands"][field].astype(np.float64) for field in ("pt", "phi"))
    pt = pt if weight is None else pt * block.values["PFCands"][weight]
    event = np.repeat(np.arange(block.events), block.counts["PFCands"])
    x, y, total = (np.bincount(event, pt * f, block.events) for f in (np.cos(phi), np.sin(phi), np.ones(len(phi))))
    return x, y, total


def test_columns_have_the_stated_types_and_lengths(block: NanoBlock) -> None:
    for name, entries in COLLECTIONS.items():
        for field, dtype, _ in entries:
            values, counts = block.values[name][field], block.counts[name]
            assert values.dtype == np.dtype(dtype), f"{name}_{field}"
            assert len(counts) == 120
            assert counts.sum() == len(values)
            assert np.all(np.isfinite(values))


def test_names_are_those_of_the_tree(block: NanoBlock) -> None:
    full = {column.name for column in event_columns(particles=True)}
    assert set(block.arrays) == full - IDENTITY
    assert full - {column.name for column in event_columns(particles=False)} == {
        f"PFCands_{field}" for field, _, _ in COLLECTIONS["PFCands"]
    }
    assert len(full) == len(event_columns(particles=True))
    more = block.with_scalars({"run": np.ones(120)})
    assert set(more.arrays) == full - IDENTITY | {"run"}
    assert "run" not in block.scalars


def test_particles_are_left_out_unless_asked_for(top_truth: Truth, block: NanoBlock) -> None:
    seen = observe(top_truth.visible, np.random.default_rng(3))
    bare = describe(seen, top_truth, np.random.default_rng(3), particles=False)
    assert set(block.counts) - set(bare.counts) == {"PFCands"}
    assert np.array_equal(bare.values["Jet"]["pt"], block.values["Jet"]["pt"])
    assert np.array_equal(bare.scalars["MET_pt"], block.scalars["MET_pt"])


def test_types_and_titles_agree_with_real_files(shared_data: Path) -> None:
    ours = {column.name: column for column in [*event_columns(particles=True), *RUN_COLUMNS, *BLOCK_COLUMNS]}
    compared: dict[str, set[str]] = {}
    for name in ("pfnano.root", "nanoAOD_2015_CMS_Open_Data_ttbar.root"):
        with uproot.open(shared_data / name) as file:
            branches = [
                branch for tree in ("Events", "Runs", "LuminosityBlocks") if tree in file for branch in file[tree]
            ]
            for branch in branches:
                if branch.name not in ours:
                    continue
                jagged = "[]" in branch.typename
                dtype = branch.interpretation.content if jagged else branch.interpretation.numpy_dtype
                real = np.dtype(getattr(dtype, "to_dtype", dtype)).newbyteorder("=").name
                # A number of constituents is an int in the older of the files, as a byte from v10 on.
                assert real == ours[branch.name].dtype or branch.name == "Jet_nConstituents", branch.name
                assert jagged == (ours[branch.name].counter is not None), branch.name
                compared.setdefault(branch.name, set()).add(branch.title)
    assert set(ours) - set(compared) == OWN
    for name in SAME_TITLE:
        assert ours[name].title in compared[name], name


def test_missing_momentum_balances_the_candidates(block: NanoBlock, crowded: NanoBlock) -> None:
    for made in (block, crowded):
        x, y, total = _balance(made)
        found = _components(made, "MET")
        assert found[0] == pytest.approx(-x, abs=1e-2)
        assert found[1] == pytest.approx(-y, abs=1e-2)
        assert made.scalars["MET_sumEt"] == pytest.approx(total, rel=1e-4)


def test_without_pile_up_puppi_changes_nothing(block: NanoBlock) -> None:
    assert np.all(block.values["PFCands"]["puppiWeight"] == 1.0)
    for field in ("pt", "phi", "sumEt"):
        assert np.array_equal(block.scalars[f"PuppiMET_{field}"], block.scalars[f"MET_{field}"])
    assert not block.values["Jet"]["rawFactor"].any()
    assert not block.scalars["Pileup_nPU"].any() and not block.scalars["Pileup_nTrueInt"].any()
    assert np.all(block.scalars["fixedGridRhoFastjetAll"] < 5.0)


def test_puppi_missing_momentum_balances_the_weighted_candidates(crowded: NanoBlock) -> None:
    x, y, total = _balance(crowded, "puppiWeight")
    found = _components(crowded, "PuppiMET")
    assert found[0] == pytest.approx(-x, abs=1e-2)
    assert found[1] == pytest.approx(-y, abs=1e-2)
    assert crowded.scalars["PuppiMET_sumEt"] == pytest.approx(total, rel=1e-4)
    weights = crowded.values["PFCands"]["puppiWeight"]
    assert {0.0, 1.0} < set(weights.tolist())


def test_pile_up_is_written(crowd: Observation, crowded: NanoBlock, block: NanoBlock) -> None:
    assert np.array_equal(crowded.scalars["Pileup_nPU"], crowd.collisions)
    assert np.all(crowded.scalars["Pileup_nTrueInt"] == 3.0)
    rho = density(crowd.candidates.objects)
    assert crowded.scalars["fixedGridRhoFastjetAll"] == pytest.approx(rho, rel=1e-6)
    # The true missing momentum is that of the hard collision alone.
    assert np.array_equal(crowded.scalars["GenMET_pt"], block.scalars["GenMET_pt"])


def test_jets_lose_the_density_of_the_cleaned_candidates_and_give_it_back(
    crowd: Observation, crowded: NanoBlock
) -> None:
    jet = crowded.values["Jet"]
    event = np.repeat(np.arange(120), crowded.counts["Jet"])
    raw = jet["pt"] * (1.0 - jet["rawFactor"])
    assert crowd.rho is not None
    assert raw - jet["pt"] == pytest.approx(crowd.rho[event] * np.pi * 0.16, rel=1e-3, abs=1e-3)
    assert jet["pt"].min() > 15.0
    clustered = cluster_jets(crowd.cleaned.objects, radius=0.4, minimum_pt=15.0).jets
    kept = clustered.pt - crowd.rho[clustered.event] * np.pi * 0.16 > 15.0
    assert raw == pytest.approx(clustered.pt[kept], rel=1e-4)


@pytest.mark.parametrize(("name", "radius"), [("FatJet", 0.8), ("AK10Jet", 1.0)])
def test_fat_jets_are_made_of_what_puppi_keeps(
    crowd: Observation, crowded: NanoBlock, name: str, radius: float
) -> None:
    clustered = cluster_jets(crowd.weighted.objects, radius=radius, minimum_pt=170.0).jets
    assert len(clustered) > 20
    assert crowded.values[name]["pt"] == pytest.approx(clustered.pt, rel=1e-6)
    assert np.array_equal(crowded.counts[name], clustered.counts)


def test_leptons_are_not_taken_from_other_collisions(crowd: Observation, crowded: NanoBlock) -> None:
    seen = crowd.candidates.objects
    lepton = (np.abs(seen.pdg_id) == 13) & (seen.pt > 3.0)
    expected = np.bincount(seen.event, lepton & ~crowd.candidates.is_pileup, 120)
    assert np.array_equal(crowded.counts["Muon"], expected)
    assert np.sum(lepton) > 1.5 * expected.sum()


def test_candidates_are_written_with_their_impact_parameters(crowd: Observation, crowded: NanoBlock) -> None:
    written, seen = crowded.values["PFCands"], crowd.candidates
    for field, values in {
        "d0": seen.d0, "d0Err": seen.d0_error, "dz": seen.dz, "dzErr": seen.dz_error,
        "puppiWeight": seen.puppi, "pt": seen.objects.pt, "charge": seen.objects.charge,
    }.items():  # fmt: skip
        assert np.array_equal(written[field], values.astype(written[field].dtype)), field
    neutral = written["charge"] == 0
    assert not written["d0Err"][neutral].any() and np.all(written["d0Err"][~neutral] > 0)


def test_events_are_selected_whole(crowded: NanoBlock) -> None:
    mask = np.arange(120) % 5 == 2
    part = crowded.select(mask)
    assert part.events == 24
    assert set(part.arrays) == set(crowded.arrays)
    for name, column in crowded.scalars.items():
        assert np.array_equal(part.scalars[name], column[mask]), name
    for name, counts in crowded.counts.items():
        assert np.array_equal(part.counts[name], counts[mask]), name
        ends = np.cumsum(counts)
        for field, column in crowded.values[name].items():
            pieces = [column[ends[k] - counts[k] : ends[k]] for k in np.flatnonzero(mask)]
            assert np.array_equal(part.values[name][field], np.concatenate(pieces)), f"{name}_{field}"
    assert crowded.select(np.ones(120, dtype=bool)).events == 120
    none = crowded.select(np.zeros(120, dtype=bool))
    assert none.events == 0
    assert all(len(column) == 0 for columns in none.values.values() for column in columns.values())
    assert {c.dtype for c in none.values["Jet"].values()} == {c.dtype for c in crowded.values["Jet"].values()}


def test_boosted_tops_have_three_quarks_in_their_jet() -> None:
    card = load_card("toptag_top").model_copy(update={"multiple_interactions": False})
    made = generate(card, events=100, seed=5)
    truth = read_truth(read_record(made.events, made.particle_data), made.particle_data)
    rng = np.random.default_rng(1)
    block = describe(observe(truth.visible, rng), truth, rng, particles=False)
    jet = block.values["FatJet"]
    hard = (jet["pt"] > 550) & (jet["pt"] < 650) & (np.abs(jet["eta"]) < 2)
    quarks = jet["nGenQuarks"][hard]
    assert hard.sum() > 25
    # The others have lost one of the three beyond the radius of 0.8.
    assert np.mean(quarks == 3) > 0.5
    assert set(quarks.tolist()) <= {2, 3}
    top = hard & (jet["nGenQuarks"] == 3)
    assert np.median(jet["msoftdrop"][top]) == pytest.approx(175.0, abs=12.0)
    wide = block.values["AK10Jet"]
    in_wide = wide["nGenQuarks"][(wide["pt"] > 550) & (wide["pt"] < 650) & (np.abs(wide["eta"]) < 2)]
    assert np.mean(in_wide == 3) > np.mean(quarks == 3)


def test_missing_momentum_by_hand(objects: Maker) -> None:
    made = objects([(0, 30.0, 1.0, 0.0), (0, 40.0, -2.0, np.pi / 2), (2, 5.0, 0.0, 1.0)], n_events=3)
    found = missing_momentum("X", made)
    assert found["X_pt"] == pytest.approx([50.0, 0.0, 5.0])
    assert found["X_phi"] == pytest.approx([np.arctan2(-40, -30), 0.0, 1.0 - np.pi])
    assert found["X_sumEt"] == pytest.approx([70.0, 0.0, 5.0])
    assert set(missing_momentum("X", made, with_sum=False)) == {"X_pt", "X_phi"}


def test_true_missing_momentum_is_that_of_the_neutrinos(block: NanoBlock, top_truth: Truth) -> None:
    hard = top_truth.hard
    neutrino = np.isin(np.abs(hard.pdg_id), [12, 14, 16])
    x = np.bincount(hard.event, np.where(neutrino, hard.pt * np.cos(hard.phi), 0.0), 120)
    y = np.bincount(hard.event, np.where(neutrino, hard.pt * np.sin(hard.phi), 0.0), 120)
    found = block.scalars["GenMET_pt"]
    clear = np.hypot(x, y) > 40
    assert clear.sum() > 20
    # Neutrinos from b hadrons and taus add to those of the W: most, not all, agree.
    assert np.median(np.abs(found - np.hypot(x, y))[clear]) < 15.0
    without = ~np.isin(np.arange(120), hard.event[neutrino])
    assert np.median(found[without]) < np.median(found[clear]) / 4


def test_resolution_of_missing_momentum_is_that_of_the_sum(block: NanoBlock) -> None:
    difference = [
        block.scalars["MET_pt"] * f(block.scalars["MET_phi"])
        - block.scalars["GenMET_pt"] * f(block.scalars["GenMET_phi"])
        for f in (np.cos, np.sin)
    ]
    stochastic = np.concatenate(difference).std() / np.sqrt(block.scalars["MET_sumEt"].mean())
    # CMS: 0.5 to 0.7 √GeV per component without pile-up (arXiv:1903.06078).
    assert 0.3 < stochastic < 0.9


@pytest.mark.parametrize("mean", [None, 1e-12], ids=["alone", "pile-up"])
def test_events_without_particles_give_empty_collections(objects: Maker, top_truth: Truth, mean: float | None) -> None:
    nothing, numbers = objects([], n_events=120), np.zeros(0, dtype=np.int64)
    truth = Truth(prompt(nothing), nothing, nothing, nothing, nothing, numbers, numbers, np.zeros((0, 3)))
    pile_up = None if mean is None else PileUp(top_truth.visible, mean)
    rng = np.random.default_rng(1)
    empty = describe(observe(truth.visible, rng, pile_up=pile_up), truth, rng, particles=True)
    assert empty.events == 120
    assert set(empty.counts) == set(COLLECTIONS)
    assert all(counts.tolist() == [0] * 120 for counts in empty.counts.values())
    for name, entries in COLLECTIONS.items():
        for field, dtype, _ in entries:
            assert (len(empty.values[name][field]), empty.values[name][field].dtype.name) == (0, dtype)
    for name in ("MET", "PuppiMET", "GenMET"):
        assert not empty.scalars[f"{name}_pt"].any() and not empty.scalars[f"{name}_phi"].any()
    assert not empty.scalars["fixedGridRhoFastjetAll"].any()


def test_no_events_give_no_rows(block: NanoBlock, top_truth: Truth) -> None:
    seen = observe(top_truth.visible, np.random.default_rng(3))
    mask = np.zeros(120, dtype=bool)
    none = describe(seen.of_events(mask), top_truth.of_events(mask), np.random.default_rng(3), particles=True)
    assert none.events == 0
    assert {name: column.dtype for name, column in none.scalars.items()} == {
        name: column.dtype for name, column in block.scalars.items()
    }
    assert all(len(counts) == 0 for counts in none.counts.values())


def test_the_hard_process_is_written_as_it_is(block: NanoBlock, top_truth: Truth) -> None:
    part, hard = block.values["GenPart"], top_truth.hard
    assert np.array_equal(part["pdgId"], hard.pdg_id)
    assert np.array_equal(part["genPartIdxMother"], top_truth.hard_mother)
    assert {21, 22, 23} < set(part["status"].tolist()) <= {21, 22, 23, 91, 92, 93, 94}
    other = replace(top_truth, hard_status=top_truth.hard_status + 1)
    again = describe(observe(other.visible, np.random.default_rng(3)), other, np.random.default_rng(3), particles=False)
    assert np.array_equal(again.values["GenPart"]["status"], part["status"] + 1)


def test_the_hard_process_has_its_flags_and_its_decays_where_they_happen(block: NanoBlock, top_truth: Truth) -> None:
    part = block.values["GenPart"]
    hard = part["status"] < 30
    # isPrompt, isHardProcess (neither for decay products), fromHardProcess, isFirstCopy, isLastCopy: once each.
    assert set(part["statusFlags"][hard].tolist()) == {0b11_0001_1000_0001}
    assert set(part["statusFlags"][~hard].tolist()) == {0b11_0001_0000_0000}
    first = np.cumsum(block.counts["GenPart"]) - block.counts["GenPart"]
    event = np.repeat(np.arange(120), block.counts["GenPart"])
    mother = part["genPartIdxMother"] + first[event]
    assert np.all(np.abs(part["pdgId"][mother[~hard]]) == 15)
    # τ leptons decay to one neutrino of theirs each, and together the products are all of it.
    taus = np.flatnonzero(hard & (np.abs(part["pdgId"]) == 15))
    assert len(taus) > 15
    for tau in taus:
        products = np.flatnonzero(~hard & (mother == tau))
        assert part["pdgId"][products].tolist().count(np.sign(part["pdgId"][tau]) * 16) == 1
        births = np.stack([part[f"v{axis}"][products] for axis in "xyz"], axis=1)
        assert np.ptp(births, axis=0).tolist() == [0.0, 0.0, 0.0]
        assert 0.0 < np.linalg.norm(births[0]) < 10.0  # cm
    for column, axis in enumerate("xyz"):
        assert part[f"v{axis}"] == pytest.approx(top_truth.hard_birth[:, column] / 10.0, rel=1e-6)
        assert np.abs(part[f"v{axis}"][hard]).max() < 1e-9
