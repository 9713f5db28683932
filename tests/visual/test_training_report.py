"""The page of a training shows what the containers say, whoever looks at it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from hepfilter.cli.terminal import plain_data
from hepfilter.errors import ConfigError
from hepfilter.evaluation.calibration import check_calibration
from hepfilter.evaluation.run import Evaluation, EvaluationOptions, evaluate
from hepfilter.io.sources import Source
from hepfilter.models.metadata import metrics_path
from hepfilter.training.run import TrainingReport
from hepfilter.visual.page import Chart, Page, render
from hepfilter.visual.separation_sections import separation_sections
from hepfilter.visual.training_report import (
    evaluation_page,
    load_metrics,
    metrics_file,
    training_page,
    write_training_report,
)
from tests.browser import NARROW, chromium, open_page


@pytest.fixture(scope="module")
def metrics(small_training: TrainingReport) -> dict[str, Any]:
    return dict(load_metrics(metrics_path(small_training.model)))


@pytest.fixture(scope="module")
def evaluation(small_training: TrainingReport) -> Evaluation:
    sample = Source(str(small_training.model.with_name("s.root")))
    return evaluate(small_training.model, [sample], options=EvaluationOptions(shifts=False, n_draws=2), device="cpu")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def charts(page: Page) -> dict[str, dict[str, Any]]:
    """Title → Vega-Lite."""
    blocks = [block for section in page.sections for block in section.content]
    return {block.title: block.chart.to_dict() for block in blocks if isinstance(block, Chart)}


def rows(chart: dict[str, Any]) -> list[dict[str, Any]]:
    """What the layer with most data shows."""
    parts = [part["data"] for part in (chart, *chart.get("layer", ())) if "data" in part]
    return max((chart["datasets"][one["name"]] if "name" in one else one["values"] for one in parts), key=len)


def test_the_charts_have_the_numbers(metrics: dict[str, Any], small_training: TrainingReport) -> None:
    found = charts(training_page(metrics))
    losses = [row["loss"] for row in rows(found["Loss by epoch"]) if row["of"] == "validation"]
    assert losses == [epoch.validation_loss for epoch in small_training.epochs]
    kept = {row["epoch"] for row in rows(found["Loss by epoch"]) if row["kept"]}
    assert kept == {small_training.best_epoch + 1}
    rates = [row["rate"] for row in rows(found["Learning rate"])]
    assert rates == [epoch.learning_rate for epoch in small_training.epochs]
    assert rates[-1] < rates[0]  # one cycle
    roc = small_training.families[1].matched.by_score["interest"].roc
    row = next(
        row
        for row in rows(found["ROC curve of a family"])
        if (row["family"], row["background"], row["score"]) == ("dilepton", "hardness-matched", "interest")
    )
    assert row["b"] == pytest.approx(roc.background, rel=1e-3)
    assert row["s"] == pytest.approx(roc.signal, rel=1e-3)
    confusion = small_training.diagnosis.confusion
    cells = {(row["true"], row["predicted"]): row for row in rows(found["True class against predicted class"])}
    assert cells["dijet", "dijet"]["share"] == pytest.approx(confusion.shares[2][2], abs=1e-5)
    verdicts = {pair: row["verdict"] for pair, row in cells.items()}
    assert verdicts["qcd", "qcd"] == "right"
    assert verdicts["qcd", "ttbar"] == "wrong, on the same side"
    assert verdicts["dijet", "qcd"] == "signal and background mixed up"


def test_working_points_have_their_intervals() -> None:
    point = {
        "signal": {"value": 0.5, "lower": 0.4, "upper": 0.625}, "sic": {"value": 5.0, "lower": 4.0, "upper": 6.5},
        "n_background_above": 12,
    }  # fmt: skip
    separated = {
        "n_signal": 20, "auc": None, "roc": {"background": [0.01, 1.0], "signal": [0.5, 1.0]},
        "working_points": {"0.01": point, "0.001": None},
    }  # fmt: skip
    comparison = {"by_score": {"interest": separated, "ht": separated}, "coverage": 1.0}
    families = [{"family": "x<b>", "seen": False, "physical": comparison, "matched": comparison}]
    page = Page("p", list(separation_sections({"families": families}, ["interest"])))
    for title, figure in (("Signal efficiency", "signal"), ("Significance improvement", "sic")):
        row = next(row for row in rows(charts(page)[title]) if row["score"] == "interest")
        assert [row["value"], row["lower"], row["upper"]] == list(point[figure].values())  # type: ignore[attr-defined]
        assert (row["trained"], row["target"], row["above"]) == ("no", 0.01, 12)
    text = render(page)
    assert "0.500 ±0.112" in text
    assert "x&lt;b&gt;" in text
    assert "<b>" not in text.replace("<body>", "")


def test_the_time_of_a_resumed_training_is_called_so(metrics: dict[str, Any]) -> None:
    assert "since it was resumed" not in render(training_page(metrics))
    assert " s since it was resumed" in render(training_page({**metrics, "resumed": True}))


def test_a_test_without_signals_or_background_says_so(metrics: dict[str, Any]) -> None:
    page = training_page({**metrics, "families": [], "distributions": []})
    assert "The test has no signal events." in render(page)
    empty = {**metrics["diagnosis"], "reliability": [], "importance": None}
    text = render(training_page({**metrics, "diagnosis": empty}))
    assert text.count("The test has too few events of the classes that were trained on.") == 2


def test_what_is_not_known_is_left_out(metrics: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(metrics))
    confusion, inputs = changed["diagnosis"]["confusion"], changed["diagnosis"]["importance"]["inputs"]
    confusion["shares"][1] = [None] * 4
    inputs[0] |= {"loss": {"value": 0.25, "error": None}, "auc": {"value": None, "error": None}}
    page = training_page(changed)
    cells = rows(charts(page)["True class against predicted class"])
    assert {row["true"] for row in cells} == {"qcd", "dijet", "dilepton"}
    bars = [row for row in rows(charts(page)["Importance"]) if row["input"] == inputs[0]["name"]]
    assert [(row["figure"], row["lower"], row["upper"]) for row in bars] == [("loss", 0.25, 0.25)]
    assert ">+0.2500</td>" in render(page)
    changed["diagnosis"]["importance"]["auc"] = None
    assert "too few events of the classes" in render(training_page(changed))


def test_older_metrics_are_shown_without_what_they_lack(metrics: dict[str, Any]) -> None:
    then = ("model", "model_hash", "parameters", "events", "best_epoch", "families", "seconds")
    older = {key: metrics[key] for key in then}
    older["epochs"] = [{key: epoch[key] for key in ("training_loss", "validation_loss")} for epoch in metrics["epochs"]]
    page = training_page(older)
    assert {"Loss by epoch", "ROC curve of a family"} <= set(charts(page))
    lacking = {"Learning rate", "Distribution of the score", "Reliability", "Importance"}
    assert lacking & set(charts(page)) == set()
    assert render(page).count("an older hepfilter wrote them") == 6


def test_an_evaluation_has_the_same_sections(evaluation: Evaluation, tmp_path: Path) -> None:
    results = json.loads(json.dumps(plain_data(evaluation)))
    page = evaluation_page(results)
    assert [section.anchor for section in page.sections] == ["roc", "sic", "efficiency", "scores", "calibration"]
    assert "The model is not calibrated" in render(page)
    checks = (check_calibration("interest", np.random.default_rng(1).random(5_000) ** 2, np.ones(5_000)),)
    calibrated = replace(evaluation, calibration=checks, calibrated_on=("s.root",))
    page = evaluation_page(json.loads(json.dumps(plain_data(calibrated))))
    found = {row["p"]: row["ratio"] for row in rows(charts(page)["Calibration of the p-values"]) if "p" in row}
    assert found[0.1] == pytest.approx(10 * np.sqrt(0.1), rel=0.05)
    assert "s.root: the model was calibrated with it; its p-values are checked by halves" in render(page)
    unchecked = replace(evaluation, calibration=(), calibrated_on=("s.root",))
    page = evaluation_page(json.loads(json.dumps(plain_data(unchecked))))
    assert "too little background to check it" in render(page)


def test_what_is_no_metrics_is_refused_in_one_line(metrics: dict[str, Any], tmp_path: Path) -> None:
    damaged = {**metrics, "epochs": [{"training_loss": 1.0}]}
    for data in (damaged, {"families": []}, {**metrics, "families": [{"family": 3}]}, {**metrics, "epochs": 3}):
        with pytest.raises(ConfigError, match=r"m\.json: not metrics of .* \(.*\); make them again"):
            write_training_report(data, tmp_path / "p.html", source="m.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"x\.json: is neither metrics of"):
        load_metrics(tmp_path / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_what_a_path_means(tmp_path: Path) -> None:
    assert metrics_file(tmp_path) is None
    assert metrics_file(tmp_path / "skim.root") is None
    with pytest.raises(ConfigError, match=r"m\.metrics\.json: is not there"):
        metrics_file(tmp_path / "m.safetensors")
    (tmp_path / "m.metrics.json").touch()
    assert metrics_file(tmp_path) == metrics_file(tmp_path / "m.safetensors") == tmp_path / "m.metrics.json"
    (tmp_path / "n.metrics.json").touch()
    with pytest.raises(ConfigError, match=r"several models \(m\.metrics\.json, n\.metrics\.json\)"):
        metrics_file(tmp_path)
    (tmp_path / "results.json").touch()
    assert metrics_file(tmp_path) == tmp_path / "results.json"


def test_in_a_browser(browser: Browser, metrics: dict[str, Any], tmp_path: Path) -> None:
    write_training_report(metrics, tmp_path / "p.html")
    assert (tmp_path / "p.html").stat().st_size < 5e6
    with open_page(browser, tmp_path / "p.html", width=NARROW, scheme="dark") as opened:
        opened.scroll_through()
        legend = opened.page.locator("#confusion .role-legend-label").all_text_contents()
        assert any("signal and background mixed up" in text for text in legend)
        roc = opened.page.locator("#roc .chart")
        before = roc.locator("svg").inner_html()
        roc.locator("select").last.select_option("dilepton")
        assert opened.settles(lambda: roc.locator("svg").inner_html() != before)
        scores = metrics["families"][1]["physical"]["by_score"]
        n_points = sum(len(scores[score]["roc"]["signal"]) for score in ("interest", "ht"))
        marks = roc.locator(".mark-symbol.role-mark path")
        assert opened.settles(lambda: marks.count() == n_points)  # of the chosen family alone
        reliability = opened.page.locator("#calibration .chart")
        before = reliability.locator("svg").inner_html()
        reliability.locator("select").press("ArrowDown")
        assert opened.settles(lambda: reliability.locator("svg").inner_html() != before)
        assert (opened.complaints, opened.requests, opened.overflow()) == ([], [], 0)
