"""Events in memory get the scores and decisions that their file gets, however they are held."""

import pickle
import warnings
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

import hepfilter
from hepfilter.api.filtering import Filter, load_scorer
from hepfilter.errors import SchemaError, UsageError
from tests.nano import make_nano

READ = r"/(n?(Jet|FatJet|Muon|Electron|Photon|Tau|MET|PuppiMET).*|run|luminosityBlock|event|genWeight|HepFilter_.*)/"
MENU = """
name: small
paths:
  high: {score: interest, threshold: 0.17, prescale: 2}
  dimuon: {when: "nMuon >= 2 && Muon_pt[0] > 20"}
control: {probability: 0.1}
"""


def arrays(path: Path) -> ak.Array:
    with uproot.open({path: "Events"}) as tree:
        return tree.arrays(filter_name=READ)


def nano_events(path: Path, mode: str) -> ak.Array:
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else NanoAOD has
        return NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=NanoAODSchema, mode=mode).events()


def held(path: Path, *modes: str) -> dict[str, ak.Array]:
    """The events of a file: as NanoEvents, in some of coffea's modes, as branches, and as our record."""
    ways = {mode: nano_events(path, mode) for mode in modes}
    return ways | {"uproot": arrays(path), "record": hepfilter.open(path).events()}


def bits(scores: ak.Array) -> dict[str, bytes]:
    return {name: ak.to_numpy(scores[name]).tobytes() for name in scores.fields}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_nano(tmp_path_factory.mktemp("nano") / "in.root", 200)


@pytest.mark.filterwarnings("ignore:.*empty in every event")
def test_scores_are_those_of_the_file_to_the_bit(generated, untrained_model):
    expected = bits(hepfilter.score(generated, model=untrained_model))
    for way, events in held(generated, "eager", "virtual").items():
        assert bits(hepfilter.score(events, model=untrained_model)) == expected, way
        chunks = [bits(hepfilter.score(events[part], model=untrained_model)) for part in (slice(0, 71), slice(71, 200))]
        assert b"".join(chunk["interest"] for chunk in chunks) == expected["interest"], way
    some = np.arange(200) % 3 == 0
    chosen = Filter(untrained_model).scores(nano_events(generated, "eager")[some])
    assert bits(chosen)["interest"] == np.frombuffer(expected["interest"], np.float32)[some].tobytes()


@pytest.mark.parametrize(
    "name", ["nano_dy", pytest.param("nano_tt_v15", marks=pytest.mark.long), "Run2012B_SingleMu_1000"]
)
@pytest.mark.filterwarnings("ignore")
def test_scores_of_real_files_are_those_of_the_file_to_the_bit(shared_data, name):
    path = shared_data / f"{name}.root"
    expected = bits(hepfilter.score(path))
    assert set(expected) == {"interest", "rarity", "scarcity", "contrast", "pvalue", "combined"}
    for way, events in held(path, "virtual").items():
        assert bits(hepfilter.score(events)) == expected, way


@pytest.mark.filterwarnings("ignore:.*empty in every event")
def test_masks_are_those_of_skims(tmp_path, generated, untrained_model):
    (tmp_path / "small.yaml").write_text(MENU)
    for words in ({"keep": "10%"}, {"threshold": 0.17}, {"menu": tmp_path / "small.yaml"}):
        report = hepfilter.skim(generated, tmp_path / "o.root", model=untrained_model, force=True, **words)
        kept = arrays(tmp_path / "o.root")
        assert 0 < report.written < 200
        for way, events in held(generated, "eager", "virtual").items():
            if way == "record" and "menu" in words:
                continue
            found = Filter(untrained_model, **words)(events)
            assert found.dtype == np.bool_ and found.shape == (200,)
            if way != "record":
                assert ak.to_list(events["event"][found]) == ak.to_list(kept["event"]), (way, words)
            assert found.sum() == report.written
    decisions = Filter(untrained_model, menu=tmp_path / "small.yaml").decide(arrays(generated))
    assert decisions.paths == ("high", "dimuon")
    np.testing.assert_array_equal(decisions.weight[decisions.kept].astype(np.float32), kept["HepFilter_weight"])


