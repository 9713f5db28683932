"""`hepfilter bench`."""

import json
import sys

import pytest

from hepfilter.cli.app import run
from hepfilter.scoring import benchmark as module


@pytest.fixture(autouse=True)
def one_run_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)


def test_table_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "deepsets-small", "-n", "64", "--batch", "4", "--precision", "bfloat16", "--device", "cpu"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]["torch"] in shown and report["machine"]["processor"] in shown
    assert f"{report['parameters']:,} parameters" in shown
    for row in report["measurements"]:
        assert row["step"] in shown and f"{row['n_events']} × {row['n_nodes']}" in shown
    assert {row["precision"] for row in report["measurements"] if row["step"] == "forward"} == {"bfloat16"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["interest-object"], 1, "interest-objects"),
        (["interest-objects", "--graph", "particles"], 2, "brings its own graph"),
        (["--device", "tpu"], 2, "tpu"),
        (["--peers"], 2, "pip install weaver-core"),
    ],
)
def test_faults_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "weaver", None)
    assert run(["bench", *arguments]) == code
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
