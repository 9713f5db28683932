"""Menus as a whole: their expressions and the scores they need."""

from pathlib import Path

import pytest

from hepfilter.config.base import shipped
from hepfilter.config.menu import KIND, Menu
from hepfilter.errors import ConfigError
from hepfilter.trigger.menus import check_scores, read_menu

PATHS = {"dijet": {"when": "nJet >= 2 && Jet_pt[0] > 500"}, "odd": {"score": "density", "threshold": 3}}


@pytest.mark.parametrize("name", sorted(shipped(KIND)))
def test_shipped_menus_can_be_parsed(name: str) -> None:
    assert read_menu(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paths: {dijet: {when: nJet >= && 2}}", r"m\.yaml: key 'paths\.dijet\.when': .*column 9: a value is missing"),
        ("paths: {dijet: {when: ' '}}", r"key 'paths\.dijet\.when': .*it is empty"),
        ("paths: {all: {}}\nblind: [mJJ > 1, mJJ = 2]", r"key 'blind\.1': .*assigns"),
    ],
)
def test_expressions_are_parsed_when_the_menu_is_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("name: m\npaths: {dijet: {when: Any(Jet_pt > 30) && HLT.ele}}\nblind: [m > 1]")
    assert read_menu(path).name == "m"
    path.write_text(f"name: m\n{text}")
    with pytest.raises(ConfigError, match=message):
        read_menu(path)


def test_a_model_must_have_the_scores_and_no_path_their_names() -> None:
    menu = Menu(name="m", model="other", paths=PATHS)
    check_scores(menu, ("interest", "density"), model="mine", where="m.yaml")
    with pytest.raises(ConfigError, match=r"m\.yaml: mine has no score 'density'; nearest: densities"):
        check_scores(menu, ("interest", "densities"), model="mine", where="m.yaml")
    with pytest.raises(ConfigError, match="HepFilter_dijet is a score of mine too"):
        check_scores(menu, ("interest", "density", "dijet"), model="mine", where="m.yaml")
    for working_point in ({"score": "interest", "p_value": 0.1}, {"score": "combined", "threshold": 3}):
        menu = Menu(name="m", model="other", paths={"odd": working_point})
        check_scores(menu, ("interest", "density", "pvalue", "combined"), model="mine", where="m.yaml")
        with pytest.raises(ConfigError, match="mine has no p-values; calibrate it"):
            check_scores(menu, ("interest", "density"), model="mine", where="m.yaml")
