import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.config.card import Card, load_card
from hepfilter.errors import SimulationError, UsageError
from hepfilter.simulation import sample as sample_module
from hepfilter.simulation.nano import event_columns
from hepfilter.simulation.sample import PROCESS_TABLE, SampleReport, simulate

QUICK = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 100")


def _card(name: str, **more: Any) -> Card:
    made = {"family": "own", "is_signal": False, "label": 5, "settings": QUICK, "multiple_interactions": False}
    made["cross_section_pb"] = 2.0  # spares the pilot
    return Card.model_validate({"name": name, "title": name, **made, **more})


def _content(path: Path) -> dict[str, ak.Array]:
    """Every branch of every tree."""
    with uproot.open(path) as file:
        trees = {name: file[name].arrays() for name in ("Events", "Runs", "LuminosityBlocks")}
    return {f"{name}.{field}": array[field] for name, array in trees.items() for field in array.fields}


def _same(one: dict[str, ak.Array], two: dict[str, ak.Array]) -> bool:
    return list(one) == list(two) and all(ak.array_equal(one[name], two[name], equal_nan=True) for name in one)


def test_the_file_holds_the_trees_of_nanoaod(sample: SampleReport, sample_file: Path) -> None:
    with uproot.open(sample_file) as file:
        assert set(file.keys(cycle=False)) == {"Events", "Runs", "LuminosityBlocks", PROCESS_TABLE}
        events = file["Events"]
        assert events.num_entries == sample.events == 120
        assert events["Muon_pt"].member("fLeaves")[0].member("fTitle") == "Muon_pt[nMuon]"
        assert events["Muon_pt"].title == "p_{T}"
        for column in event_columns(particles=True):
            content = events[column.name].array(entry_stop=1).layout
            dtype = content.content.dtype if column.counter else content.dtype
            assert dtype == np.dtype(column.dtype), column.name
        assert events["event"].title == "event/l"
        assert events["HepFilterTruth_isSignal"].typename == "bool"
        assert events["HepFilterTruth_label"].typename == "int32_t"
        assert events["nMuon"].array().tolist() == ak.num(events["Muon_pt"].array()).tolist()


def test_labels_weights_and_books(sample: SampleReport, sample_file: Path) -> None:
    content = _content(sample_file)
    background, signal = sample.processes
    weights = ak.to_numpy(content["Events.genWeight"]).astype(np.float64)
    assert weights[:60].sum() == pytest.approx(background.cross_section.value_pb, rel=1e-6)
    assert weights[60:].sum() == pytest.approx(signal.cross_section.value_pb, rel=1e-6)
    assert content["Events.HepFilterTruth_label"].tolist() == [3] * 60 + [102] * 60
    assert content["Events.HepFilterTruth_isSignal"].tolist() == [False] * 60 + [True] * 60
    assert content["Runs.genEventCount"].tolist() == [120]
    assert content["Runs.genEventSumw"].tolist() == pytest.approx([weights.sum()], rel=1e-12)
    assert content["Runs.genEventSumw2"].tolist() == pytest.approx([(weights**2).sum()], rel=1e-12)
    blocks = sorted(set(content["Events.luminosityBlock"].tolist()))
    assert content["LuminosityBlocks.luminosityBlock"].tolist() == blocks == [1, 2]
    assert content["LuminosityBlocks.run"].tolist() == [1, 1]
    identity = list(
        zip(*(content[f"Events.{name}"].tolist() for name in ("run", "luminosityBlock", "event")), strict=True)
    )
    assert len(set(identity)) == 120


def test_the_table_of_processes_makes_the_cards_again(sample_file: Path) -> None:
    with uproot.open(sample_file) as file:
        table = json.loads(str(file[PROCESS_TABLE]))
    assert (table["seed"], table["block_events"]) == (7, 500)
    assert [process["name"] for process in table["processes"]] == ["zjets", "zprime_ll"]
    assert [process["events"] for process in table["processes"]] == [60, 60]
    assert table["processes"][0]["settings"] == list(load_card("zjets").settings)
    assert table["processes"][1]["cross_section_pb"] > 0


def test_heavy_z_has_its_mass(sample_file: Path) -> None:
    content = {
        name.removeprefix("Events."): values[60:] for name, values in _content(sample_file).items() if "Events" in name
    }
    masses = []
    for kind in ("Electron", "Muon"):
        pt, eta, phi = (content[f"{kind}_{field}"] for field in ("pt", "eta", "phi"))
        two = ak.num(pt[pt > 200]) == 2
        lead = [values[two][pt[two] > 200] for values in (pt, eta, phi)]
        a, b = ([values[:, place] for values in lead] for place in (0, 1))
        masses.append(np.sqrt(2 * a[0] * b[0] * (np.cosh(a[1] - b[1]) - np.cos(a[2] - b[2]))))
    mass = np.concatenate(masses)
    assert len(mass) > 25
    # Width 60 GeV, and muons of 1 TeV measured to 10 %; leading-order lineshapes have a tail at low mass.
    assert np.median(mass) == pytest.approx(2000.0, rel=0.04)


