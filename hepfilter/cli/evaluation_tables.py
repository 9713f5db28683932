"""The tables of `hepfilter evaluate` that check a score: what it shapes, what it goes by, what it hangs on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepfilter.cli.performance import NOTHING, make_table, with_interval

if TYPE_CHECKING:
    from rich.table import Table

    from hepfilter.evaluation.calibration import CalibrationCheck
    from hepfilter.evaluation.injection import InjectionScan
    from hepfilter.evaluation.sculpting import ScoreCorrelation, Sculpting
    from hepfilter.evaluation.shifts import Shift


def sculpting_table(sculptings: "Sequence[Sculpting]") -> "Table":
    """The Jensen–Shannon divergence of each spectrum at each share, and that of a random selection."""
    from hepfilter.evaluation.sculpting import SHARES

    rows = []
    for sculpting in sculptings:
        by_share = {passing.share: passing for passing in sculpting.passing}
        cells = [
            f"{by_share[share].divergence:.4f} ({by_share[share].expected_95:.4f})" if share in by_share else NOTHING
            for share in SHARES
        ]
        rows.append([sculpting.score, sculpting.observable, *cells])
    columns = ["selected by", "spectrum of", *(f"{100 * share:g} % pass" for share in SHARES)]
    title = "sculpting of background: Jensen–Shannon divergence in bits (95 % of random selections stay below)"
    return make_table(title, columns, rows)


def correlation_table(correlations: "Sequence[ScoreCorrelation]") -> "Table":
    """Pearson, Spearman and distance correlation of each score with each observable, in both measures."""
    by_row: dict[tuple[str, str], list[str]] = {}
    observables = list(dict.fromkeys(found.observable for found in correlations))
    for found in correlations:
        values = found.correlation
        known = values.pearson == values.pearson
        cell = f"{values.pearson:+.2f} / {values.spearman:+.2f} / {values.distance:.2f}" if known else NOTHING
        by_row.setdefault((found.score, found.measure), []).append(cell)
    rows = [[score, measure, *cells] for (score, measure), cells in by_row.items()]
    title = "correlation on background: Pearson / Spearman / distance correlation"
    return make_table(title, ["score", "background", *observables], rows)


def injection_table(scans: "Sequence[InjectionScan]") -> "Table":
    """The median significance of each family for each number of injected events; a row of its own for none."""
    numbers = sorted({point.n_signal for scan in scans for point in scan.points if point.n_signal})
    rows, told = [], set()
    for scan in scans:
        if (scan.score, scan.share) not in told:
            told.add((scan.score, scan.share))
            without = scan.points[0].significance
            text = f"{without.mean:+.2f} ±{without.deviation:.2f}, largest {scan.largest_without:+.1f}"
            rows.append([scan.score, f"{100 * scan.share:g} %", f"nothing: {text}", *[""] * len(numbers)])
        by_number = {point.n_signal: point.significance for point in scan.points}
        cells = [f"{by_number[n].median:+.1f}" if n in by_number else NOTHING for n in numbers]
        rows.append([scan.score, f"{100 * scan.share:g} %", scan.family, *cells])
    title = (
        f"injection: median significance (σ) over {scans[0].n_draws} draws, N signal events among "
        f"{scans[0].n_background:,} of background"
    )
    return make_table(title, ["score", "top", "family", *(f"N = {n}" for n in numbers)], rows)


def shift_table(shifts: "Sequence[Shift]") -> "Table":
    """The efficiency above the nominal threshold and the change of AUC, for the tightest threshold that all have."""
    target = min(shifts[0].thresholds)
    families = [family.family for family in shifts[0].families]
    nominal = ["nominal", with_interval(shifts[0].nominal_background[target])]
    nominal += [f"{family.nominal[target].value:.3f} {family.nominal_auc:.3f}" for family in shifts[0].families]
    rows = [nominal]
    for shift in shifts:
        cells = [
            f"{family.shifted[target].value:.3f} {family.shifted_auc - family.nominal_auc:+.3f}"
            if family.shifted[target].n_effective
            else NOTHING
            for family in shift.families
        ]
        rows.append([shift.name, with_interval(shift.background[target]), *cells])
    title = (
        f"{shifts[0].score} under shifts: efficiency above the nominal threshold at {target:g} background, "
        "AUC and its change"
    )
    turned = list(zip(["shift", "background", *families], *rows, strict=True))
    return make_table(title, turned[0], turned[1:])


def calibration_table(checks: "Sequence[CalibrationCheck]") -> "Table":
    """What share of the background has at most each p-value."""
    nominal = [point.nominal for point in checks[0].points]
    rows = [
        [
            check.head,
            f"{check.distance:.4f} ({check.expected_95:.4f})",
            *(with_interval(p.observed) for p in check.points),
        ]
        for check in checks
    ]
    title = "calibration on this background: share with at most this p-value"
    return make_table(title, ["score", "distance (95 %)", *(f"p ≤ {value:g}" for value in nominal)], rows)
