"""Sections of pages: what the scores of a model make of signals and background, from the plain data of metrics."""

from collections.abc import Iterator, Sequence

from hepfilter.visual import separation_charts as charts
from hepfilter.visual.diagnosis_sections import OLDER, Metrics
from hepfilter.visual.page import Block, Cell, Chart, Folded, Section, Table, Text
from hepfilter.wording import MEASURE_NAMES, calibrated_with


def separation_sections(metrics: Metrics, heads: Sequence[str]) -> Iterator[Section]:
    """ROC, significance improvement, efficiencies and distributions; nothing without signals."""
    families = metrics["families"]
    if not families:
        yield Section("Signal and background", "roc", [Text("The test has no signal events.", warning=True)])
        return
    yield Section("ROC", "roc", [_roc(families, heads)])
    yield Section("Significance improvement", "sic", list(_points(families, heads, "sic")))
    tables = list(_tables(families, heads))
    summary = [_summary(metrics["summaries"])] if metrics.get("summaries") else []
    signal = [*_points(families, heads, "signal"), *tables[:1], *summary, *tables[1:]]
    yield Section("Efficiency at fixed background", "efficiency", signal)
    if distributions := metrics.get("distributions"):
        told = (
            "The share of events in equal bins, background filled (in the physical mix), the chosen family as a line; "
            "the outermost bins hold what lies beyond."
        )
        shown: Block = Chart(charts.distributions_chart(distributions), "Distribution of the score", told)
    else:
        shown = Text(OLDER)
    yield Section("Scores", "scores", [shown])


def _roc(families: Sequence[Metrics], heads: Sequence[str]) -> Chart:
    told = (
        "Signal efficiency against background efficiency, only where at least 10 background events pass. In the "
        "physical mix background events count by their generator weights; hardness-matched, they have the signal's own "
        f"spectrum of hardness. The chosen family in colour, {charts.BASELINE} dashed; the others in grey."
    )
    return Chart(charts.roc_chart(families, heads), "ROC curve of a family", told)


def _points(families: Sequence[Metrics], heads: Sequence[str], figure: charts.Figure) -> Iterator[Block]:
    """Efficiencies or significance improvements at the background efficiencies that there are."""
    targets = _targets(families, [*heads, charts.BASELINE])
    if not targets:
        yield Text("Fewer than 10 background events lie above any threshold: the test is too small.", warning=True)
        return
    if figure == "sic":
        title = "Significance improvement"
        told = "Signal efficiency over the square root of the background efficiency: more than 1 is a gain."
    else:
        title, told = "Signal efficiency", "The share of signal above the threshold that lets this background pass."
    told += (
        " Bars: 68 % intervals. Hollow: not trained on. Families without a point have too few background events above."
    )
    yield Chart(charts.points_chart(families, heads, targets, figure), title, told)


def _targets(
    families: Sequence[Metrics], scores: Sequence[str], measures: Sequence[str] = tuple(MEASURE_NAMES)
) -> list[float]:
    """The background efficiencies at which any family has a working point, the largest first."""
    found = {
        float(target)
        for family in families
        for measure in measures
        for score in scores
        for target, point in family[measure]["by_score"][score]["working_points"].items()
        if point is not None
    }
    return sorted(found, reverse=True)


def _tables(families: Sequence[Metrics], heads: Sequence[str]) -> Iterator[Block]:
    """The numbers of each score, by family; those of all but the first are folded."""
    for number, head in enumerate(heads):
        measures = {measure: _targets(families, [head], [measure]) for measure in MEASURE_NAMES}
        columns = ["family", "trained on", "events"]
        for measure, targets in measures.items():
            before = "" if measure == "physical" else "matched "
            columns += [f"{before}{name}" for name in ("AUC", *(f"at {target:g}" for target in targets))]
        rows = [
            [
                family["family"],
                "yes" if family["seen"] else "no",
                family["physical"]["by_score"][head]["n_signal"],
                *(
                    cell
                    for measure, targets in measures.items()
                    for cell in _cells(family[measure]["by_score"][head], targets)
                ),
            ]
            for family in families
        ]
        caption = (
            f"{head}: AUC and signal efficiency at fixed background efficiency, ± half the 68 % interval; in the "
            "physical mix, and hardness-matched"
        )
        table = Table(columns, rows, caption, sortable=True)
        yield table if number == 0 else Folded(f"The same for {head}", [table])


def _cells(found: Metrics, targets: Sequence[float]) -> list[Cell | None]:
    """AUC and efficiencies; None where nothing is known."""
    auc = found["auc"]
    cells = [None if auc is None else Cell(f"{auc:.3f}", auc)]
    for target in targets:
        point = found["working_points"].get(str(target))
        signal = None if point is None else point["signal"]
        if signal is None or signal["value"] is None:
            cells.append(None)
        else:
            text = f"{signal['value']:.3f} ±{(signal['upper'] - signal['lower']) / 2:.3f}"
            cells.append(Cell(text, signal["value"], signal["value"]))
    return cells


def _summary(summaries: Sequence[Metrics]) -> Folded:
    """Mean, median and worst over families."""
    columns = ["score", "trained on", "background", "at", "mean", "median", "worst", "worst family", "families"]
    rows = [
        [
            one["score"],
            "yes" if one["seen"] else "no",
            one["measure"],
            Cell(f"{one['target']:g}", one["target"]),
            *(Cell(f"{one[name]:.3f}", one[name]) for name in ("mean", "median", "worst")),
            one["worst_family"],
            one["n_families"],
        ]
        for one in summaries
    ]
    return Folded("Mean, median and worst over families", [Table(columns, rows, sortable=True)])


def pvalue_blocks(results: Metrics) -> Iterator[Block]:
    """Whether the p-values of a calibrated model hold."""
    checks = results["calibration"]
    if results["calibrated_on"]:
        yield Text(calibrated_with(results["calibrated_on"][0], checked=bool(checks)) + ".", warning=not checks)
    if not checks:
        return
    told = "The share of background with at most this p-value over the p-value, with its 68 % interval: 1 is right."
    yield Chart(charts.pvalues_chart(checks), "Calibration of the p-values", told)
    columns = ["score", "effective events", "largest distance", "95 % of calibrated samples stay below"]
    rows = [[one["head"], one["n_effective"], one["distance"], one["expected_95"]] for one in checks]
    yield Table(columns, rows, "Kolmogorov–Smirnov distance of the p-values from uniform ones")
