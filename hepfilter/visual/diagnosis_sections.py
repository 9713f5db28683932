"""Sections of pages: what a network does with the events of its classes, from the plain data of metrics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from hepfilter.visual import training_charts as charts
from hepfilter.visual.page import Block, Cell, Chart, Section, Table, Text

Metrics = Mapping[str, Any]
OLDER: Final = "These metrics do not have it: an older hepfilter wrote them. A new training writes it."
_TOO_FEW: Final = "The test has too few events of the classes that were trained on."
_MOST_MISTAKES: Final = 15


def diagnosis_sections(metrics: Metrics) -> Iterator[Section]:
    """Confusion, reliability of the class probabilities, and importance of the inputs."""
    yield Section("Confusion", "confusion", list(_confusion(metrics)))
    yield Section("Calibration of the class probabilities", "calibration", list(_reliability(metrics)))
    yield Section("Importance of the inputs", "importance", list(_importance(metrics)))


def _confusion(metrics: Metrics) -> Iterator[Block]:
    """Which class events are taken for."""
    diagnosis = metrics.get("diagnosis")
    if diagnosis is None:
        yield Text(OLDER)
        return
    confusion = diagnosis["confusion"]
    is_signal = {one["name"]: one["is_signal"] for one in metrics["classes"]}
    power = metrics["training"]["fit"]["weight_power"]
    yield Text(
        "Test events, each taken for the class of its largest probability, all classes being equally likely "
        "beforehand. Each row sums to 100 %; within a class events count by generator weight to the power "
        f"{power:g}, as in the fit."
    )
    right = [
        shares[confusion["predicted"].index(name)]
        for name, shares in zip(confusion["true"], confusion["shares"], strict=True)
        if name in confusion["predicted"] and shares[0] is not None
    ]
    if right:
        mean = sum(right) / len(right)
        yield Text(f"Right: {mean:.1%}, mean over classes; guessing gives {1 / len(confusion['predicted']):.1%}.")
    yield Chart(
        charts.confusion_chart(confusion, is_signal),
        "True class against predicted class",
        "The fuller the colour of a cell, the larger the share of the row's events; ideally all lie on the diagonal."
        + _unseen_note(confusion),
    )
    yield Chart(
        charts.taken_for_chart(confusion, is_signal),
        "What a class is taken for",
        "The largest shares of one row of the above." + _unseen_note(confusion),
    )
    yield _mistakes(confusion)


def _unseen_note(confusion: Metrics) -> str:
    return " *: not trained on." if set(confusion["true"]) - set(confusion["predicted"]) else ""


def _mistakes(confusion: Metrics) -> Table:
    """The largest shares off the diagonal."""
    found = [
        (share, true, predicted, n_events)
        for true, shares, n_events in zip(confusion["true"], confusion["shares"], confusion["n_events"], strict=True)
        for predicted, share in zip(confusion["predicted"], shares, strict=True)
        if share and true != predicted
    ]
    rows = [
        [true, predicted, Cell(f"{share:.1%}", share, share), n_events]
        for share, true, predicted, n_events in sorted(found, key=lambda one: -one[0])[:_MOST_MISTAKES]
    ]
    return Table(["truly", "taken for", "share", "events of the true class"], rows, "The most frequent mistakes", True)


def _reliability(metrics: Metrics) -> Iterator[Block]:
    """Whether the class probabilities hold."""
    classes = metrics.get("diagnosis", {}).get("reliability")
    if not classes:
        yield Text(OLDER if classes is None else _TOO_FEW)
        return
    told = (
        "Of the test events to which the network gives about this probability of a class, the share that is of it, "
        "with its 68 % interval; on the dashed line probabilities are what they promise. Events count as in the fit, "
        "where every class counts the same: in data, classes are not equally frequent, and probabilities are others."
    )
    yield Chart(charts.reliability_chart(classes), "Reliability", told)
    rows = [
        [
            one["name"],
            *(None if one[name] is None else Cell(f"{one[name]:.2%}", one[name]) for name in ("error", "by_chance")),
        ]
        for one in classes
    ]
    caption = "Expected calibration error: the mean distance from the line, and what chance alone gives"
    yield Table(["class", "error", "by chance"], rows, caption, sortable=True)
    told = (
        "Background p-values come from <code>hepfilter calibrate</code>; <code>hepfilter evaluate</code> checks them "
        "on other events."
    )
    yield Text(Markup(told))


def _importance(metrics: Metrics) -> Iterator[Block]:
    """What the network looks at."""
    diagnosis = metrics.get("diagnosis")
    study = None if diagnosis is None else diagnosis["importance"]
    if study is None or study["auc"] is None:
        yield Text(OLDER if diagnosis is None else _TOO_FEW)
        return
    told = (
        f"How much the cross-entropy of {study['n_events']:,} test events rises above {study['loss']:.4f}, or how much "
        f"the AUC of interest falls below {study['auc']:.4f}, when an input is shuffled or missing. Events count as in "
        f"the fit. Thin lines: standard error from {study['n_repeats']} repeats, each with other events."
    )
    yield Chart(charts.importance_chart(study["inputs"]), "Importance", told, _importance_table(study["inputs"]))
    yield Text(
        "Node features are shuffled among the nodes of one collection of all events, the collection itself among all "
        "nodes; edges and pair features are made of momenta shuffled among all nodes; collections are left out of the "
        "events. What two inputs tell alike, such as pt and energy, the network takes from the other: each alone then "
        "looks less important than both are."
    )


def _importance_table(inputs: Sequence[Metrics]) -> Table:
    """The numbers of the chart."""
    rows = [[one["name"], one["kind"], *(_change(one[figure]) for figure in ("loss", "auc"))] for one in inputs]
    return Table(["input", "kind", "rise of the loss", "fall of the AUC"], rows, sortable=True)


def _change(change: Metrics) -> Cell | None:
    """With its error, where that is known."""
    if change["value"] is None:
        return None
    error = "" if change["error"] is None else f" ±{change['error']:.4f}"
    return Cell(f"{change['value']:+.4f}{error}", change["value"])
