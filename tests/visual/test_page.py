"""A page stands alone, shows what it is given as it is, and is usable wide and narrow, in the dark, by keyboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import altair as alt
import pytest
from markupsafe import Markup
from playwright.sync_api import Browser

from hepfilter.visual.page import Cell, Chart, Facts, Folded, Page, Section, Table, Text, Tile, Tiles, render
from hepfilter.visual.style import COLOURS
from tests.browser import NARROW, WIDE, chromium, open_page

HOSTILE = (
    "</script><script>window.harmed = 1</script><img src=http://127.0.0.1:9/x.png onerror='window.harmed = 2'>\x1b[2J"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def chart(name: str = "a") -> Chart:
    rows = [{"x": place, "y": place**2, "series": name} for place in range(5)]
    drawn = alt.Chart(alt.InlineData(values=rows)).mark_line().encode(x="x:Q", y="y:Q", color="series:N")
    return Chart(drawn.properties(height=120), name, name, Table(["x", "y"], [[row["x"], row["y"]] for row in rows]))


def page_of(*content: object, name: str = "page") -> Page:
    return Page(name, [Section(name, "only", list(content))], subtitle=name)  # type: ignore[arg-type]


def write(folder: Path, page: Page) -> Path:
    path = folder / "page.html"
    path.write_text(render(page), encoding="utf-8")
    return path


def test_nothing_that_comes_from_a_file_is_more_than_text(browser, tmp_path):
    every = [Text(HOSTILE), Text(HOSTILE, warning=True), Facts([(HOSTILE, HOSTILE)]), chart(HOSTILE)]
    every += [Table([HOSTILE, "b"], [[HOSTILE, Cell(HOSTILE)]], caption=HOSTILE, sortable=True)]
    every += [Tiles([Tile(HOSTILE, HOSTILE, HOSTILE)]), Folded(HOSTILE, [Text(HOSTILE)])]
    path = write(tmp_path, page_of(*every, name=HOSTILE))
    text = path.read_text(encoding="utf-8")
    assert "\x1b" not in text and "<script>window.harmed" not in text and "<img src=http" not in text
    with open_page(browser, path) as opened:
        opened.scroll_through()
        assert opened.page.evaluate("window.harmed") is None
        assert (opened.requests, opened.complaints) == ([], [])
        assert opened.page.locator("h1").inner_text() == HOSTILE.replace("\x1b", "\\x1b")


def test_what_slips_through_is_stopped_by_the_policy(browser, tmp_path):
    slipped = Markup(
        "<script>window.harmed = 1</script><img src='http://127.0.0.1:9/a.png' onerror='window.harmed = 2'>"
    )
    with open_page(browser, write(tmp_path, page_of(slipped))) as opened:
        opened.page.wait_for_timeout(200)
        assert opened.page.evaluate("window.harmed") is None
        assert opened.requests == []
        assert any("Content Security Policy" in said for said in opened.complaints)


def test_the_plotting_library_is_there_once_and_only_where_there_is_a_chart():
    assert render(page_of(Text("no chart"))).count("window.vegaEmbed=") == 0
    for content in ([chart(), chart()], [Folded("more", [chart()])]):
        assert render(page_of(*content)).count("window.vegaEmbed=") == 1
    assert render(page_of(chart())) == render(page_of(chart()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_wide_and_narrow_and_charts_take_the_colours_of_the_scheme(browser, tmp_path, scheme):
    wide = Table([f"column {n}" for n in range(30)], [[10**n for n in range(30)]])
    path = write(tmp_path, page_of(wide, Facts([("long", "x" * 500)]), Text("y" * 500), chart(), name="z" * 200))
    for width in (WIDE, NARROW):
        with open_page(browser, path, width=width, scheme=scheme) as opened:
            opened.scroll_through()
            assert opened.overflow() <= 0 and opened.complaints == []
            room = opened.page.evaluate("document.querySelector('.chart').clientWidth")
            drawn = opened.page.evaluate("document.querySelector('.chart svg').getBoundingClientRect().width")
            assert 0.97 * room < drawn <= room
            ink, paper = (
                opened.page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
            )
            assert contrast(ink, paper) > 7
            label = "getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill"
            assert contrast(opened.page.evaluate(label), paper) > 4.5
            line = opened.page.evaluate("getComputedStyle(document.querySelector('.chart .mark-line path')).stroke")
            assert contrast(line, paper) > 2.5


def contrast(one: str, other: str) -> float:
    """The ratio of two colours as the Web Content Accessibility Guidelines define it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_table_is_sorted_by_keyboard_and_the_first_key_skips_to_the_content(browser, tmp_path):
    rows = [["b", 2], ["a", 10], ["c", None], ["d", Cell("one", 1.0)]]
    with open_page(browser, write(tmp_path, page_of(Table(["name", "number"], rows, sortable=True)))) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "content"
        opened.page.locator("th button", has_text="number").focus()
        names = "[...document.querySelectorAll('tbody th')].map((cell) => cell.textContent).join('')"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate(names) == "abdc"
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate(names) == "cdba"
        assert opened.page.locator("th[aria-sort=ascending]").inner_text().startswith("number")
        outline = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


def test_on_paper_every_chart_is_there_and_nothing_to_click(browser, tmp_path):
    path = write(tmp_path, page_of(*[Text("long " * 3000)] * 3, chart(), Table(["a"], [["b"]], sortable=True)))
    with open_page(browser, path, width=720) as opened:
        assert opened.page.locator(".chart svg").count() == 0  # nobody has scrolled there
        opened.page.emulate_media(media="print")
        opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        opened.wait_until("document.querySelectorAll('.chart svg').length === 1")
        assert not opened.page.locator("nav").is_visible()
        assert opened.overflow() <= 0
        paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"


def test_the_style_sheet_has_the_colours_of_all_plots():
    style = render(page_of(Text("")))
    assert re.findall(r"--series-\d+: (#\w+)", style)[:10] == list(COLOURS)


def test_what_is_not_finite_is_null_in_charts() -> None:
    rows = [{"x": 1.0, "y": float("nan")}, {"x": float("inf"), "y": 2.0}]
    specification = Chart(alt.Chart(alt.InlineData(values=rows)).mark_point(), "a", "a").specification
    (values,) = json.loads(specification)["datasets"].values()
    assert values == [{"x": 1.0, "y": None}, {"x": None, "y": 2.0}]