def test_particles_make_up_the_missing_momentum_and_the_jets(sample_file: Path) -> None:
    content = _content(sample_file)
    pt, phi = content["Events.PFCands_pt"], content["Events.PFCands_phi"]
    x = ak.sum(pt * np.cos(phi), axis=1)
    assert ak.to_numpy(content["Events.MET_pt"] * np.cos(content["Events.MET_phi"])) == pytest.approx(
        -ak.to_numpy(x), abs=0.05
    )
    assert ak.all(ak.sum(pt, axis=1) >= ak.sum(content["Events.Jet_pt"], axis=1) - 1e-2)
    assert set(np.abs(ak.flatten(content["Events.PFCands_pdgId"])).tolist()) == {11, 13, 22, 130, 211}


def test_content_is_the_same_for_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "BLOCK_EVENTS", 8)
    cards = [_card("one"), _card("two", is_signal=True, label=6)]
    for workers in (1, 2):
        told: list[tuple[str, int]] = []
        simulate(
            cards, events=12, seed=3, output=tmp_path / f"{workers}.root", workers=workers,
            progress=lambda name, count, told=told: told.append((name, count)),  # type: ignore[misc]
        )  # fmt: skip
        assert told == [("one", 8), ("one", 4), ("two", 8), ("two", 4)]
    one, two = _content(tmp_path / "1.root"), _content(tmp_path / "2.root")
    assert _same(one, two)
    assert one["Events.luminosityBlock"].tolist() == [1] * 8 + [2] * 4 + [3] * 8 + [4] * 4
    assert not np.array_equal(one["Events.MET_pt"][:12], one["Events.MET_pt"][12:])


def test_more_events_begin_with_the_same_ones_and_other_seeds_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "BLOCK_EVENTS", 8)
    contents = []
    for events, seed in ((8, 3), (16, 3), (8, 4)):
        simulate([_card("one")], events=events, seed=seed, output=tmp_path / "o.root")
        contents.append(_content(tmp_path / "o.root"))
    short, long, other = contents
    for name in ("Jet_pt", "MET_pt", "event", "luminosityBlock"):
        assert ak.array_equal(short[f"Events.{name}"], long[f"Events.{name}"][:8])
    assert not np.array_equal(short["Events.MET_pt"], other["Events.MET_pt"])
    assert not set(short["Events.event"].tolist()) & set(other["Events.event"].tolist())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_generator_that_fails_leaves_no_file(tmp_path: Path, workers: int) -> None:
    # The stated cross-section spares the pilot: the generator fails when the file is already open.
    broken = _card("broken", settings=("HardQCD:all = on", "PhaseSpace:pTHatMin = 8000"), cross_section_pb=1.0)
    with pytest.raises(SimulationError, match="card broken: Pythia does not initialise: Error in ProcessLevel::init"):
        simulate([_card("good"), broken], events=3, seed=1, output=tmp_path / "o.root", workers=workers)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "no card"),
        (["a", "b", "a"], {}, "cards of the same name: a"),
        (["a"], {"events": 0}, "events must lie between 1 and"),
        (["a"], {"workers": 0}, "workers must be at least 1, not 0"),
        (["a"], {"seed": -1}, "seed must not be negative, it is -1"),
    ],
)
def test_impossible_options(tmp_path: Path, names: list[str], options: dict[str, int], message: str) -> None:
    settings = {"events": 5, "seed": 1, "workers": 1, **options}
    with pytest.raises(UsageError, match=message):
        simulate([_card(name) for name in names], output=tmp_path / "o.root", **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_found_and_nano_events_opens_it(sample_file: Path) -> None:
    nanoevents = pytest.importorskip("coffea.nanoevents")
    factory = nanoevents.NanoEventsFactory.from_root({str(sample_file): "Events"}, mode="virtual")
    events = factory.events()
    assert len(events) == 120
    hard = events.GenPart[abs(events.GenPart.pdgId) == 11]
    assert ak.all(abs(hard[60:].parent.pdgId) == 32)
    assert events.Jet.pt.tolist() == _content(sample_file)["Events.Jet_pt"].tolist()
