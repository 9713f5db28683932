"""Results in notebooks: the tables of the command line, escaped, on light and dark ground."""

import dataclasses
import re
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import hepfilter
from hepfilter.api import progress, showing
from hepfilter.shown import Shown
from tests.nano import make_nano

EVIL = "<img src=x onerror=alert(1)>&\x1b[31m"


class Cells(HTMLParser):
    """The texts of a fragment by their tag, and every tag that there is."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1], data))

    def of(self, tag: str) -> list[str]:
        return [text for found, text in self.texts if found == tag]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("shown")
    return hepfilter.skim(make_nano(folder / "in.root", 200), folder / "o.root", where="nJet > 5")


def test_a_skim_shows_its_cutflow_without_times(report):
    cells = Cells(report._repr_html_())
    assert cells.of("caption") == [f"{report.outputs[0].path}: cutflow"]
    assert cells.of("th") == ["step", "events", "share", "sum of weights"]
    assert cells.of("td")[:4] == ["read", "200", "100.000%", "100"]
    assert cells.of("td")[4:6] == ["where", f"{report.written:,}"]
    text = hepfilter.as_text(report)
    assert "│ read " in text and "│ where " in text
    for shown in (report._repr_html_(), text):
        assert not re.search(r"\d s\b", shown)


def test_names_from_files_are_escaped(report):
    outputs = (dataclasses.replace(report.outputs[0], path=EVIL),)
    html = dataclasses.replace(report, outputs=outputs, warnings=(EVIL,))._repr_html_()
    cells = Cells(html)
    assert "img" not in cells.tags and "\x1b" not in html
    assert cells.of("caption") == [EVIL.replace("\x1b", "\\x1b") + ": cutflow"]
    assert f"note: {EVIL}".replace("\x1b", "\\x1b") in cells.of("p")
    assert "\x1b" not in hepfilter.as_text(dataclasses.replace(report, warnings=(EVIL,)))


def test_colours_are_those_of_the_page(report):
    style = re.search(r"<style>(.*?)</style>", report._repr_html_())[1]
    assert "color:inherit" in style
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b|(?<![-\w])(?:black|white)(?![-\w])", style)
    assert style.count("{") == style.count("}")
    assert all(".hepfilter" in rule for rule in re.findall(r"([^{}]+)\{", style))


def test_every_result_has_a_printer():
    def all_below(cls: type) -> set[type]:
        return {cls, *(below for one in cls.__subclasses__() for below in all_below(one))}

    modules = """skim.rates skim.merging skim.proof.checks evaluation.run training.run training.weak simulation.sample
        scoring.calibrating scoring.score api.opening"""
    for module in modules.split():
        import_module(f"hepfilter.{module}")
    shown = {cls.__name__ for cls in all_below(Shown)} - {"Shown", "EventFile"}
    assert shown == set(showing._PRINTERS)
    for module in showing._PRINTERS.values():
        assert callable(import_module(f"hepfilter.cli.{module}").print_report)
    with pytest.raises(KeyError):
        hepfilter.as_html("text")


def test_rates_and_training_and_samples_show_their_tables(tmp_path):
    sample = hepfilter.simulate("zprime_ll@1500", tmp_path / "a.root", events=3)
    assert Cells(sample._repr_html_()).of("td")[0] == "zprime_ll@1500"
    menu = tmp_path / "m.yaml"
    menu.write_text('name: m\npaths:\n  many: {when: "nJet > 5"}\n')
    rates = hepfilter.skim(make_nano(tmp_path / "in.root", 200), tmp_path / "o.root", menu=menu).rates
    cells = Cells(rates._repr_html_())
    assert cells.of("td")[0] == "many" and "any path" in cells.of("td")
    proof = Cells(hepfilter.verify(tmp_path / "o.root")._repr_html_())
    assert "check" in proof.of("th") and "passed" in proof.of("td")


def test_a_file_shows_what_is_in_it(tmp_path):
    path = make_nano(tmp_path / "in.root", 60)
    file = hepfilter.open(path)
    cells = Cells(file._repr_html_())
    assert {"Events", "Runs", "jet", "muon", "60"} <= set(cells.of("td"))
    assert len(file) == 60 and repr(file) == f"EventFile({str(path)!r})"
    assert "muon" in hepfilter.as_text(file)
    record = file.events(10, 40)
    assert len(record) == 30 and {"jet", "met"} <= set(record.fields)
    with pytest.raises(hepfilter.errors.UsageError, match="2 files"):
        make_nano(tmp_path / "other.root", 1)
        hepfilter.open(tmp_path)


def test_ipython_shows_text_and_html_and_prints_nothing(report, capfd, monkeypatch):
    from IPython.core.formatters import DisplayFormatter

    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)  # where rich displays instead of writing
    data, _ = DisplayFormatter().format(report)
    assert data["text/plain"] == hepfilter.as_text(report) and "cutflow" in data["text/plain"]
    assert data["text/html"] == report._repr_html_()
    assert capfd.readouterr() == ("", "")


class Handle:
    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, html: object) -> None:
        self.shown.append(html.data)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This process as a notebook's kernel; what it displays."""
    import IPython

    shown: list[str] = []

    def display(html: object, display_id: bool) -> Handle:
        shown.append(html.data)
        return Handle(shown)

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr("IPython.display.display", display)
    return shown


def test_a_notebook_has_a_bar_that_goes(tmp_path, notebook):
    hepfilter.skim(make_nano(tmp_path / "in.root", 100), tmp_path / "o.root", where="nJet > 5")
    assert any("selecting <progress" in html and "100 of 100 events" in html for html in notebook)
    assert notebook[-1] == ""


def test_a_bar_is_not_shown_more_often_than_one_sees(notebook):
    with progress.shown(None) as report:
        for done in range(1000):
            report("<b>", done, 1000)
    assert 2 <= len(notebook) < 10
    assert notebook[0].startswith("&lt;b&gt;")


def test_the_callers_own_progress_takes_the_place(notebook):
    calls: list[tuple[str, int, int]] = []
    with progress.shown(lambda *call: calls.append(call)) as report:
        report("x", 1, 2)
    assert (calls, notebook) == ([("x", 1, 2)], [])


def test_there_is_silence_elsewhere(tmp_path, capfd):
    hepfilter.skim(make_nano(Path(tmp_path) / "in.root", 100), tmp_path / "o.root", where="nJet > 5")
    assert capfd.readouterr() == ("", "")
