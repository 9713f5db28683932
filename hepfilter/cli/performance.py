"""The tables that say how well scores find signals; for `hepfilter train` and `hepfilter evaluate`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

    from hepfilter.evaluation.families import Comparison, FamilyResult, Summary
    from hepfilter.statistics.intervals import Efficiency

NOTHING = "–"


def make_table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> "Table":
    """The first column to the left, all others to the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def print_table(console: "Console", table: "Table", *, keys: int = 1) -> None:
    """A table; where it is wider than the terminal, in parts below one another, each with the first `keys` columns."""
    from rich.cells import cell_len
    from rich.table import Table

    def width(columns: "Sequence[Column]") -> int:
        texts = ([str(column.header), *map(str, column.cells)] for column in columns)
        longest = (max(cell_len(line) for text in cells for line in text.split("\n")) for cells in texts)
        return sum(longest) + 3 * len(columns) + 1

    if width(table.columns) <= console.width:
        console.print(table)
        return
    first, parts = table.columns[:keys], [table.columns[keys : keys + 1]]
    for column in table.columns[keys + 1 :]:
        if width([*first, *parts[-1], column]) <= console.width:
            parts[-1].append(column)
        else:
            parts.append([column])
    for number, part in enumerate(parts):
        shown = Table(title=None if number else table.title, title_justify="left")
        for column in (*first, *part):
            shown.add_column(column.header, justify=column.justify)
        for row in zip(*(column.cells for column in (*first, *part)), strict=True):
            shown.add_row(*row)
        console.print(shown)


def print_families(console: "Console", families: "Sequence[FamilyResult]", scores: Sequence[str]) -> None:
    """A table for each score: AUC and signal efficiency at fixed background by family, in both measures."""
    for score in scores:
        targets = list(families[0].physical.by_score[score].working_points) if families else []
        half = ["AUC", *(f"at {target:g}" for target in targets)]
        columns = ["family", "trained on", "events", *half, "in reach", *(f"matched\n{name}" for name in half)]
        rows = [
            [
                result.family,
                "yes" if result.seen else "no",
                str(result.physical.by_score[score].n_signal),
                *_cells(result.physical, score),
                f"{result.matched.coverage:.0%}",
                *_cells(result.matched, score),
            ]
            for result in families
        ]
        title = f"{score}: signal efficiency at fixed background efficiency, in the physical mix and hardness-matched"
        print_table(console, make_table(title, columns, rows))
    console.print(
        f"{NOTHING} where fewer than 10 (effective) background events lie above; ± half the 68 % interval; "
        "in reach: share of the signal with background as hard"
    )


def print_summaries(console: "Console", summaries: "Sequence[Summary]") -> None:
    """Mean, median and worst family of every score, seen and unseen apart."""
    by_row: dict[tuple[str, bool, str], dict[float, Summary]] = {}
    for summary in summaries:
        by_row.setdefault((summary.measure, summary.seen, summary.score), {})[summary.target] = summary
    targets = sorted({summary.target for summary in summaries}, reverse=True)
    rows = [
        [score, "yes" if seen else "no", measure, *(_summary_cell(found.get(target)) for target in targets)]
        for (measure, seen, score), found in by_row.items()
    ]
    columns = ["score", "trained on", "background", *(f"at {target:g}" for target in targets)]
    if rows:
        console.print(make_table("signal efficiency over families: mean / median / worst (families)", columns, rows))


def with_interval(share: "Efficiency") -> str:
    """``0.787 ±0.009``: the value and half its interval."""
    if share.n_effective == 0:
        return NOTHING
    return f"{share.value:.3f} ±{(share.upper - share.lower) / 2:.3f}"


def _cells(comparison: "Comparison", score: str) -> list[str]:
    """AUC and working points as text."""
    found = comparison.by_score[score]
    points = found.working_points.values()
    auc = NOTHING if found.auc != found.auc else f"{found.auc:.3f}"
    return [auc, *(NOTHING if point is None else with_interval(point.signal) for point in points)]


def _summary_cell(summary: "Summary | None") -> str:
    if summary is None:
        return NOTHING
    worst = f"{summary.worst:.3f} {summary.worst_family}"
    return f"{summary.mean:.3f} / {summary.median:.3f} / {worst} ({summary.n_families})"
