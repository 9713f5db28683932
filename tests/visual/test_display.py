"""Pictures and pages of an event show what it is, where it is, and what carries its score."""

import json
import math
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Polygon

from hepfilter.evaluation.displayed import DisplayedObject
from hepfilter.visual import event_views as views
from hepfilter.visual.display import draw_file, plot_event
from hepfilter.visual.display_chart import event_chart
from hepfilter.visual.display_page import events_page
from hepfilter.visual.style import colour, row
from tests.browser import NARROW, WIDE, Opened, chromium, open_page
from tests.visual.events import EMPTY, make_event, unexplained, with_particles

EVENT = make_event()
JET, FATJET, MUON, SECOND, MET = EVENT.objects


def test_edges_and_circles_go_on_at_the_other_end_of_phi():
    (first, second) = views.segments(JET, MUON)
    assert first == pytest.approx((1.0, 3.0, 0.75, math.pi)) and second == pytest.approx((0.75, -math.pi, 0.5, -3.0))
    (back, forth) = views.segments(MUON, JET)
    assert back == pytest.approx((0.5, -3.0, 0.75, -math.pi)) and forth == pytest.approx((0.75, math.pi, 1.0, 3.0))
    assert views.segments(SECOND, FATJET) == [(-0.5, 0.2, -1.0, 0.5)]
    assert views.copies(JET, 0.4) == pytest.approx([3.0, 3.0 - 2 * math.pi])
    assert views.copies(SECOND, 0.4) == [0.2]


def test_objects_that_lie_together_have_one_sign():
    tau = DisplayedObject("tau", 1, "tau", 100.0, 0.6, -3.1, 0.1)
    beyond = DisplayedObject("electron", 1, "electron", 30.0, 0.5, 3.1, 0.0)  # beside the muon, across ±π
    event = make_event()
    signs = views.signs(make_event(objects=(*event.objects, tau, beyond)))
    assert signs == {
        "muon 1": "μ1 τ1 e1", "tau 1": "", "electron 1": "", "muon 2": "μ2", "jet 1": "j1", "fatjet 1": "J1",
        "MET": "MET",
    }  # fmt: skip


def test_rings_suit_the_hardest_object():
    assert views.rings(EVENT) == [50.0, 100.0, 200.0]
    assert views.rings(EMPTY) == [20.0, 50.0, 100.0]
    assert views.rings(make_event(objects=(replace(MUON, pt=0.01),))) == [0.1, 0.2, 0.5]
    assert views.reach(EVENT) > math.sqrt(300)
    taken = [one.phi for one in EVENT.objects]
    assert min(abs(math.remainder(views.quiet_direction(EVENT) - phi, 2 * math.pi)) for phi in taken) > 0.8


def test_the_picture_has_every_object_in_both_views():
    plane, across, objects, edges = plot_event(EVENT)
    circles = [
        (patch.center, patch.radius) for patch in plane.patches if isinstance(patch, Circle) and patch.get_fill()
    ]
    assert circles == [
        ((1.0, 3.0), 0.4), ((1.0, pytest.approx(3.0 - 2 * math.pi)), 0.4), ((-1.0, 0.5), 0.8),
    ]  # fmt: skip
    for one in (JET, MUON, SECOND):
        (marker,) = [
            line
            for line in plane.lines
            if list(line.get_xydata()[0]) == [one.eta, one.phi] and line.get_marker() != "None"
        ]
        assert to_hex(marker.get_color()) == colour(views.LOOKS[one.kind].colour)
    assert {text.get_text() for text in plane.texts} >= {"j1", "J1", "μ1", "μ2", "MET 50 GeV"}
    assert {text.get_text() for text in across.texts} >= {"j1", "J1", "μ1", "μ2", "MET", "50", "100", "200"}
    cones = [patch for patch in across.patches if isinstance(patch, Polygon) and patch.get_fill()]
    assert [max(math.hypot(*point) for point in cone.get_xy()) for cone in cones] == pytest.approx([80**0.5, 300**0.5])
    (tip,) = [text.xy for text in across.texts if text.get_text() == "μ1"]
    assert tip == pytest.approx((120**0.5 * math.cos(-3.0), 120**0.5 * math.sin(-3.0)))
    assert [bar.get_width() for bar in objects.patches] == [2.0, 1.0, -0.5, 0.25]
    assert next(label.get_text() for label in objects.get_yticklabels()) == "muon 1, 120 GeV"
    assert [label.get_text() for label in edges.get_yticklabels()][:3] == [
        "muon 1 – muon 2",
        "muon 1 – MET",
        "jet 1 – muon 1",
    ]


