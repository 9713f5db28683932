"""Locks: what is written is what is read, and nothing else is taken for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.config.menu import Menu
from hepfilter.errors import ConfigError, UsageError
from hepfilter.statistics.prediction import Prediction
from hepfilter.trigger import lock
from hepfilter.trigger.drift import ProblemCounts, make_reference
from hepfilter.trigger.lock import Frozen, Trigger, lock_text, read_trigger, trigger_of

MENU = Menu.model_validate(
    {
        "name": "m",
        "seed": 7,
        "paths": {
            "anomaly": {"score": "interest", "fraction": "1%", "prescale": 2.5},
            "rare": {"score": "interest", "p_value": 1e-4, "blind": True},
            "muons": {"when": "nMuon >= 2", "stream": "monitoring"},
        },
        "control": {"probability": 0.01, "score": "density", "rising": [{"above": 1.5, "probability": 0.1}]},
        "blind": "mJJ > 3300 && mJJ < 3700",
        "luminosity": 2e34,
    }
)


def trigger(**frozen: Any) -> Trigger:
    """A frozen menu with all that a lock can hold; numbers that have no short decimal form."""
    rng = np.random.default_rng(1)
    scores = {"interest": rng.normal(size=4_000), "density": rng.normal(size=4_000)}
    known: dict[str, Any] = {
        "model_hash": "a" * 32,
        "calibration_hash": "b" * 32,
        "device_class": "cpu",
        "schemas": {"nanoaod": "c" * 32},
        "sample": {"events": 4_000, "files": [{"path": "a.root", "uuid": "u", "size": 12}]},
        "predictions": {"anomaly": Prediction(1 / 3, 0.1 + 0.2, 0.5, 40.0, "Hz")},
        "union": Prediction(0.1, 0.05, 1 / 7, 41.0, "fraction"),
        "reference": make_reference(scores, [ProblemCounts(2_000, {"jet: pt <= 0": 3}), ProblemCounts(2_000, {})]),
    }
    return Trigger(MENU, {"anomaly": 2 / 3, "rare": float(-np.log(1e-4))}, Frozen(**(known | frozen)))


def write(path: Path, content: Trigger) -> Path:
    path.write_text(lock_text(content))
    return path


@pytest.mark.parametrize(
    "known",
    [
        trigger(),
        trigger(model_hash=None, calibration_hash=None, device_class=None, reference=None, union=None, predictions={}),
        Trigger(MENU),
        replace(trigger(), frozen=None),
    ],
    ids=["whole", "without a model", "a menu", "thresholds"],
)
def test_what_is_written_is_read(known: Trigger, tmp_path: Path) -> None:
    again = trigger_of(json.loads(json.dumps(known.plain())), where="here")
    assert again == known and again.plain() == known.plain()
    if known.frozen is not None:
        assert read_trigger(write(tmp_path / "m.lock", known)) == known
    if known.thresholds is not None:
        paths = again.paths()
        assert [(path.name, path.column, path.threshold, path.prescale, path.stream, path.blind) for path in paths] == [
            ("anomaly", "interest", 2 / 3, 2.5, "physics", False),
            ("rare", "pvalue", float(-np.log(1e-4)), 1.0, "physics", True),
            ("muons", None, None, 1.0, "monitoring", False),
        ]


def test_a_menu_has_one_hash_however_it_is_written() -> None:
    plain = MENU.model_dump(mode="json")
    turned = Menu.model_validate(
        {
            key: {name: dict(reversed(path.items())) for name, path in value.items()} if key == "paths" else value
            for key, value in reversed(plain.items())
        }
    )
    assert Trigger(turned).menu_hash == Trigger(MENU).menu_hash
    assert Trigger(MENU.model_copy(update={"seed": 8})).menu_hash != Trigger(MENU).menu_hash


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"prescale": 2.5', '"prescale": 2.0'),
        lambda text: text.replace("0.6666666666666666", "0.6666666666666667"),
        lambda text: text.replace("a" * 32, "d" * 32),
        lambda text: text.replace('"digest"', '"digests"'),
        lambda text: "[1, 2]",
    ],
    ids=["prescale", "last bit of a threshold", "model", "no digest", "no mapping"],
)
def test_an_edited_lock_is_refused(edit: Callable[[str], str], tmp_path: Path) -> None:
    path = write(tmp_path / "m.lock", trigger())
    text = path.read_text()
    assert edit(text) != text
    path.write_text(edit(text))
    with pytest.raises(ConfigError, match=r"m\.lock: is no lock, or was changed; make it anew: hepfilter rates lock"):
        read_trigger(path)


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A lock with a right digest of a wrong content."""
    plain = json.loads(json.dumps(trigger().plain()))
    change(plain)
    path.write_text(json.dumps(plain | {"digest": lock._digest(plain)}))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain.update(frozen=None), "is no lock; make it anew"),
        (lambda plain: plain.update(thresholds=None), "is frozen without thresholds"),
        (lambda plain: plain["thresholds"].pop("rare"), "thresholds are not those of its paths"),
        (lambda plain: plain["thresholds"].update(muons=1.0), "thresholds are not those of its paths"),
        (lambda plain: plain["menu"].update(seed=8), "its menu is another than its hash says"),
        (lambda plain: plain.update(format_version=2), "format_version"),
        (lambda plain: plain.update(more=1), "more"),
        (lambda plain: plain["frozen"]["reference"]["scores"]["interest"]["counts"].pop(), "not as many bins"),
        (lambda plain: plain["frozen"]["reference"].update(events=4_001), "as many events"),
        (lambda plain: plain["frozen"]["predictions"]["anomaly"].update(of="kHz"), "'fraction' or 'Hz'"),
    ],
)
def test_a_content_that_does_not_fit_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_trigger(forge(tmp_path / "m.lock", change))
    assert str(caught.value).startswith(str(tmp_path / "m.lock")) and "\n" not in str(caught.value)


