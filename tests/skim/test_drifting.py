"""Whether the input of a lock is still like the sample that it was made from."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.errors import TriggerError
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.rates import lock_menu, show_rates
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import ModelSource
from hepfilter.trigger.lock import Trigger, read_trigger
from tests.nano import OBJECTS, make_nano

WINDOW = 5_000
Change = Callable[[dict[str, Any]], object]


class Toy:
    """In place of a model: a score of energies, so that no training decides what this file finds."""

    collections, names = ("jet", "muon", "met"), ("interest",)
    facts: Mapping[str, Any] = {"model_hash": "e" * 32, "device_class": "cpu-toy", "scores": ("interest",)}

    def score_heads(self, record: ak.Array) -> dict[str, np.ndarray]:
        energy = ak.sum(record["jet"].pt, axis=1) + 2 * ak.sum(record["muon"].pt, axis=1)
        return {"interest": (np.rint(1024 * np.log(1 + ak.to_numpy(energy))) / 1024).astype(np.float32)}


@pytest.fixture(scope="module", autouse=True)
def toy_scores() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hepfilter.skim.file_reading.open_scores", lambda *_: ModelSource(Toy(), "toy"))  # type: ignore[arg-type]
        patch.setattr("hepfilter.skim.file_reading.UNIT_ENTRIES", 1000)
        known = SimpleNamespace(model_hash="e" * 32, calibration=None)
        patch.setattr("hepfilter.skim.journal.read_metadata", lambda name: known)
        yield


def menu(action: str) -> Menu:
    return Menu.model_validate(
        {
            "name": "m",
            "model": "toy",
            "paths": {"x": {"score": "interest", "fraction": "5%"}},
            "drift": {"window": WINDOW, "false_alarm": 1e-3, "action": action},
        }
    )


def sample(path: Path, *, seed: int, events: int = WINDOW, change: Change = lambda columns: None) -> Path:
    """Events as `make_nano` makes them, in baskets of 1000, after a change of their columns by name."""
    source = make_nano(path.with_suffix(".tmp"), events, seed=seed, first_event=100_000 * seed, basket=1000)
    with uproot.open({source: "Events"}) as tree:
        branches = tree.keys()
        found = tree.arrays([name for name in branches if not name.startswith("n")], library="np")
    columns = {}
    for name, values in found.items():
        if values.dtype == object:
            counts = np.array([len(value) for value in values])
            columns[name] = (np.concatenate(list(values)), counts)
        else:
            columns[name] = values
    change(columns)
    kinds = [
        Column(name, str((values[0] if isinstance(values, tuple) else values).dtype),
               counter=f"n{name.partition('_')[0]}" if isinstance(values, tuple) else None)
        for name, values in columns.items()
    ]  # fmt: skip
    with create_root(path, compression="ZSTD:1") as out, out.new_tree("Events", kinds) as tree:
        for start in range(0, events, 1000):
            tree.extend({name: _rows(values, start, start + 1000) for name, values in columns.items()})
            tree.writer.flush()
    source.unlink()
    return path


def _rows(values: Any, start: int, stop: int) -> Any:
    if not isinstance(values, tuple):
        return values[start:stop]
    edges = np.concatenate([[0], np.cumsum(values[1])])
    return values[0][edges[start] : edges[stop]], values[1][start:stop]


def more_energy(columns: dict[str, Any]) -> None:
    for name in OBJECTS:
        for what in ("pt", "mass"):
            values, counts = columns[f"{name}_{what}"]
            columns[f"{name}_{what}"] = ((1.1 * values).astype(np.float32), counts)
    columns["MET_pt"] = (1.1 * columns["MET_pt"]).astype(np.float32)


def no_muons(columns: dict[str, Any]) -> None:
    for name in [name for name in columns if name.startswith("Muon_")]:
        del columns[name]


def some_nans(columns: dict[str, Any]) -> None:
    """In 1 % of the events the first jet has no energy that is a number."""
    values, counts = columns["Jet_pt"]
    first = (np.cumsum(counts) - counts)[counts > 0]
    values = values.copy()
    values[np.random.default_rng(4).choice(first, len(counts) // 100, replace=False)] = np.nan
    columns["Jet_pt"] = (values, counts)


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drift")
    for number in (0, 1):
        sample(folder / f"r{number}.root", seed=number + 1, events=2 * WINDOW)
    for action in ("warn", "stop"):
        recipe = Recipe(trigger=Trigger(menu(action)))
        inputs = [str(folder / f"r{number}.root") for number in (0, 1)]
        lock_menu(inputs, recipe, folder / f"{action}.lock", progress=lambda *_: None)
    return folder / "warn.lock"


def windows(lock: Path, *inputs: Path, where: str | None = None) -> Any:
    recipe = Recipe(trigger=read_trigger(lock), where=where)
    return show_rates([str(path) for path in inputs], recipe, progress=lambda *_: None).windows


def test_the_reference_and_what_is_like_it_do_not_alarm(lock: Path, tmp_path: Path) -> None:
    reference = windows(lock, *(lock.with_name(f"r{number}.root") for number in (0, 1)))
    assert [(window.start, window.stop) for window in reference] == [
        (start, start + WINDOW) for start in range(0, 4 * WINDOW, WINDOW)
    ]
    other = windows(lock, sample(tmp_path / "other.root", seed=9))
    assert len(other) == 1
    assert not [window.note for window in (*reference, *other) if window.note]
    assert len({window.test.pvalues["interest"] for window in (*reference, *other)}) == 5  # each was looked at


@pytest.mark.parametrize(
    ("change", "what"),
    [(more_energy, "interest"), (no_muons, "interest"), (some_nans, "new problems")],
    ids=["energies × 1.1", "a collection is missing", "NaNs in 1 %"],
)
def test_a_drifted_input_trips(lock: Path, tmp_path: Path, change: Change, what: str) -> None:
    drifted = sample(tmp_path / "d.root", seed=3, change=change)
    warned = skim(drifted, tmp_path / "o.root", Recipe(trigger=read_trigger(lock)))
    notes = [note for note in warned.warnings if "drifted" in note]
    assert len(notes) == 1
    assert notes[0].startswith(f"events 0 to 4,999 drifted from the lock's reference: {what} (p = ")  # the clearest
    stop = Recipe(trigger=read_trigger(lock.with_name("stop.lock")))
    with pytest.raises(TriggerError, match=r"events 0 to 4,999 drifted .*; the menu m stops then"):
        skim(drifted, tmp_path / "p.root", stop)
    assert not (tmp_path / "p.root").exists()


def test_the_last_window_takes_what_is_left(lock: Path, tmp_path: Path) -> None:
    half = make_nano(tmp_path / "h.root", 900, seed=6, first_event=700_000, basket=300)
    few = make_nano(tmp_path / "k.root", 200, seed=7, first_event=800_000, basket=200)
    r0 = lock.with_name("r0.root")
    assert [w.stop - w.start for w in windows(lock, half)] == [900]
    assert [w.stop - w.start for w in windows(lock, half, r0, few)] == [5900, 5200]
    assert windows(lock, r0, where="nMuon > 99") == ()


def test_a_cut_leaves_the_share_of_problems(tmp_path: Path) -> None:
    """Problems are counted in all that is read: of an event in ten that a mask leaves, no drift may come."""

    def many_nans(columns: dict[str, Any]) -> None:
        values, counts = columns["Electron_eta"]
        values = values.copy()
        values[::40] = np.nan
        columns["Electron_eta"] = (values, counts)

    path = sample(tmp_path / "a.root", seed=5, change=many_nans)
    lock_menu([str(path)], Recipe(trigger=Trigger(menu("warn"))), tmp_path / "m.lock",
              progress=lambda *_: None)  # fmt: skip
    (window,) = windows(tmp_path / "m.lock", path, where="event % 10 == 3")
    assert window.stop == WINDOW // 10 and not window.note
    assert len(window.test.pvalues) > 2


class ThreeScores(Toy):
    """What the menu uses, what it does not, and what says nothing new."""

    names = ("interest", "count", "pvalue")
    facts: Mapping[str, Any] = {**Toy.facts, "scores": names}

    def score_heads(self, record: ak.Array) -> dict[str, np.ndarray]:
        found = super().score_heads(record)
        count = ak.to_numpy(ak.num(record["jet"].pt, axis=1)).astype(np.float32)
        return found | {"count": count, "pvalue": np.exp(-found["interest"])}


def test_every_score_of_the_model_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ModelSource(ThreeScores(), "toy")  # type: ignore[arg-type]
    monkeypatch.setattr("hepfilter.skim.file_reading.open_scores", lambda *_: source)
    asked = Recipe(trigger=Trigger(menu("warn")))
    path = sample(tmp_path / "a.root", seed=1)
    report = lock_menu([str(path)], asked, tmp_path / "m.lock", progress=lambda *_: None)
    assert report.trigger.frozen is not None and report.trigger.frozen.reference is not None
    assert set(report.trigger.frozen.reference.scores) == {"interest", "count"}
    windows = show_rates(
        [str(path)], Recipe(trigger=read_trigger(tmp_path / "m.lock")), progress=lambda *_: None
    ).windows
    assert {"interest", "count"} <= set(windows[0].test.pvalues) and not windows[0].note
