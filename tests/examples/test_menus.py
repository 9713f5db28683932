"""The menus that ship and those of the examples are valid, and do on real files what they say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.config.base import load_plain
from hepfilter.config.menu import Budget, Control, Drift, Menu, PathDefinition, Step
from hepfilter.scoring.score import score_files
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from hepfilter.trigger.lock import read_trigger
from hepfilter.trigger.menus import read_menu

ROOT = Path(__file__).parents[2]
MENUS = sorted({path.resolve() for folder in ("examples", "configs") for path in (ROOT / folder / "menus").iterdir()})
PAGE = (ROOT / "docs" / "how-to" / "menu.md").read_text(encoding="utf-8")
FILES = ("cms_run2015d_pf", "Run2012B_SingleMu_1000")
USED_ELSEWHERE = {"threshold", "p_value", "rate", "luminosity"}
"""Keys of which the menus speak only in comments."""

every_menu = pytest.mark.parametrize("menu", MENUS, ids=lambda path: path.stem)
every_file = pytest.mark.parametrize("name", FILES)
Skimmed = Callable[[Path, str], tuple[Path, SkimReport]]


@pytest.fixture(scope="module")
def scores(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of all files, by the model that ships."""
    output = tmp_path_factory.mktemp("menus") / "scores.parquet"
    score_files([shared_data / f"{name}.root" for name in FILES], output, device="cpu")
    return output


@pytest.fixture(scope="module")
def skimmed(shared_data: Path, scores: Path) -> Skimmed:
    """The output and the report of the skim of a file by a menu, made once."""
    made: dict[tuple[Path, str], tuple[Path, SkimReport]] = {}

    def skimmed_once(menu: Path, name: str) -> tuple[Path, SkimReport]:
        if (menu, name) not in made:
            output = scores.parent / f"{menu.stem}_{name}.root"
            trigger = read_trigger(menu)
            recipe = Recipe(trigger=trigger, scores=str(scores) if trigger.menu.scores else None)
            made[menu, name] = output, skim(shared_data / f"{name}.root", output, recipe)
        return made[menu, name]

    return skimmed_once


def test_the_menus_are_there() -> None:
    assert [path.name for path in MENUS] == ["discovery.yaml", "blinded.yaml", "budget.yaml"]
    assert (ROOT / "examples" / "menus" / "discovery.yaml").resolve() == ROOT / "configs" / "menus" / "discovery.yaml"


@every_menu
def test_every_menu_is_valid_and_called_like_its_file(menu: Path) -> None:
    assert read_menu(menu).name == menu.stem


def test_the_menus_show_every_key() -> None:
    texts = [path.read_text(encoding="utf-8") for path in MENUS]
    known = {key for model in (Menu, PathDefinition, Budget, Control, Step, Drift) for key in model.model_fields}
    assert all(re.search(rf"\b{key}:", "".join(texts)) for key in known)
    assert known - _keys([load_plain(path) for path in MENUS]) == USED_ELSEWHERE


@every_menu
@every_file
def test_a_skim_of_a_real_file_holds_each_path(menu: Path, name: str, skimmed: Skimmed) -> None:
    output, report = skimmed(menu, name)
    definition = read_menu(menu)
    with uproot.open({output: "Events"}) as tree:
        bits = tree.arrays([f"HepFilter_{bit}" for bit in (*definition.bits, "probability")], library="np")
    assert 0.05 < report.written / report.read < 0.5
    for path, made in definition.paths.items():
        raw, passed = bits[f"HepFilter_{path}_raw"], bits[f"HepFilter_{path}"]
        assert raw.any() and not (passed & ~raw).any()
        assert (passed == raw).all() == (made.prescale == 1)
    assert bits["HepFilter_probability"].min() > 0


@every_menu
@every_file
def test_fractions_and_budgets_are_filled_and_not_exceeded(menu: Path, name: str, skimmed: Skimmed) -> None:
    output, report = skimmed(menu, name)
    definition = read_menu(menu)
    asked = {(path,): made.fraction for path, made in definition.paths.items() if made.fraction is not None}
    if definition.budget is not None:
        asked[definition.budgeted] = definition.budget.fraction
    with uproot.open({output: "Events"}) as tree:
        for paths, fraction in asked.items():
            taken = sum(tree[f"HepFilter_{path}"].array(library="np").astype(int) for path in paths) > 0
            assert 0.95 * fraction * report.read < taken.sum() <= fraction * report.read


@every_file
def test_what_is_blind_is_written_and_not_counted(
    name: str, shared_data: Path, tmp_path: Path, skimmed: Skimmed
) -> None:  # fmt: skip
    menu = ROOT / "examples" / "menus" / "blinded.yaml"
    output, report = skimmed(menu, name)
    region = skim(
        shared_data / f"{name}.root", tmp_path / "region.root", Recipe(where=read_menu(menu).blind[0])
    ).written
    with uproot.open({output: "Events"}) as tree:
        found = tree.arrays(["run", "luminosityBlock", "HepFilter_dimuon", "HepFilter_dimuon_met"], library="np")
    assert found["HepFilter_dimuon_met"].any()
    assert report.rates is not None
    assert (report.rates.blinded, report.rates.paths) == (("dimuon_met",), ("dimuon", "same_charge", "single_muon"))
    sections = len(set(zip(found["run"], found["luminosityBlock"], strict=True)))
    shown = report.rates.raw.value[0] * sections * read_menu(menu).lumi_section
    assert region > 0
    assert shown == pytest.approx(found["HepFilter_dimuon"].sum() - region)


@every_file
def test_the_table_in_the_documentation_is_what_is_printed(
    name: str, shared_data: Path, scores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths without a score alone, whose rates no processor rounds otherwise."""
    source = shared_data / f"{name}.root"
    assert run(["rates", "show", "discovery", str(source), "--scores", str(scores)]) == 0
    printed = _rows(capsys.readouterr().out)
    exact = {row for row in printed if row[0] in ("dijet", "dijet_low", "dilepton", "single_muon")}
    assert len(printed) == 6 and len(exact) == 4
    assert exact <= _rows(PAGE)


def _rows(text: str) -> set[tuple[str, ...]]:
    """Path, rate before and after the prescale, of each row of the tables of rates in a text."""
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line[:1] == "│"]
    return {tuple(row[:3]) for row in cells if len(row) == 6 and row[1]}


def _keys(data: object) -> set[str]:
    """Every key of nested data."""
    if isinstance(data, dict):
        return set(data) | _keys(list(data.values()))
    return {key for value in data for key in _keys(value)} if isinstance(data, list) else set()