@pytest.mark.filterwarnings("ignore:.*scores")
def test_ties_are_broken_as_in_skims(tmp_path, untrained_model):
    fields = [
        f"{name}_{field}" for name in ("Jet", "Muon", "Electron") for field in ("pt", "eta", "phi", "mass", "charge")
    ]
    drop = (*fields, *(f"{name}_flag" for name in ("Jet", "Muon", "Electron")), "MET_pt", "MET_phi")
    path = make_nano(tmp_path / "in.root", 200, drop=drop)  # many events have no object at all
    report = hepfilter.skim(path, tmp_path / "o.root", model=untrained_model, keep="50%")
    more = hepfilter.skim(path, tmp_path / "more.root", model=untrained_model, keep="85%")
    assert report.ties_dropped + more.ties_dropped > 10
    for words, output in (("50%", "o"), ("85%", "more")):
        found = Filter(untrained_model, keep=words)(arrays(path))
        assert arrays(path)["event"][found].tolist() == arrays(tmp_path / f"{output}.root")["event"].tolist()


def test_a_menu_by_hand_needs_no_model(tmp_path, generated):
    (tmp_path / "hand.yaml").write_text('name: hand\npaths:\n  dimuon: {when: "nMuon >= 2"}\n')
    found = Filter(menu=tmp_path / "hand.yaml")(nano_events(generated, "eager"))
    np.testing.assert_array_equal(found, ak.num(arrays(generated)["Muon_pt"]) >= 2)


def test_a_filter_travels_and_its_model_is_loaded_once(generated, untrained_model):
    sieve = Filter(untrained_model, threshold=0.17)
    there = pickle.loads(pickle.dumps(sieve))  # noqa: S301
    assert len(pickle.dumps(sieve)) < 2_000
    events = hepfilter.open(generated).events()
    np.testing.assert_array_equal(there(events), sieve(events))
    assert load_scorer(str(untrained_model), "auto") is load_scorer(str(untrained_model), "auto")


def test_a_model_that_changed_is_loaded_anew(tmp_path, untrained_model):
    copy = tmp_path / "m.safetensors"
    copy.write_bytes(untrained_model.read_bytes())
    first = load_scorer(str(copy), "auto")
    copy.touch()
    assert load_scorer(str(copy), "auto") is not first


def test_what_the_array_lacks_is_told(generated, untrained_model):
    with uproot.open({generated: "Events"}) as tree:
        jets = tree.arrays(["Jet_pt", "Jet_eta", "Jet_phi"])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scores = Filter(untrained_model).scores(jets)
    said = " ".join(str(one.message) for one in told)
    assert len(scores) == 200
    assert "masses are 0" in said and "met, muon, electron, photon: empty" in said and "no branch run" in said


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda events: Filter()(events), UsageError, "decides nothing"),
        (lambda events: Filter(keep="1%", threshold=1.0), UsageError, "one of them"),
        (lambda events: Filter(menu="discovery"), UsageError, "rates lock discovery FILE"),
        (lambda events: Filter().decide(events), UsageError, "menu="),
        (lambda events: Filter().scores([1, 2]), UsageError, "awkward array, not builtins.list"),
        (lambda events: Filter().scores(ak.Array([1.0, 2.0])), UsageError, "no fields"),
        (lambda events: Filter().scores(ak.Array([{"x": 1.0}])), SchemaError, "array of events"),
    ],
)
def test_what_cannot_be_is_one_line(generated, call, error, said):
    with pytest.raises(error, match=said) as caught:
        call(arrays(generated))
    assert "\n" not in str(caught.value)


def test_a_menu_needs_to_know_who_events_are(tmp_path, generated, untrained_model):
    (tmp_path / "small.yaml").write_text(MENU)
    sieve = Filter(untrained_model, menu=tmp_path / "small.yaml")
    events = arrays(generated)
    with pytest.raises(SchemaError, match="told apart"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sieve(events[[name for name in events.fields if name != "event"]])
    with pytest.raises(UsageError, match="record has none"):
        sieve(hepfilter.open(generated).events())
