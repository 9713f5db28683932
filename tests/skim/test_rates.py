"""Rates of a menu, its lock, and how two menus differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.errors import OutputError, UsageError
from hepfilter.io.checksum import file_facts
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.models.metadata import read_metadata
from hepfilter.scoring.score import score_files
from hepfilter.skim.pipeline import skim
from hepfilter.skim.rates import PathChange, RatesDifference, RatesReport, compare_menus, lock_menu, show_rates
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger, read_trigger
from tests.nano import make_nano

PATHS: dict[str, Any] = {
    "muons": {"when": "nMuon >= 2"},
    "jets": {"when": "nJet >= 6", "prescale": 2},
    "hidden": {"when": "MET_pt > 30", "blind": True},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two files, whose branches differ in what no menu here asks for."""
    folder = tmp_path_factory.mktemp("rates")
    made = [
        make_nano(folder / "a.root", 250),
        make_nano(folder / "b.root", 150, seed=2, first_event=1_000, drop=("Photon_flag", "HLT_any")),
    ]
    return [str(path) for path in made]


@pytest.fixture(scope="module")
def events(files: list[str]) -> dict[str, np.ndarray]:
    trees = [uproot.open({path: "Events"}).arrays(["nMuon", "nJet", "MET_pt"], library="np") for path in files]
    return {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}


def recipe(paths: dict[str, Any], *, cuts: dict[str, Any] | None = None, **keys: Any) -> Recipe:
    menu = Menu.model_validate({"name": "m", "model": None, "paths": paths} | keys)
    return Recipe(trigger=Trigger(menu), **(cuts or {}))


def show(files: list[str], asked: Recipe, **options: Any) -> RatesReport:
    return show_rates(files, asked, progress=lambda *_: None, **options)


def lock(files: list[str], asked: Recipe, output: Path, **options: Any) -> RatesReport:
    return lock_menu(files, asked, output, progress=lambda *_: None, **options)


def compare(files: list[str], before: Recipe, after: Recipe, **options: Any) -> RatesDifference:
    return compare_menus(files, before, after, progress=lambda *_: None, **options)


def test_rates_are_those_of_a_skim(files: list[str], events: dict[str, np.ndarray], tmp_path: Path) -> None:
    asked = recipe(PATHS, blind="MET_pt > 100")
    report = show(files, asked)
    seen = events["MET_pt"] <= 100
    assert (report.rates.events, report.rates.paths, report.model) == (400, ("muons", "jets"), "")
    muons, jets = events["nMuon"][seen] >= 2, events["nJet"][seen] >= 6
    assert report.rates.raw.value.tolist() == pytest.approx([muons.mean(), jets.mean()])
    assert report.resolution is not None and set(report.resolution.predictions) == {"muons", "jets"}
    written = skim(files[0], tmp_path / "o.root", asked)
    alone = show(files[:1], asked)
    assert written.rates is not None
    assert written.rates.prescaled.value.tolist() == alone.rates.prescaled.value.tolist()
    unblinded = show(files, asked, unblind=True).rates
    assert (unblinded.events, unblinded.paths) == (400, ("muons", "jets", "hidden"))
    assert unblinded.raw.value[2] == pytest.approx((events["MET_pt"] > 30).mean())


def test_a_lock_holds_all_that_its_decisions_depend_on(files: list[str], tmp_path: Path, untrained_model: Path) -> None:
    score_files(files, tmp_path / "s.parquet", model=str(untrained_model))
    paths = {"x": {"score": "interest", "fraction": "10%"}, "y": {"score": "interest", "fraction": "5%", "blind": True}}
    model = {"model": str(untrained_model)}
    found = lock(files, recipe(paths, cuts={"scores": str(tmp_path / "s.parquet")}, **model), tmp_path / "m.lock")
    known = read_trigger(tmp_path / "m.lock")
    assert known == found.trigger and known.frozen is not None and known.thresholds is not None
    metadata = read_metadata(str(untrained_model))
    assert (known.frozen.model_hash, known.frozen.calibration_hash) == (metadata.model_hash, None)
    assert known.menu.model == str(untrained_model)
    facts = []
    for path in files:
        with open_file(Source(path)) as file:
            facts.append({"path": Path(path).name, "uuid": file.uuid, "size": file_facts(file).size})
    assert known.frozen.sample == {"events": 400, "files": facts}
    assert set(known.frozen.predictions) == {"x"}  # the blind path is in no prediction
    assert known.frozen.union is not None
    assert known.frozen.union.value == known.frozen.predictions["x"].value
    assert known.frozen.reference is not None and set(known.frozen.reference.scores) == {"interest"}
    assert known.frozen.reference.events == 400
    ran = lock(files, recipe(paths, **model), tmp_path / "ran.lock")
    assert ran.trigger.thresholds == known.thresholds
    far = lock(files, recipe(paths, **model), tmp_path / "far.lock", future=40)
    near, wide = known.frozen.predictions["x"], far.trigger.frozen.predictions["x"]  # type: ignore[union-attr]
    assert wide.upper - wide.lower > 1.5 * (near.upper - near.lower)
    assert show(files, Recipe(trigger=known)).resolution is None


