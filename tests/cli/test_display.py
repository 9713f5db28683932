"""`hepfilter display` on the command line."""

from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.models.metadata import find_checkpoint
from tests.nano import make_nano


@pytest.fixture
def events(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_nano(tmp_path / "events.root", 30)


def test_outputs_are_by_suffix_and_names_are_made(events, tmp_path, capsys, untrained_model):
    model = ["--model", str(untrained_model)]
    assert run(["display", str(events), "--entry", "3", *model]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{events}: 1:1:3; ") and "carried most by" in said[0] and "interest " in said[0]
    assert said[1:] == ["written: events-entry-3.png"]
    assert (tmp_path / "events-entry-3.png").read_bytes().startswith(b"\x89PNG")
    assert run(["display", str(events), "--event", "1:1:4", "--model", "none"]) == 0
    assert "carried" not in capsys.readouterr().out
    assert (tmp_path / "events-1-1-4.png").exists()
    assert run(["display", str(events), "--top", "3", *model]) == 0
    assert capsys.readouterr().out.count(f"{events}: 1:1:") == 3
    page = (tmp_path / "events-top-3.html").read_text()
    assert page.startswith("<!doctype html>") and page.count('class="specification"') == 3


def test_several_pictures_are_numbered_and_a_pdf_holds_all(events, tmp_path, capsys, untrained_model):
    for suffix in ("svg", "pdf"):
        assert run(["display", str(events), "--top", "2", "-o", f"a.{suffix}", "--model", str(untrained_model)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.svg", "a-2.svg", "a.pdf", "events.root"]
    assert (tmp_path / "a.pdf").read_bytes().count(b"/Type /Page ") == 2


def test_a_skim_is_explained_by_its_own_model(events, tmp_path, capsys, untrained_model, monkeypatch):
    skim = ["skim", str(events), "-o", "out.root", "--keep", "20%", "--model", str(untrained_model)]
    assert run(skim) == 0
    used = []

    def read_visible(*_, model, **__):
        used.append(model)
        return ()

    monkeypatch.setattr("hepfilter.skim.displaying.read_visible", read_visible)
    for path in ("out.root", str(events)):
        assert run(["display", path, "--top", "1"]) == 1
    assert used == [str(untrained_model), "interest-objects"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "say which events in one way: --entry N, --event RUN:LUMI:EVENT or --top N"),
        (["--entry", "1", "--top", "2"], 2, "say which events in one way"),
        (["--event", "1:2"], 2, "--event 1:2: is no RUN:LUMI:EVENT, as 1:23:456 is"),
        (["--event", "1:2:x"], 2, "--event 1:2:x: is no RUN:LUMI:EVENT"),
        (["--event", "1:1:99"], 1, "nearest: 1:1:29, entry 29 of"),
        (["--entry", "30"], 1, "no entry 30; tree Events has 30 entries, the last is 29"),
        (["--entry", "3", "-o", "a.gif"], 2, "a.gif: its suffix '.gif' says no kind of output"),
        (["--entry", "3", "-o", "events.root"], 2, "its suffix '.root' says no kind of output"),
        (["--entry", "3", "-o", "there.png"], 1, "there.png: exists; give another name with -o, or --force"),
        (["--entry", "3", "-o", "same.png", "--force"], 2, "same.png: is one of the inputs; give another name"),
        (["--entry", "3", "--model", "interest-object"], 1, "interest-object"),
    ],
)
def test_errors_are_one_line(events, tmp_path, capsys, arguments, code, told):
    (tmp_path / "there.png").write_bytes(b"")
    (tmp_path / "same.png").symlink_to(events)
    assert run(["display", str(events), *arguments]) == code
    said = capsys.readouterr()
    assert told in said.err and said.err.count("\n") == 1 and said.out == ""
    assert {path.name for path in tmp_path.iterdir()} == {"events.root", "there.png", "same.png"}


def test_a_file_without_events_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    empty = make_nano(tmp_path / "empty.root", 0)
    assert run(["display", str(empty), "--top", "3"]) == 1
    assert "holds no event that can be shown; nothing is written" in capsys.readouterr().err
    assert run(["display", str(empty), "--entry", "0", "--model", "none"]) == 1
    assert capsys.readouterr().err.endswith("no entry 0; tree Events has 0 entries\n")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.root"]


def test_more_pictures_than_anybody_looks_at_are_refused_at_once(events, capsys):
    assert run(["display", str(events), "--top", "1000000000", "-o", "a.png"]) == 2
    assert "1000" in capsys.readouterr().err


def test_names_of_files_are_shown_as_they_are(events, tmp_path, capsys, recwarn):
    odd = events.rename(tmp_path / "$\\frac$ \x1b[31m 物.root")
    for suffix in ("svg", "html"):
        assert run(["display", str(odd), "--entry", "0", "--model", "none", "-o", f"a.{suffix}"]) == 0
        assert "\x1b" not in (tmp_path / f"a.{suffix}").read_text()
    assert capsys.readouterr().err == "" and not recwarn.list


def test_a_skim_whose_model_is_gone_or_another_now_is_shown_unexplained(events, tmp_path, capsys, untrained_model):
    model = Path("own.safetensors")
    model.write_bytes(untrained_model.read_bytes())
    assert run(["skim", str(events), "-o", "out.root", "--keep", "20%", "--model", str(model)]) == 0
    for change, why in (
        (lambda: model.write_bytes(find_checkpoint("interest-objects").read_bytes()), "is another model than the one"),
        (model.unlink, "no such file"),
    ):
        change()
        capsys.readouterr()
        assert run(["display", "out.root", "--top", "1", "-o", "a.png", "--force"]) == 0
        said = capsys.readouterr()
        assert "nothing is explained: own.safetensors" in said.err and why in said.err and said.err.count("\n") == 1
        assert "interest" in said.out and "carried" not in said.out
