"""The same events as ROOT selects, on real files: RDataFrame where C++ defines the result, TTreeFormula elsewhere."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.events.expressions import Column, parse_expression

# Each line: ours; what ROOT is asked, if it is spelled differently there; C++ where ROOT is asked by RDataFrame.
FORMULA, FILTER = "formula", "filter"
MUONS = [
    ("nMuon >= 2", FORMULA, None),
    ("nMuon == 2 || nMuon > 4", FILTER, None),
    ("nMuon", FORMULA, None),
    ("nMuon - 2", FORMULA, None),
    ("nMuon - 3 > 0", FORMULA, None),  # an unsigned counter, which C++ would wrap around
    ("nMuon > -1 && nMuon % 2", FORMULA, None),
    ("!(nMuon > 2)", FILTER, None),
    ("not (nMuon == 2)", FILTER, None),
    ("nMuon & 1", FORMULA, None),
    ("nMuon & 2 | nMuon & 4", FORMULA, "(nMuon & 2) | (nMuon & 4)"),
    ("nMuon << 1 >= 6", FILTER, "(nMuon << 1) >= 6"),
    ("nMuon / 2 == 1.5", FORMULA, None),  # division is real
    ("Muon_pt[0] > 20.1", FORMULA, None),
    ("!(Muon_pt[0] > 20.1)", FORMULA, None),  # nothing passes where there is no object
    ("Muon_pt[1] > 10 && Muon_charge[0] != Muon_charge[1]", FORMULA, None),
    ("nMuon > 1 && Muon_pt[1] > 10", FILTER, None),
    ("nMuon > 2 && Muon_pt[nMuon - 1] < 5", FILTER, None),
    ("nMuon > 0 && Muon_pt[nMuon-1] > 12", FORMULA, None),
    ("nMuon > 0 ? Muon_pt[0] > 30 : false", FILTER, None),
    ("nMuon > 0 and (Muon_charge[0] == 1 or Muon_pt[0] > 40)", FILTER, None),
    ("Alt$(Muon_pt[1], 50) > 15", FORMULA, None),
    ("abs(Muon_eta[0]) < 1.2", FORMULA, None),
    ("fabs(Muon_eta[0]) + abs(Muon_eta[1]) > 2", FORMULA, None),
    ("TMath::Abs(Muon_eta[0]) < 0.9", FORMULA, None),
    ("Muon_pt[0] * sinh(Muon_eta[0]) > 10", FORMULA, None),
    ("sqrt(2 * Muon_pt[0] * Muon_pt[1] * (1 - cos(Muon_phi[0] - Muon_phi[1]))) > 20", FORMULA, None),
    ("Muon_pt[0]**2 > 900", FORMULA, None),
    ("-Muon_pt[0]**2 < -400 && -Muon_eta[0] > 0", FORMULA, None),
    ("pow(Muon_pt[0], 2) - 100*Muon_pt[0] < 0", FORMULA, None),
    ("log(Muon_pt[0]) > 3 && log10(Muon_pt[0]) < 1.7", FORMULA, None),
    ("exp(-Muon_pt[0] / 20) < 0.3", FORMULA, None),
    ("min(Muon_pt[0], 30) > max(Muon_pt[1], 15)", FORMULA, None),
    ("floor(Muon_phi[0]) == -2 || ceil(Muon_phi[0]) == 2", FORMULA, None),
    ("atan2(sin(Muon_phi[0]), cos(Muon_phi[0])) > 1", FORMULA, None),
    ("hypot(Muon_eta[0], Muon_phi[0]) < 2", FORMULA, None),
    ("Sum$(Muon_pt) > 60", FORMULA, None),
    ("Sum$(Muon_pt > 20) >= 2", FORMULA, None),
    ("Sum$(Muon_pt > 20 && abs(Muon_eta) < 2.1) == 1", FORMULA, None),
    ("Sum$(Muon_charge) == 0", FORMULA, None),
    ("Sum$(Muon_charge * (Muon_pt > 10)) != 0", FORMULA, None),
    ("Length$(Muon_pt) == 3", FORMULA, None),
    ("len(Muon_pt[Muon_pt > 15]) >= 2", FILTER, "Muon_pt[Muon_pt > 15].size() >= 2"),
    ("Max$(Muon_pt) > 30", FORMULA, None),
    ("Max$(abs(Muon_eta)) < 2.4 && nMuon > 0", FORMULA, None),
    ("Min$(Muon_pt) > 8", FORMULA, None),
    ("MaxIf$(Muon_pt, Muon_charge > 0) > 25", FORMULA, None),
    ("MinIf$(Muon_pt, abs(Muon_eta) < 1.5) > 18", FORMULA, None),
    ("nMuon > 0 && Max(Muon_pt) > 35", FILTER, None),
    ("nMuon > 0 && Mean(Muon_pt) > 18", FILTER, None),
    ("Sum(Muon_pt[Muon_charge < 0]) > 30", FILTER, None),
    ("Sum(Muon_pt[Muon_charge > 0 && abs(Muon_eta) < 1.5]) > 25", FILTER, None),
    ("Any(Muon_pt > 20 && abs(Muon_eta) < 1)", FILTER, None),
    ("All(Muon_pt > 5) && nMuon > 0", FILTER, None),
    ("All(Muon_pt > 5 || abs(Muon_eta) < 1)", FILTER, None),
    (
        "Muon_pt[abs(Muon_eta) < 1.5][0] > 20",
        FILTER,
        "auto central = Muon_pt[abs(Muon_eta) < 1.5]; return central.size() > 0 && central[0] > 20;",
    ),
    (
        "nMuon > 1 && DeltaR(Muon_eta[0], Muon_eta[1], Muon_phi[0], Muon_phi[1]) < 1",
        FILTER,
        "nMuon > 1 && ROOT::VecOps::DeltaR(Muon_eta[0], Muon_eta[1], Muon_phi[0], Muon_phi[1]) < 1",
    ),
    (
        "nMuon > 1 && Any(DeltaR(Muon_eta, Muon_eta[0], Muon_phi, Muon_phi[0]) > 3)",
        FILTER,
        "if (nMuon < 2) return false; ROOT::RVecF eta(nMuon, Muon_eta[0]), phi(nMuon, Muon_phi[0]);"
        "return Any(DeltaR(Muon_eta, eta, Muon_phi, phi) > 3);",
    ),
    (
        "nMuon > 1 && DeltaPhi(Muon_phi[0], Muon_phi[1]) > 2",
        FILTER,
        "nMuon > 1 && ROOT::VecOps::DeltaPhi(Muon_phi[0], Muon_phi[1]) > 2",
    ),
    ("InvariantMass(Muon_pt, Muon_eta, Muon_phi, Muon_mass) > 30", FILTER, None),
    (
        "nMuon == 2 && All(Muon_pt > 5) && InvariantMass(Muon_pt, Muon_eta, Muon_phi, Muon_mass) > 60",
        FILTER,
        None,
    ),
    (
        "InvariantMass(Muon_pt[Muon_pt > 10], Muon_eta[Muon_pt > 10], Muon_phi[Muon_pt > 10], 0.10566) > 20",
        FILTER,
        "auto m = Muon_pt > 10; return InvariantMass(Muon_pt[m], Muon_eta[m], Muon_phi[m], Muon_mass[m]) > 20;",
    ),
]
IDENTITY = [
    ("event % 3 == 1", FILTER, None),
    ("event & 1", FORMULA, None),
    ("(event >> 3) & 1", FILTER, "((event >> 3) & 1) == 1"),
    ("luminosityBlock % 2 == 0 || event % 5 == 0", FILTER, None),
]
ONLY_IN = {
    "run2012_dimuon_100k.root": [],
    "Run2012B_SingleMu_1000.root": [
        *IDENTITY,
        ("Sum$(Jet_pt > 30) >= 2 && MET_pt > 20", FORMULA, None),
        ("Muon_tightId[0] && Muon_pfRelIso03_all[0] < 0.15", FORMULA, None),
        ("!Muon_tightId[0]", FORMULA, None),
        ("~Muon_tightId[0]", FORMULA, "!Muon_tightId[0]"),
        ("Muon_tightId[0] + Muon_softId[0] == 1", FORMULA, None),
        ("Any(Muon_tightId)", FILTER, None),
        ("Sum$(Muon_tightId) == 1 && run == 194711", FORMULA, None),
        ("Take(Jet_pt, Muon_jetIdx[Muon_jetIdx >= 0])[0] > 40", FILTER, "auto i = Muon_jetIdx[Muon_jetIdx >= 0];"
         "return i.size() > 0 && Take(Jet_pt, i)[0] > 40;"),
        ("Jet_pt[Muon_jetIdx[0]] > 30 && Muon_jetIdx[0] >= 0", FILTER, "nMuon > 0 && Muon_jetIdx[0] >= 0 && "
         "Jet_pt[Muon_jetIdx[0]] > 30"),
        ("Sum$(Jet_pt * (abs(Jet_eta) < 2.4)) > 100", FORMULA, None),
        ("MET_sumet / Sum$(Jet_pt) > 5", FORMULA, "Sum$(Jet_pt) == 0 || MET_sumet / Sum$(Jet_pt) > 5"),
        ("nJet > 0 && sqrt(2 * MET_pt * Jet_pt[0] * (1 - cos(MET_phi - Jet_phi[0]))) > 50", FORMULA, None),
    ],
    "nano_tt_v15.root": [
        *IDENTITY,
        ("PuppiMET_pt > 60 && nJet >= 6", FILTER, None),
        ("Sum$(Jet_pt > 30 && abs(Jet_eta) < 2.4 && Jet_btagPNetB > 0.25) >= 2", FORMULA, None),
        ("Any(Muon_tightId && Muon_pt > 20) || Any(Electron_pt > 30)", FILTER, None),
        ("Sum$(abs(GenPart_pdgId) == 13 && GenPart_status == 1) >= 1", FORMULA, None),
        ("Any((GenPart_statusFlags >> 13) & 1 && abs(GenPart_pdgId) == 11)", FILTER,
         "Any((GenPart_statusFlags & (1 << 13)) != 0 && abs(GenPart_pdgId) == 11)"),
        ("PV_npvs - PV_npvsGood > 8", FORMULA, None),
        ("PV_npvsGood * 2 < PV_npvs * 1.7", FORMULA, None),
        ("genWeight < 0", FORMULA, None),
        ("HLT_IsoMu24 || HLT_Ele32_WPTight_Gsf", FILTER, None),
        ("HLT_IsoMu24 & !HLT_Mu50", FILTER, "HLT_IsoMu24 && !HLT_Mu50"),
        ("Max$(Jet_pt) > 150 ? PuppiMET_pt > 50 : PuppiMET_pt > 100", FORMULA, None),
    ],
}  # fmt: skip


def read_columns(path: Path, branches: tuple[str, ...]) -> tuple[dict[str, Column], int]:
    """The columns as the reader gives them, and the number of events."""
    columns = {}
    with uproot.open({path: "Events"}) as tree:
        for name, array in zip(branches, ak.unzip(tree.arrays(list(branches))), strict=True):
            layout = ak.to_layout(ak.to_packed(array))
            if layout.purelist_depth == 1:
                columns[name] = Column(np.asarray(layout.data))
            else:
                columns[name] = Column(np.asarray(layout.content.data), np.asarray(layout.offsets, np.int64))
        return columns, tree.num_entries


def ask_root(path: Path, questions: list[tuple[str, str]], folder: Path) -> list[list[int]]:
    (folder / "questions.json").write_text(json.dumps(questions))
    script = Path(__file__).with_name("select_in_root.py")
    command = [sys.executable, script, path, "Events", folder / "questions.json", folder / "answers.json"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-1000:]
    return json.loads((folder / "answers.json").read_text())


@pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed (pip install --pre root)")
@pytest.mark.parametrize("name", ONLY_IN)
def test_the_same_events_pass_as_in_root(name, shared_data, tmp_path):
    path = shared_data / name
    lines = [*MUONS, *ONLY_IN[name]]
    with uproot.open({path: "Events"}) as tree:
        expressions = [parse_expression(ours, tree.keys()) for ours, _, _ in lines]
    columns, count = read_columns(path, tuple({branch: None for e in expressions for branch in e.branches}))
    answers = ask_root(path, [(engine, text or ours) for ours, engine, text in lines], tmp_path)
    differences, telling = {}, 0
    for expression, answer in zip(expressions, answers, strict=True):
        passing = np.flatnonzero(expression.passes(columns, count)).tolist()
        telling += 0 < len(passing) < count
        if passing != answer:
            differences[expression.text] = sorted(set(passing) ^ set(answer))[:5], len(passing), len(answer)
    assert not differences
    assert len(lines) >= 60
    assert telling >= 0.9 * len(lines)
