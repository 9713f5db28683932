"""Cuts over branches that an input of a union lacks: they see what the output holds there."""

from pathlib import Path

import pytest
import uproot

from hepfilter.errors import UsageError
from hepfilter.io.sources import Source
from hepfilter.skim.cut_fills import CutFills
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano
from tests.skim.proof.test_verification import assert_proven, findings, statuses, verify


@pytest.fixture
def inputs(tmp_path) -> list[str]:
    """The second lacks a trigger bit, a number and a branch of a collection; the first a collection."""
    photons = tuple(f"Photon_{field}" for field in ("pt", "eta", "phi", "mass", "charge", "flag"))
    first = make_nano(tmp_path / "a.root", 60, drop=(*photons, "nPhoton"))
    second = make_nano(tmp_path / "b.root", 40, seed=2, first_event=100, drop=("MET_phi", "HLT_any", "Muon_charge"))
    return [str(first), str(second)]


FILLS = {"MET_phi": 7.25, "Muon_charge": -9}


@pytest.mark.parametrize(
    "where",
    [
        "HLT_any", "!HLT_any", "MET_phi > 3", "MET_phi == 7.25 || HLT_any", "Sum$(Muon_charge == -9) > 1",
        "Sum$(Photon_pt > 5) >= 1", "nPhoton == 0 && nMuon > 1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", [1, -1])
def test_a_cut_sees_what_the_output_holds(inputs, tmp_path, where, order):
    inputs = inputs[::order]
    recipe = Recipe(where="event >= 0", layout="union", fills=FILLS)
    skim(inputs, tmp_path / "all.root", recipe)
    skim([str(tmp_path / "all.root")], tmp_path / "cut.root", Recipe(where=where))
    skim(inputs, tmp_path / "out.root", Recipe(where=where, layout="union", fills=FILLS))
    wanted, found = (uproot.open(tmp_path / name)["Events/event"].array().tolist() for name in ("cut.root", "out.root"))
    assert found == wanted and 0 < len(found) < 100
    assert_proven(verify([str(tmp_path / "out.root")]))


def test_what_has_no_fill_is_refused_in_one_line(inputs, tmp_path):
    def message(recipe: Recipe) -> str:
        with pytest.raises(UsageError) as caught:
            skim(inputs, tmp_path / "no.root", recipe)
        return str(caught.value)

    told = message(Recipe(where="MET_phi > 3", layout="union"))
    assert told.startswith(f"{inputs[1]}: has no branch MET_phi, which --where needs and other inputs have; say what")
    assert "--fill MET_phi=VALUE" in told
    assert "MET_phy" in message(Recipe(where="MET_phy > 3", layout="union"))  # which no input has
    assert "MET_phi" in message(Recipe(where="MET_phi > 3", layout="intersection"))


def test_inputs_are_opened_for_fills_only_where_one_is_needed(inputs, tmp_path, monkeypatch):
    opened = []
    real = CutFills.__dict__["_layout"].func
    monkeypatch.setattr(CutFills, "_layout", property(lambda own: opened.append(1) or real(own)))
    skim(inputs, tmp_path / "out.root", Recipe(where="nMuon > 1", layout="union", fills=FILLS))
    assert not opened


def test_where_the_source_that_has_the_branch_is_gone_nothing_is_proven_or_blamed(inputs, tmp_path):
    skim(inputs, tmp_path / "out.root", Recipe(where="HLT_any", layout="union", fills=FILLS))
    second = tmp_path / "there" / "b.root"
    second.parent.mkdir()
    second.write_bytes(Path(inputs[1]).read_bytes())
    report = verify([str(tmp_path / "out.root")], sources=[Source(str(second))])
    assert statuses(report)["selection"] == "not proven"
    assert "the recorded selection cannot be applied" in findings(report, "selection")