def test_a_menu_of_fewer_keys_is_still_known() -> None:
    """What an older version wrote has its own hash, and the defaults of now where it says nothing."""
    plain = Trigger(MENU, {"anomaly": 1.0, "rare": 2.0}).plain()
    del plain["menu"]["drift"]
    plain["menu_hash"] = lock._digest(plain["menu"])
    assert trigger_of(plain, where="here").menu == MENU


def test_what_is_not_there_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.lock: cannot be read"):
        read_trigger(tmp_path / "none.lock")
    (tmp_path / "m.lock").write_text("name: m\npaths: {x: {}}\n")
    with pytest.raises(ConfigError, match=r"m\.lock"):
        read_trigger(tmp_path / "m.lock")
    (tmp_path / "m.yaml").write_text("name: m\nmodel: null\npaths: {x: {when: nMuon > 0}}\n")
    found = read_trigger(tmp_path / "m.yaml")
    assert (found.menu.name, found.thresholds, found.frozen) == ("m", None, None)


def test_another_model_is_refused() -> None:
    facts = {"model_hash": "a" * 32, "calibration_hash": "b" * 32, "device_class": "cpu", "model": "x"}
    trigger().check_model(facts)
    Trigger(MENU).check_model({})  # nothing is frozen
    for what in ("model_hash", "calibration_hash", "device_class"):
        for other in ("z" * 32, None):
            said = f"the lock of m: its {what.replace('_', ' ')} is .*, here it is {other}; make it anew"
            with pytest.raises(UsageError, match=said):
                trigger().check_model(facts | {what: other})


def test_another_schema_is_refused() -> None:
    trigger().check_schemas({"nanoaod": "c" * 32})
    trigger(schemas={"": ""}).check_schemas({"": None})  # files that no schema fits
    Trigger(MENU).check_schemas({"nanoaod": "d" * 32})
    for schemas, said in (
        ({"nanoaod": "d" * 32}, "the schema nanoaod is another than it was"),
        ({"nanoaod": "c" * 32, "delphes": "d" * 32}, "the schema delphes is not one of its schemas"),
        ({"": None}, r"the schema \(none\) is not one"),
    ):
        with pytest.raises(UsageError, match=said):
            trigger().check_schemas(schemas)
