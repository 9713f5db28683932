"""The help of commands with many options."""

import re

import pytest

from hepfilter.cli.app import app, run


def help_of(name: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([name, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


def panels_of(lines: list[str]) -> dict[str, list[str]]:
    """The long options of each panel."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := re.fullmatch(r"(\w+):", line):
            found[match[1]] = []
        elif match := re.match(r"  (?:-\w, )?(--[\w-]+)", line):
            found[list(found)[-1]].append(match[1])
    return found


def test_the_options_of_skim_stand_in_panels(monkeypatch, capsys):
    panels = panels_of(help_of("skim", 80, monkeypatch, capsys))
    assert list(panels) == ["Arguments", "Selection", "Branches", "Output", "Model", "Running", "Options"]
    assert {"--where", "--keep", "--events"} <= set(panels["Selection"])
    assert panels["Output"][0] == "--output" and "--layout" in panels["Branches"]
    assert panels["Model"] == ["--model", "--scores", "--device"]
    assert panels["Options"] == ["--quiet", "--verbose", "--help"]  # all others have a panel


@pytest.mark.parametrize("columns", [80, 120])
def test_explanations_stand_below_one_another_and_fit(monkeypatch, capsys, columns):
    lines = help_of("skim", columns, monkeypatch, capsys)
    starts = {match.end() for line in lines if (match := re.match(r"  -.*?  +(?=\S)", line))}
    assert len(starts) == 1
    assert columns - 20 < max(map(len, lines)) <= columns
    assert any("'nMuon >= 2" in line for line in lines)


def test_a_command_without_panels_has_its_options_under_one_title(monkeypatch, capsys):
    panels = panels_of(help_of("verify", 80, monkeypatch, capsys))
    assert list(panels) == ["Arguments", "Options"] and "--rescore" in panels["Options"]


def test_no_option_is_lost(monkeypatch, capsys):
    from typer.main import get_command

    for name, command in get_command(app).commands.items():
        shown = {
            option for options in panels_of(help_of(name, 100, monkeypatch, capsys)).values() for option in options
        }
        assert shown - {"--help"} == {parameter.opts[0] for parameter in command.params if parameter.opts[0][0] == "-"}
