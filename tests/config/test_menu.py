"""Trigger menus."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from hepfilter.config.base import shipped
from hepfilter.config.menu import KIND, Menu, load_menu
from hepfilter.errors import ConfigError

SOUND: dict[str, Any] = {
    "name": "discovery",
    "seed": 7,
    "paths": {
        "anomaly": {"score": "interest", "p_value": 1e-4, "priority": 2},
        "odd": {"score": "density", "fraction": "1%", "prescale": 2.5},
        "together": {"score": "combined", "rate": "5 Hz"},
        "shared": {"score": "interest", "blind": True},
        "dijet": {"when": "nJet >= 2", "prescale": 0, "stream": "monitoring"},
    },
    "control": {
        "probability": 1e-3,
        "score": "combined",
        "rising": [{"above": 2, "probability": 0.01}, {"above": 5, "probability": 1}],
    },
    "budget": {"rate": "1.5 kHz"},
    "blind": "mJJ > 3300 && mJJ < 3700",
    "luminosity": 2e34,
}


def changed(*keys: str, to: object) -> dict[str, Any]:
    """The sound menu with another value at these keys; None removes."""
    data: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SOUND))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place.pop(keys[-1], None)
    if to is not None:
        place[keys[-1]] = to
    return data


def steps(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    """Steps of a control stream."""
    return [{"above": above, "probability": probability} for above, probability in pairs]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Writes plain data as YAML and loads it as a menu."""

    def load(data: object) -> Menu:
        path = tmp_path / "menu.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        return load_menu(path)

    return load


@pytest.mark.parametrize("name", sorted(shipped(KIND)))
def test_shipped_menus_are_sound(name: str) -> None:
    assert load_menu(name).name == name


def test_what_is_written_is_what_is_meant(read: Any) -> None:
    menu = read(SOUND)
    paths = menu.paths
    assert list(paths) == list(SOUND["paths"])
    assert paths["odd"].fraction == Fraction(1, 100)
    assert (paths["together"].rate, menu.budget.rate) == (5.0, 1500.0)
    assert {name: path.column for name, path in paths.items()} == {
        "anomaly": "pvalue", "odd": "density", "together": "combined", "shared": "interest", "dijet": None,
    }  # fmt: skip
    assert menu.budgeted == ("shared",)
    assert menu.scores == ("pvalue", "density", "combined", "interest")
    assert menu.blind == ("mJJ > 3300 && mJJ < 3700",)
    assert {"dijet", "dijet_raw", "stream_monitoring", "stream_physics", "stream_control"} < set(menu.bits)
    assert len(menu.bits) == 2 * 5 + 3


def test_defaults_change_nothing_that_was_not_asked_for(read: Any) -> None:
    menu = read({"name": "least", "model": None, "paths": {"all": {}}})
    path = menu.paths["all"]
    assert (path.prescale, path.stream, path.priority, path.blind, path.column) == (1.0, "physics", 1.0, False, None)
    assert (menu.control, menu.budget, menu.blind, menu.scores) == (None, None, (), ())
    assert (menu.lumi_section, menu.drift.window, menu.drift.false_alarm, menu.drift.action) == (
        23.31, 10_000, 1e-3, "warn",
    )  # fmt: skip
    assert menu.bits == ("all", "all_raw", "stream_physics")


def test_a_menu_survives_as_plain_data(read: Any) -> None:
    menu = read(SOUND)
    assert Menu.model_validate(menu.model_dump(mode="json")) == menu
    assert Menu.model_validate_json(menu.model_dump_json()) == menu


PATH = ("paths", "dijet")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(*PATH, "treshold", to=1), r"unknown key 'paths\.dijet\.treshold'; nearest: threshold"),
        (changed("budjet", to={}), "unknown key 'budjet'; nearest: budget"),
        (changed("control", "rising", to=[{"abov": 1, "probability": 1}]), "unknown key.*nearest: above"),
        (changed("paths", to={}), "paths"),
        (changed("paths", "2jets", to={}), "2jets"),
        (changed("paths", "di-jet", to={}), "di-jet"),
        (changed("paths", "weight", to={}), "HepFilter_weight would stand for two things"),
        (changed("paths", "density", to={}), "HepFilter_density would stand for two things"),
        (changed("paths", "dijet_raw", to={}), "HepFilter_dijet_raw would stand for two things"),
        (changed("paths", "stream_physics", to={}), "HepFilter_stream_physics would stand for two things"),
        (changed(*PATH, "stream", to="control"), "control is the stream of the control events"),
        (changed(*PATH, "stream", to="a/b"), r"paths\.dijet\.stream"),
        (changed(*PATH, "prescale", to=0.5), r"'paths\.dijet\.prescale': 0.5: a prescale is 0, which is off"),
        (changed(*PATH, "prescale", to=-1), r"paths\.dijet\.prescale"),
        (changed(*PATH, "prescale", to=float("inf")), r"paths\.dijet\.prescale"),
        (changed(*PATH, "prescale", to=float("nan")), r"paths\.dijet\.prescale"),
        (changed(*PATH, "priority", to=0), r"paths\.dijet\.priority"),
        (changed(*PATH, "threshold", to=1), r"'paths\.dijet': threshold needs a score"),
        (changed(*PATH, "score", to="pvalue"), "write score: interest and p_value"),
        (changed(*PATH, "score", to="ht"), "ht is no score of a model"),
        (changed(*PATH, "score", to="weight"), "weight is no score of a model"),
        (changed("paths", "anomaly", "rate", to="5 Hz"), r"'paths\.anomaly': p_value and rate: give one of them"),
        (changed("paths", "anomaly", "p_value", to=0), r"paths\.anomaly\.p_value"),
        (changed("paths", "odd", to={"score": "density", "p_value": 0.1}), "density has no p-value of its own"),
        (changed("paths", "odd", "fraction", to="101%"), r"'paths\.odd\.fraction': '101%': the share"),
        (changed("paths", "together", "rate", to=5), r"'paths\.together\.rate': '5': give a rate with its unit"),
        (changed("budget", to=None), r"'paths\.shared': a score needs one of threshold, p_value, fraction, rate, or"),
        (changed("paths", "shared", "threshold", to=1), "budget: no path shares it"),
        (changed("budget", "fraction", to="1%"), "'budget': a budget is one of"),
        (changed("budget", to={}), "'budget': a budget is one of"),
        (changed("model", to=None) | {"model": None}, "needs a model, and model is null"),
        (changed("control", "probability", to=0), r"control\.probability"),
        (changed("control", "score", to=None), "score and rising go together"),
        (changed("control", "rising", to=None), "score and rising go together"),
        (changed("control", "probability", to=0.01), "each probability must lie above"),
        (changed("control", "rising", to=steps((2, 0.1), (2, 0.2))), "each above must lie"),
        (changed("control", "rising", to=steps((2, 0.2), (3, 0.1))), "each probability must lie above"),
        (changed("lumi_section", to=0), "lumi_section"),
        (changed("luminosity", to=float("inf")), "luminosity"),
        (changed("drift", to={"action": "halt"}), r"drift\.action"),
        (changed("drift", to={"false_alarm": 0}), r"drift\.false_alarm"),
        (changed("seed", to=-1), "seed"),
        (changed("name", to=None), "key 'name' is missing"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(read: Any, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_a_menu_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_menu(tmp_path / "none.yaml")