def test_what_cannot_be_locked(files: list[str], tmp_path: Path) -> None:
    asked = recipe({"x": {"when": "nMuon >= 2"}})
    with pytest.raises(UsageError, match=r"m\.yaml: a lock must end in \.lock"):
        lock(files, asked, tmp_path / "m.yaml")
    lock(files, asked, tmp_path / "m.lock")
    with pytest.raises(OutputError, match=r"m\.lock"):
        lock(files, asked, tmp_path / "m.lock")
    before = (tmp_path / "m.lock").read_text()
    lock(files[:1], asked, tmp_path / "m.lock", force=True)
    assert (tmp_path / "m.lock").read_text() != before
    with pytest.raises(UsageError, match="only a menu can be locked"):
        lock(files, Recipe(trigger=read_trigger(tmp_path / "m.lock")), tmp_path / "n.lock")
    with pytest.raises(UsageError, match="there are no events outside the blind regions"):
        lock(files, recipe({"x": {"when": "1"}}, blind="1"), tmp_path / "n.lock")
    assert not (tmp_path / "n.lock").exists()


def test_two_menus_differ_in_events(files: list[str], events: dict[str, np.ndarray]) -> None:
    before = recipe({"muons": {"when": "nMuon >= 2"}, "jets": {"when": "nJet >= 6"}, "old": {"when": "nJet >= 9"}})
    after = recipe({"muons": {"when": "nMuon >= 1 && nJet >= 2", "prescale": 50}, "jets": {"when": "nJet >= 6"},
                    "new": {"when": "nJet == 0"}})  # fmt: skip
    found = compare(files, before, after)
    muons, jets = events["nMuon"], events["nJet"]
    old = {"muons": muons >= 2, "jets": jets >= 6, "old": jets >= 9}
    new = {"muons": (muons >= 1) & (jets >= 2), "jets": jets >= 6, "new": jets == 0}
    assert [each.path for each in found.changes] == ["muons", "jets", "old", "new", "any path"]
    assert (found.events, found.blinded) == (400, ())
    for each in found.changes[:-1]:
        a, b = (menu.get(each.path, np.zeros(400, bool)) for menu in (old, new))
        assert (each.lost, each.gained) == ((a & ~b).sum(), (b & ~a).sum()), each.path
        for menu, count, unique in ((old, each.before, each.unique_before), (new, each.after, each.unique_after)):
            if each.path not in menu:
                assert (count, unique) == (None, None)
                continue
            others = [bits for name, bits in menu.items() if name != each.path]
            assert (count, unique) == (menu[each.path].sum(), (menu[each.path] & ~np.any(others, axis=0)).sum())
    any_old, any_new = (np.any(list(menu.values()), axis=0) for menu in (old, new))
    whole = found.changes[-1]
    assert (whole.before, whole.after) == (any_old.sum(), any_new.sum())
    assert (whole.lost, whole.gained) == ((any_old & ~any_new).sum(), (any_new & ~any_old).sum())
    same = compare(files, before, before)
    assert not same.beyond(0.0) and all(each.lost == each.gained == 0 for each in same.changes)


def test_what_either_menu_blinds_is_not_compared(files: list[str], events: dict[str, np.ndarray]) -> None:
    before = recipe(PATHS)
    after = recipe({**PATHS, "jets": {"when": "nJet >= 7"}, "hidden": {"when": "MET_pt > 20"}}, blind="MET_pt > 100")
    found = compare(files, before, after)
    seen = events["MET_pt"] <= 100
    assert (found.events, found.blinded) == (seen.sum(), ("hidden",))
    assert [each.path for each in found.changes] == ["muons", "jets", "any path"]
    jets, muons = events["nJet"][seen], events["nMuon"][seen] >= 2
    assert (found.changes[1].before, found.changes[1].lost) == ((jets >= 6).sum(), (jets == 6).sum())
    assert found.changes[-1].before == (muons | (jets >= 6)).sum()
    assert found.changes[0].unique_before == (muons & (jets < 6)).sum()
    lifted = compare(files, before, after, unblind=True)
    assert (lifted.events, lifted.blinded) == (400, ())
    assert "hidden" in [each.path for each in lifted.changes]


@pytest.mark.parametrize(
    ("before", "lost", "gained", "change"),
    [(100, 3, 2, 0.05), (100, 0, 0, 0.0), (0, 0, 0, 0.0), (0, 0, 1, np.inf), (None, 0, 0, 0.0), (None, 0, 9, np.inf)],
)
def test_how_much_a_path_changed(before: int | None, lost: int, gained: int, change: float) -> None:
    each = PathChange("x", before, None, lost, gained, None, None)
    assert each.change == pytest.approx(change)
    found = RatesDifference(100, (each,), ())
    assert bool(found.beyond(0.049)) is (change > 0.049) and not found.beyond(np.inf)
