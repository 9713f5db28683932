"""Single events are those that were asked for, with all that files and model say of them."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.errors import SourceError, UsageError
from hepfilter.evaluation.displayed import DisplayedEvent, read_displayed
from hepfilter.scoring.score import score_files
from tests.nano import make_nano

MENU = """\
name: small
model: interest-objects
paths:
  muons: {when: nMuon >= 2}
  odd: {score: interest, fraction: 20%, stream: rare}
  rare_muons: {when: nMuon >= 1, prescale: 1000000}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds events.root, more.root, skim.root by `MENU` of the first, and scores.root of all its events."""
    folder = tmp_path_factory.mktemp("events")
    make_nano(folder / "events.root", 60)
    make_nano(folder / "more.root", 60, seed=2, first_event=60)
    (folder / "menu.yaml").write_text(MENU)
    skim = ["skim", str(folder / "events.root"), "-o", str(folder / "skim.root"), "--menu", str(folder / "menu.yaml")]
    assert run(skim) == 0
    score_files(folder / "events.root", folder / "scores.root")
    return folder


@pytest.fixture(scope="module")
def scores(folder: Path) -> dict[str, np.ndarray]:
    with uproot.open({folder / "scores.root": "Scores"}) as tree:
        return tree.arrays(library="np")


def one(path: Path, **chosen) -> DisplayedEvent:
    (event,) = read_displayed(path, **chosen)
    return event


def test_objects_are_those_of_the_file(folder):
    event = one(folder / "events.root", entries=[7])
    assert (event.entry, event.identity, event.name, event.schema) == (7, (1, 1, 7), "1:1:7", "nanoaod")
    with uproot.open({folder / "events.root": "Events"}) as tree:
        values = tree.arrays(entry_start=7, entry_stop=8)[0]
    by_collection = {}
    for shown in event.objects:
        by_collection.setdefault(shown.collection, []).append(shown)
        assert shown.kind == shown.collection
    assert by_collection["met"][0].pt == pytest.approx(values.MET_pt) and by_collection["met"][0].name == "MET"
    for name, prefix in (("jet", "Jet"), ("muon", "Muon")):
        found = by_collection.get(name, [])
        known = set(zip(values[f"{prefix}_pt"].tolist(), values[f"{prefix}_phi"].tolist(), strict=True))
        assert {(shown.pt, shown.phi) for shown in found} <= known
        assert [shown.number for shown in found] == list(range(1, len(found) + 1))
        assert [shown.pt for shown in found] == sorted((shown.pt for shown in found), reverse=True)
    assert by_collection["jet"] and all(shown.charge is None for shown in by_collection["jet"])


def test_what_a_node_carries_stands_at_its_object_and_edges_join_nodes(folder):
    events = read_displayed(folder / "events.root", entries=range(20))
    for event in events:
        nodes = [place for place, shown in enumerate(event.objects) if shown.carried is not None]
        assert all(event.objects[place].collection != "tau" for place in nodes)
        soft = [shown for shown in event.objects if shown.collection == "jet" and shown.pt < 25]
        assert all(shown.carried is None for shown in soft)
        assert len(event.edges) == len(nodes) * (len(nodes) - 1) // 2
        assert {edge.first for edge in event.edges} | {edge.second for edge in event.edges} <= set(nodes)
        assert all(edge.first < edge.second for edge in event.edges)
    assert any(shown.carried for event in events for shown in event.objects)


def test_scores_are_those_of_the_model_or_of_the_skim(folder, scores):
    event = one(folder / "events.root", entries=[3])
    names = ("interest", "rarity", "scarcity", "contrast", "pvalue", "combined")
    expected = {name: float(scores[f"HepFilter_{name}"][3]) for name in names}
    assert event.scores == pytest.approx(expected)
    assert event.score == pytest.approx(expected["interest"], abs=1e-3)
    with uproot.open({folder / "skim.root": "Events"}) as tree:
        stored = tree.arrays(library="np")
    for entry, event in enumerate(read_displayed(folder / "skim.root", entries=range(len(stored["event"])))):
        assert event.scores["interest"] == stored["HepFilter_interest"][entry]
        assert not {"probability", "weight"} & set(event.scores)
        assert event.paths == tuple(n for n in ("muons", "odd", "rare_muons") if stored[f"HepFilter_{n}"][entry])
        assert event.streams == tuple(n for n in ("physics", "rare") if stored[f"HepFilter_stream_{n}"][entry])
    without = one(folder / "skim.root", entries=[0], model=None)
    assert without.scores["interest"] == stored["HepFilter_interest"][0]
    assert without.model is without.score is None and not without.edges
    assert all(shown.carried is None for shown in without.objects)


def test_the_top_is_that_of_all_files(folder, scores):
    events = read_displayed([folder / "events.root", folder / "more.root"], top=25)
    values = [event.score for event in events]
    assert len(events) == 25 and sorted(values, reverse=True) == pytest.approx(values, abs=1e-3)
    of_first = [event.entry for event in events if event.file.endswith("events.root")]
    order = np.argsort(-scores["HepFilter_interest"], kind="stable")
    assert 0 < len(of_first) < 25 and of_first == order[: len(of_first)].tolist()
    with uproot.open({folder / "skim.root": "Events"}) as tree:
        stored = tree["HepFilter_interest"].array(library="np")
    kept = read_displayed(folder / "skim.root", top=3, model=None)
    assert [event.scores["interest"] for event in kept] == sorted(stored, reverse=True)[:3]
    assert len(read_displayed(folder / "skim.root", top=10_000, model=None)) == len(stored)


def test_events_are_found_by_identity_in_any_file_and_come_in_the_order_asked_for(folder):
    wanted = [(1, 1, 70), (1, 1, 3), (1, 2, 110)]
    events = read_displayed([folder / "events.root", folder / "more.root"], identities=wanted, model=None)
    assert [event.identity for event in events] == wanted
    assert [(Path(event.file).name, event.entry) for event in events] == [
        ("more.root", 10), ("events.root", 3), ("more.root", 50),
    ]  # fmt: skip


def test_of_an_event_that_is_not_there_the_nearest_is_named(folder):
    for wanted, nearest, entry in (((1, 1, 1000), "1:1:59", 59), ((1, 7, 3), "1:1:3", 3), ((9, 1, 21), "1:1:21", 21)):
        with pytest.raises(SourceError, match=rf"nearest: {nearest}, entry {entry} of .*events\.root$"):
            read_displayed(folder / "events.root", identities=[wanted], model=None)
    with pytest.raises(SourceError, match=r"nearest: 1:2:100, entry 40 of "):  # rather than 1:1:99
        read_displayed(folder / "more.root", identities=[(1, 2, 99)], model=None)
    empty = make_nano(folder / "empty.root", 0)
    with pytest.raises(SourceError, match=r"no event 1:1:1 in .*empty.root: it holds no event"):
        read_displayed(empty, identities=[(1, 1, 1)], model=None)
    assert read_displayed(empty, top=3) == ()


def test_a_file_that_does_not_say_who_its_events_are(tmp_path):
    path = make_nano(tmp_path / "a.root", 5, drop=("luminosityBlock",))
    event = one(path, entries=[4], model=None)
    assert event.identity is None and event.name == "entry 4"
    with pytest.raises(SourceError, match="does not say run and event of its events; give an entry"):
        read_displayed(path, identities=[(1, 1, 1)], model=None)


def test_wrong_questions(folder):
    with pytest.raises(SourceError, match="no entry 60; tree Events has 60 entries, the last is 59"):
        read_displayed(folder / "events.root", entries=[60], model=None)
    for chosen in ({}, {"entries": [1], "top": 1}, {"identities": [(1, 1, 1)], "entries": [1]}):
        with pytest.raises(UsageError, match="say which events"):
            read_displayed(folder / "events.root", model=None, **chosen)
    with pytest.raises(UsageError, match="an entry is one of a single file, not of 2 files"):
        read_displayed([folder / "events.root", folder / "more.root"], entries=[1], model=None)
    with pytest.raises(UsageError, match="holds no scores to rank its events by; give a model"):
        read_displayed(folder / "events.root", top=1, model=None)


@pytest.mark.parametrize(
    ("name", "entry", "model", "kinds"),
    [
        ("pfnano.root", 5, "interest-particles", {"jet", "fatjet", "charged_hadron", "photon", "neutral_hadron"}),
        ("cms_run2015d_pf.root", 5, "interest-particles", {"jet", "muon", "charged_hadron"}),
        ("PHYSLITE_example.root", 5, "interest-objects", {"jet", "electron", "met"}),
        ("delphes.root", 5, "interest-objects", {"jet", "charged_hadron", "neutral_hadron"}),
        ("run2012_dimuon_100k.root", 36_913, "interest-objects", {"muon"}),
    ],
)
def test_real_files(shared_data, name, entry, model, kinds):
    event = one(shared_data / name, entries=[entry], model=model)
    assert kinds <= {shown.kind for shown in event.objects}
    assert event.radii["fatjet"] == (1.0 if name.startswith("PHYSLITE") else 0.8)
    assert sum(shown.carried is not None for shown in event.objects) >= 2
    assert event.edges