def test_edges_are_as_wide_as_what_they_carry_and_dashed_where_they_lower_the_score():
    across = plot_event(EVENT)[1]
    tips = {one.name: views.transverse(one.pt, one.phi) for one in EVENT.objects}

    def line(first: str, second: str):
        ends = [*tips[first], *tips[second]]
        (found,) = [one for one in across.lines if list(one.get_xydata().ravel()) == pytest.approx(ends)]
        return found

    strong, weak, lowering = line("muon 1", "muon 2"), line("muon 2", "MET"), line("jet 1", "muon 1")
    assert strong.get_linewidth() > 2 * weak.get_linewidth() and strong.get_alpha() > 2 * weak.get_alpha()
    assert strong.get_linestyle() == "-" and lowering.get_linestyle() == "--"


def test_the_head_says_who_the_event_is():
    def texts(event):
        figure = plot_event(event)[0].get_figure(root=True)
        return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))

    said = texts(EVENT)
    for part in ("hepfilter", "data.root", "Run 1, lumi 22, event 333", "interest 4.50    p-value 0.00013"):
        assert part in said
    assert "passed dimuon, odd    stream physics" in said and "/somewhere" not in said
    assert "Entry 7" in texts(replace(EVENT, identity=None))
    assert "and 2 more" in texts(replace(EVENT, paths=tuple("abcdefgh")))


def test_what_there_is_none_of_is_not_drawn():
    assert len(plot_event(unexplained(EVENT))) == 2
    for event in (EMPTY, unexplained(EMPTY), with_particles(300)):
        assert draw_file([event], ".svg").startswith(b"<?xml")
        event_chart(event).to_dict()
        assert "<h1>" in events_page([event])
    texts = [text.get_text() for axes in plot_event(EMPTY)[2:] for text in axes.texts]
    assert texts == ["the model looks at no object of it", "the graph has no edge"]


def test_given_axes_are_drawn_in(tmp_path):
    figure, axes = row(2, size=(4, 4), share=False)
    assert plot_event(EVENT, axes) is axes
    assert axes[0].get_xlim() == (-views.MAX_ETA, views.MAX_ETA) and not figure.legends


def test_files_are_the_same_each_time_and_leave_no_setting_behind():
    before = dict(mpl.rcParams)
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        content = draw_file([EVENT], suffix)
        assert content.startswith(start) and content == draw_file([EVENT], suffix)
    assert draw_file([EVENT, unexplained(EVENT)], ".pdf").count(b"/Type /Page ") == 2
    assert dict(mpl.rcParams) == before


def test_charts_of_many_particles_are_small_and_say_what_they_leave_out():
    chart = event_chart(with_particles(3000)).to_dict()
    assert len(json.dumps(chart)) < 250_000
    names = {item["name"] for rows in chart["datasets"].values() for item in rows if "eta" in item and "turn" in item}
    assert len(names) == 250


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "events.html"
    hostile = replace(EVENT, file="<script>alert(1)</script>.root", paths=("</script><b>x",))
    path.write_text(events_page([EVENT, unexplained(EVENT), with_particles(400), EMPTY, hostile]), encoding="utf-8")
    return path


def marks(opened: Opened, number: int, kind: str, scale: str = "") -> int:
    """How many marks of a kind a chart shows: rules are edges and lines of objects."""
    script = f"""[...document.querySelectorAll('.chart')[{number}].querySelectorAll('{kind}')]{scale}.length"""
    return int(opened.page.evaluate(script))


