"""The page of a run: its numbers are those of the run, the explorer answers, and it stands alone wherever it is."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from hepfilter.config.menu import Menu
from hepfilter.io.score_file import read_scores
from hepfilter.io.sources import Source
from hepfilter.scoring.score import score_files
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from hepfilter.skim.reporting import collecting
from hepfilter.statistics.intervals import clopper_pearson
from hepfilter.trigger.lock import Trigger
from hepfilter.visual.run_report.composing import report_run
from tests.browser import NARROW, WIDE, Opened, chromium, open_page
from tests.nano import make_nano

EVENTS = 1500
MODEL = "interest-objects"
PAPER = 680
"""CSS pixels between the margins of A4."""
HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Made:
    """A page, the run that it is of, and the scores of all its events."""

    page: Path
    run: SkimReport
    interest: np.ndarray


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in") / HOSTILE
    folder.mkdir()
    return make_nano(folder / "data.root", EVENTS, basket=EVENTS, drop=("genWeight",))


@pytest.fixture(scope="module")
def interest(source, tmp_path_factory) -> np.ndarray:
    path = tmp_path_factory.mktemp("scores") / "s.parquet"
    score_files(source.parent, path, model=MODEL)
    return read_scores(path).scores["interest"]


def make(folder: Path, source: Path, recipe: Recipe, interest: np.ndarray, *, displays: int) -> Made:
    run = skim(source.parent, folder / "o.root", recipe, command=["hepfilter", "skim", HOSTILE])
    sources, page = [Source(str(folder / "o.root"))], folder / "o.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "MOST_TOP", displays)
        report_run(sources, page, run=run, device="cpu")
    return Made(page, run, interest)


@pytest.fixture(scope="module")
def by_menu(source, interest, tmp_path_factory) -> Made:
    paths = {
        "anomaly": {"score": "interest", "fraction": 0.02},
        "jets": {"when": "nJet >= 6", "prescale": 2},
        "secret": {"when": "nMuon >= 4", "blind": True},
    }
    menu = Menu.model_validate({"name": "m", "model": MODEL, "paths": paths, "control": {"probability": 0.3}})
    return make(tmp_path_factory.mktemp("menu"), source, Recipe(trigger=Trigger(menu)), interest, displays=2)


@pytest.fixture(scope="module")
def by_share(source, interest, tmp_path_factory) -> Made:
    return make(
        tmp_path_factory.mktemp("share"), source, Recipe(keep=Fraction(1, 50), model=MODEL), interest, displays=False
    )


def cells(opened: Opened, section: str, table: int = 0) -> list[list[str]]:
    """The text of a table of a section, row by row."""
    read = "(table) => [...table.tBodies[0].rows].map((row) => [...row.children].map((cell) => cell.textContent))"
    found: list[list[str]] = opened.page.locator(f"#{section} table").nth(table).evaluate(read)
    return found


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_the_page_stands_alone_and_fits(browser, by_menu, width, scheme):
    with open_page(browser, by_menu.page, width=width, scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        opened.scroll_through()
        assert (opened.requests, opened.complaints) == ([], [])
        assert opened.overflow() <= 0
        assert opened.page.locator(".chart svg").count() == opened.page.locator(".chart").count() > 12
        headings = opened.page.locator("h2").all_inner_texts()
        assert headings == opened.page.locator("nav a").all_inner_texts() and len(headings) == 12


@pytest.mark.long
def test_with_ten_displays_the_page_is_small(by_menu, tmp_path):
    report_run([Source(str(by_menu.page.with_suffix(".root")))], tmp_path / "o.html")
    text = (tmp_path / "o.html").read_text(encoding="utf-8")
    assert text.count("Event in \\u03b7") == 10
    assert len(text.encode()) < 5_000_000


def test_on_paper_tables_fit_and_charts_are_drawn(browser, by_menu):
    with open_page(browser, by_menu.page, width=PAPER) as opened:
        opened.page.emulate_media(media="print")
        opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        shown = "[...document.querySelectorAll('.chart')].filter((one) => one.checkVisibility())"
        opened.wait_until(f"{shown}.every((one) => one.querySelector('svg'))")
        assert opened.overflow() <= 0
        assert not opened.page.locator("nav, .controls").first.is_visible()


def test_the_numbers_are_those_of_the_run(browser, by_menu):
    run = by_menu.run
    assert run.rates is not None
    unit = 1.0 if run.rates.of == "Hz" else 100.0
    with open_page(browser, by_menu.page) as opened:
        tiles = opened.page.locator("#overview .tiles strong").all_inner_texts()
        assert tiles[:3] == [f"{run.read:,}", f"{run.written:,}", "m"]
        flow = cells(opened, "cutflow")
        assert [(row[0], row[1]) for row in flow] == [(step.name, f"{step.events:,}") for step in run.cutflow()]
        rates = {row[0]: row for row in cells(opened, "rates")}
        assert list(rates) == ["anomaly", "jets", "any path", "control stream", "written"]
        assert rates["anomaly"][1].startswith("interest ≥ ") and rates["jets"][1] == "–"
        for number, name in enumerate(run.rates.paths):
            for place, part in ((3, run.rates.raw), (4, run.rates.prescaled), (5, run.rates.pure)):
                shown = [float(text) for text in re.findall(r"[\d.]+", rates[name][place])]
                known = [unit * float(one[number]) for one in (part.value, part.lower, part.upper)]
                assert shown == pytest.approx(known, abs=0.15 * (known[2] - known[1])), f"{name}, column {place}"
        overlap = cells(opened, "rates", 1)
        shared = run.rates.overlap.value[0] / run.rates.prescaled.value[0]
        assert [float(text) for text in overlap[0][1:]] == pytest.approx(100 * shared, rel=0.01)
        stages = {row[0] for row in cells(opened, "throughput")}
        assert stages == {*run.stages, "all else"}
        assert "secret" in opened.page.locator("#rates").inner_text()
        assert "secret" not in opened.page.locator("#turn-on").inner_text() + opened.page.locator("#top").inner_text()
        assert HOSTILE in opened.page.locator("#provenance").inner_text()
        assert opened.page.locator("img").count() == 0
        rate = opened.page.locator(".explorer tbody tr").first.locator("td").last.inner_text()
        assert run.rates.of == "Hz" and re.fullmatch(r"\d{1,3}|\d\.\d{1,2}|\d\d\.\d|0\.0*\d{1,3}", rate)
        opened.page.locator("#explorer details").last.evaluate("(one) => { one.open = true; }")
        opened.page.locator(".explorer input[type=number]").last.fill("9")  # 0.000123
        assert re.search(r"\(p ≤ \d\.\d\de-\d+\)", opened.page.locator(".explorer output").last.inner_text())


def seen(opened: Opened) -> tuple[float, int, list[float]]:
    """(the threshold in the field, events, share with its interval) as the explorer of `interest` shows them."""
    explorer = opened.page.locator(".explorer").first
    threshold = float(explorer.locator("input[type=number]").input_value())
    row = explorer.locator("tbody tr").first.locator("td").all_inner_texts()
    return threshold, int(row[1].replace(",", "")), [float(text) for text in re.findall(r"[\d.e-]+", row[2])]


def check(opened: Opened, interest: np.ndarray) -> float:
    """What is shown is what numpy says; the threshold."""
    threshold, events, share = seen(opened)
    above = int((interest >= threshold - 1e-6).sum())
    assert events == above
    low, high = clopper_pearson(above, len(interest))
    assert share == pytest.approx([100 * above / len(interest), 100 * low, 100 * high], rel=0.006)
    said = opened.page.locator(".explorer output").first.inner_text()
    assert f"keeps {events:,} events" in said
    assert opened.page.locator(".explorer input[type=range]").first.get_attribute("aria-valuetext") == said
    return threshold


def test_the_explorer_begins_at_the_runs_threshold_and_follows_keys_field_and_button(browser, by_share):
    with open_page(browser, by_share.page) as opened:
        assert seen(opened)[:2] == (pytest.approx(by_share.run.threshold, rel=1e-5), by_share.run.written)
        own = f"{by_share.run.threshold:.4f}"
        assert f"highest score, at least {own}" in opened.page.locator("#overview").inner_text()
        assert f"2 % of highest score are kept: those of at least {own}" in opened.page.locator("#rates").inner_text()
        slider = opened.page.locator(".explorer input[type=range]").first
        slider.focus()
        before, thresholds = by_share.run.threshold, []
        for key in ("ArrowRight", "ArrowRight", "PageDown", "Home", "ArrowUp"):
            opened.page.keyboard.press(key)
            thresholds.append(check(opened, by_share.interest))
        assert before < thresholds[0] < thresholds[1] > thresholds[2] > thresholds[3] < thresholds[4]
        field = opened.page.locator(".explorer input[type=number]").first
        field.fill("1.03")
        opened.page.keyboard.press("Tab")
        assert check(opened, by_share.interest) == pytest.approx(1.0)
        opened.page.locator(".explorer button").first.click()
        assert seen(opened)[1] == by_share.run.written


def test_the_line_in_the_chart_stands_where_the_slider_does(browser, by_share):
    with open_page(browser, by_share.page, width=NARROW) as opened:
        opened.scroll_through()
        opened.page.locator(".explorer input[type=range]").first.focus()
        opened.page.keyboard.press("Home")
        drawn = "hepfilter.charts.get(document.querySelector('#explorer .chart'))"
        signal = f"{drawn}.then((made) => made.view.signal('threshold'))"
        assert opened.page.evaluate(signal) == pytest.approx(seen(opened)[0])
        assert opened.complaints == []


def test_a_run_without_a_score_says_so_and_has_no_empty_sections(browser, source, tmp_path):
    skim(source.parent, tmp_path / "o.root", Recipe(where="nJet >= 5"))
    report_run([Source(str(tmp_path / "o.root"))], tmp_path / "o.html")
    with open_page(browser, tmp_path / "o.html") as opened:
        names = opened.page.locator("h2").all_inner_texts()
        assert names == ["Overview", "Cutflow", "Selection", "Drift", "Input", "Throughput", "Provenance"]
        assert "No score decided" in opened.page.locator("#rates").inner_text()
        assert "not stored" in opened.page.locator("#throughput").inner_text()
        assert "nJet >= 5" in opened.page.locator("#rates").inner_text()


def test_what_could_not_be_read_stands_first(source, tmp_path):
    (tmp_path / "bad.root").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    make_nano(tmp_path / "good.root", 200, seed=3, first_event=9000)
    skim(tmp_path, tmp_path / "out.root", Recipe(where="nJet >= 5"), on_bad_file="quarantine")
    report_run([Source(str(tmp_path / "out.root"))], tmp_path / "o.html")
    text = (tmp_path / "o.html").read_text(encoding="utf-8")
    overview, provenance = text.split('id="overview"')[1].split('id="cutflow"')[0], text.split('id="input"')[1]
    assert "missing everywhere in this report: all of 1 input" in overview
    assert "bad.root" in provenance.split("</table>")[0]


def test_the_vega_lite_of_every_chart_is_plain_json(by_menu):
    text = by_menu.page.read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/json" class="specification">(.*?)</script>', text, flags=re.DOTALL)
    assert len(found) > 12
    for one in found:
        json.loads(one, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_two_sections_have_two_ticks_and_one_jet_no_mass(browser, shared_data, tmp_path):
    skim(shared_data / "Run2012B_SingleMu_1000.root", tmp_path / "o.root", Recipe(threshold=3.0, model=MODEL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "MOST_TOP", 1)
        patch.chdir(tmp_path)
        report_run([Source("o.root")], tmp_path / "o.html", device="cpu")
    with open_page(browser, tmp_path / "o.html") as opened:
        opened.scroll_through()
        assert opened.page.locator("header").inner_text().count("o.root") == 1
        axis = opened.page.locator("#drift [aria-label^='X-axis']").first
        assert axis.locator(".role-axis-label text").all_text_contents() == ["1", "2"]
        head = opened.page.locator("#top th").all_inner_texts()
        assert cells(opened, "top")[0][[name.startswith("m(jj)") for name in head].index(True)] == "–"
        assert "1 degree of freedom" in opened.page.locator("#drift").inner_text()
