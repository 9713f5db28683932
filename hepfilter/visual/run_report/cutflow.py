"""What came in and what is left: cutflows."""

from collections.abc import Sequence

from hepfilter.skim.report import CutflowStep
from hepfilter.skim.reporting.containers import SkimStory
from hepfilter.visual.page import Block, Cell, Section, Table, Text, Value
from hepfilter.visual.run_report.numbers import share_of


def cutflow_section(story: SkimStory) -> Section:
    """Events and weights after each cut, of all inputs and of each dataset."""
    if not story.cutflow:
        where = "The cutflow stands in the first output of the skim, which is not here."
        return Section("Cutflow", "cutflow", [Text(where, warning=True)])
    content: list[Block] = [_table(story.cutflow, "all inputs")]
    if len(story.cutflows) > 1:
        content.append(_by_dataset(story))
    return Section("Cutflow", "cutflow", content)


def _table(flow: Sequence[CutflowStep], caption: str) -> Table:
    """A row a step."""
    weighted = any(step.weight is not None for step in flow)
    columns = ["cut", "events", "of all", "of the step before", *(["sum of weights", "of all"] if weighted else [])]
    rows: list[list[Value]] = []
    for number, step in enumerate(flow):
        before = flow[max(number - 1, 0)]
        row: list[Value] = [step.name, step.events, share_of(step.events, flow[0].events, bar=True)]
        row.append(share_of(step.events, before.events) if number else Cell("–"))
        if weighted:
            total = flow[0].weight or 0.0
            row += [_weight(step.weight), Cell("–") if step.weight is None else share_of(step.weight, total)]
        rows.append(row)
    return Table(columns, rows, caption=caption)


def _by_dataset(story: SkimStory) -> Table:
    """A row a dataset: what is left after each cut."""
    steps = [step.name for step in story.cutflow]
    rows: list[list[Value]] = []
    for name, flow in story.cutflows.items():
        events = {step.name: step.events for step in flow}
        last = flow[-1]
        rows.append(
            [name, *(events.get(step) for step in steps), share_of(last.events, flow[0].events), _weight(last.weight)]
        )
    return Table(["dataset", *steps, "kept", "weight kept"], rows, caption="events by dataset", sortable=True)


def _weight(weight: float | None) -> Value:
    return None if weight is None else Cell(f"{weight:.6g}", weight)