def edges_shown(opened: Opened, number: int = 0) -> str:
    """What the chart says of it, in its corner."""
    texts = opened.page.evaluate(
        f"[...document.querySelectorAll('.chart')[{number}].querySelectorAll('text')].map((one) => one.textContent)"
    )
    return next(text for text in texts if text.endswith(" edges"))


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_stands_alone_and_fits(browser, page, width):
    with open_page(browser, page, width=width) as opened:
        opened.scroll_through()
        assert opened.complaints == opened.requests == []
        assert opened.overflow() <= 0
        for number in range(5):
            box = f"document.querySelectorAll('.chart')[{number}].querySelector('svg').getBoundingClientRect()"
            assert opened.page.evaluate(f"{box}.width") > (330 if width == NARROW else 800)
        assert opened.page.locator("h2").all_inner_texts()[3] == "Entry 7"
        assert "<b>x" in opened.page.locator("#event-5").inner_text()


def test_slider_and_box_change_the_edges_shown_by_keyboard(browser, page):
    with open_page(browser, page) as opened:
        opened.scroll_through()
        assert edges_shown(opened) == "6 of 6 edges"
        slider = opened.page.locator(".chart input[type=range]").first
        slider.focus()
        rules = marks(opened, 0, "g.mark-rule line")
        for _ in range(30):
            opened.page.keyboard.press("ArrowRight")
        assert opened.settles(lambda: edges_shown(opened) == "1 of 6 edges")
        assert marks(opened, 0, "g.mark-rule line") < rules - 5
        opened.page.keyboard.press("Home")
        opened.page.locator(".chart input[type=checkbox]").first.focus()
        opened.page.keyboard.press("Space")
        assert opened.settles(lambda: edges_shown(opened) == "0 of 6 edges")
        assert edges_shown(opened, 2).endswith("of 60 edges")  # charts do not know of each other


def test_an_object_lights_up_in_all_views(browser, page):
    with open_page(browser, page) as opened:
        opened.scroll_through()
        dim = ".filter((one) => Number(one.getAttribute('opacity')) < 0.5)"

        def dimmed() -> int:
            return marks(opened, 0, "path[aria-roledescription=point]", dim)

        assert dimmed() == 0
        opened.page.locator(".chart select").first.focus()
        opened.page.keyboard.press("m")  # for muon 1
        assert opened.settles(lambda: dimmed() == 5)
        assert marks(opened, 0, "path[aria-roledescription=point]") == 7
        assert marks(opened, 0, "path[aria-roledescription=bar]", dim) > 4
        opened.page.keyboard.press("Home")
        assert opened.settles(lambda: dimmed() == 0)
        opened.page.locator(".chart path[aria-roledescription=point]").first.hover(force=True)
        assert opened.settles(lambda: dimmed() == 5)
        shown = opened.page.locator("#vg-tooltip-element")
        assert opened.settles(lambda: "jet 1" in shown.inner_text())
        tooltip = shown.inner_text()
        assert "pt (GeV)" in tooltip and "carries" in tooltip


def test_a_view_is_moved_and_put_back(browser, page):
    with open_page(browser, page) as opened:
        opened.scroll_through()
        place = "document.querySelector('.chart path[aria-roledescription=point]').getAttribute('transform')"
        before = opened.page.evaluate(place)
        box = opened.page.locator(".chart svg").first.bounding_box()
        middle = (box["x"] + 250, box["y"] + 150)
        opened.page.mouse.move(*middle)
        opened.page.mouse.down()
        opened.page.mouse.move(middle[0] + 60, middle[1] + 20, steps=4)
        opened.page.mouse.up()
        assert opened.settles(lambda: opened.page.evaluate(place) != before)
        opened.page.mouse.dblclick(*middle)
        assert opened.settles(lambda: opened.page.evaluate(place) == before)
        opened.page.mouse.wheel(0, 300)  # the wheel alone is for the page
        opened.page.wait_for_timeout(200)
        assert opened.page.evaluate(place) == before
