from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.simulation.flat import FlatObjects
from hepfilter.simulation.nano import (
    BLOCK_COLUMNS,
    COLLECTIONS,
    RUN_COLUMNS,
    event_columns,
    labelled,
    reconstruct,
)  # fmt: skip
from hepfilter.simulation.truth import Truth


@pytest.fixture(scope="module")
def block(top_truth: Truth) -> Any:
    return reconstruct(top_truth, np.random.default_rng(3), particles=True)


def test_columns_have_the_stated_types_and_lengths(block: Any) -> None:
    for name, entries in COLLECTIONS.items():
        for field, dtype, _ in entries:
            values, counts = block.jagged[f"{name}_{field}"]
            assert values.dtype == np.dtype(dtype), f"{name}_{field}"
            assert len(counts) == 120
            assert counts.sum() == len(values)
            assert np.all(np.isfinite(values))


def test_names_are_those_of_the_tree(block: Any) -> None:
    identity = {"run", "luminosityBlock", "event", "genWeight", "HepFilterTruth_label", "HepFilterTruth_isSignal"}
    full = {column.name for column in event_columns(particles=True)}
    assert set(block.arrays) == full - identity
    assert full - {column.name for column in event_columns(particles=False)} == {
        f"PFCands_{field}" for field, _, _ in COLLECTIONS["PFCands"]
    }
    assert set(labelled(block, {"run": np.zeros(120)}).arrays) == full - identity | {"run"}


def test_types_and_names_agree_with_real_files(shared_data: Path) -> None:
    ours = {column.name: column.dtype for column in [*event_columns(particles=True), *RUN_COLUMNS, *BLOCK_COLUMNS]}
    own = {"FatJet_hadronFlavour", "FatJet_nConstituents", "HepFilterTruth_label", "HepFilterTruth_isSignal"}
    compared = set()
    with uproot.open(shared_data / "pfnano.root") as file:
        for tree in ("Events", "Runs", "LuminosityBlocks"):
            for branch in file[tree].branches:
                if branch.name in ours and branch.name not in own:
                    dtype = (
                        branch.interpretation.numpy_dtype
                        if "[]" not in branch.typename
                        else branch.interpretation.content
                    )
                    name = np.dtype(getattr(dtype, "to_dtype", dtype)).newbyteorder("=").name
                    # A number of constituents is an int there and a byte from v10 on; so are the tau's bits.
                    assert name == ours[branch.name] or branch.name == "Jet_nConstituents", branch.name
                    compared.add(branch.name)
    assert set(ours) - own - compared == set()


def test_missing_momentum_balances_the_candidates(block: Any) -> None:
    pt, phi = (block.jagged[f"PFCands_{field}"][0].astype(np.float64) for field in ("pt", "phi"))
    event = np.repeat(np.arange(120), block.jagged["PFCands_pt"][1])
    x, y = (np.bincount(event, pt * f(phi), 120) for f in (np.cos, np.sin))
    met, angle = block.scalars["MET_pt"], block.scalars["MET_phi"]
    assert met * np.cos(angle) == pytest.approx(-x, abs=1e-2)
    assert met * np.sin(angle) == pytest.approx(-y, abs=1e-2)
    assert block.scalars["MET_sumEt"] == pytest.approx(np.bincount(event, pt, 120), rel=1e-4)


def test_true_missing_momentum_is_that_of_the_neutrinos(block: Any, top_truth: Truth) -> None:
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


def test_resolution_of_missing_momentum_is_that_of_the_sum(block: Any) -> None:
    difference = [
        block.scalars["MET_pt"] * f(block.scalars["MET_phi"])
        - block.scalars["GenMET_pt"] * f(block.scalars["GenMET_phi"])
        for f in (np.cos, np.sin)
    ]
    stochastic = np.concatenate(difference).std() / np.sqrt(block.scalars["MET_sumEt"].mean())
    # CMS: 0.5 to 0.7 √GeV per component without pile-up (arXiv:1903.06078).
    assert 0.3 < stochastic < 0.9


def test_events_without_particles_give_empty_collections(top_truth: Truth) -> None:
    def drop(objects: FlatObjects) -> FlatObjects:
        return objects[np.zeros(len(objects), dtype=bool)]

    parts = (
        drop(part) for part in (top_truth.visible, top_truth.bottom, top_truth.charm, top_truth.taus, top_truth.hard)
    )
    nothing = np.zeros(0, dtype=np.int64)
    empty = reconstruct(Truth(*parts, nothing, nothing), np.random.default_rng(1), particles=True)
    assert empty.events == 120
    assert all(counts.sum() == 0 and len(counts) == 120 for _, counts in empty.jagged.values())
    assert np.all(empty.scalars["MET_pt"] == 0.0)
    assert np.all(np.abs(empty.scalars["MET_phi"]) < 3.2)
