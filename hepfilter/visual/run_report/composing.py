"""The page of a run, from what was collected of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hepfilter.io.publishing import write_whole
from hepfilter.io.sources import Source
from hepfilter.skim.report import SkimReport
from hepfilter.skim.reporting.collecting import collect_report
from hepfilter.skim.reporting.containers import RunReport, SkimStory
from hepfilter.visual.page import Page, Section, render
from hepfilter.visual.run_report.books import input_section, overview_section, provenance_section, throughput_section
from hepfilter.visual.run_report.cutflow import cutflow_section
from hepfilter.visual.run_report.displays import Displays, make_displays
from hepfilter.visual.run_report.drift import drift_section
from hepfilter.visual.run_report.explorer import SCRIPT, explorer_section
from hepfilter.visual.run_report.rates import rates_section
from hepfilter.visual.run_report.scores import scores_section
from hepfilter.visual.run_report.selection import sculpting_section, top_section, turn_on_section

Progress = Callable[[str, int, int], None]


def report_run(
    outputs: Sequence[Source],
    path: Path,
    *,
    run: SkimReport | None = None,
    signals: Mapping[str, Sequence[Source]] | None = None,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> None:
    """Write the page of the skims that wrote `outputs` to `path`, which is replaced; the rest as `collect_report`.

    OutputError if the page cannot be written.
    """
    report = collect_report(outputs, run=run, signals=signals, device=device, progress=progress)
    displays = make_displays(report, device=device)
    write_whole(path, render(run_page(report, displays)).encode())


def run_page(report: RunReport, displays: Displays) -> Page:
    """The page: of skims of one recipe a section each for what there is to tell, of several one for each recipe."""
    if len(report.stories) == 1:
        middle = _sections(report.stories[0], report, displays)
    else:
        middle = [
            Section(f"Skim {number}", f"skim-{number}", parts=_apart(_sections(story, report, displays), number))
            for number, story in enumerate(report.stories, 1)
        ]
    sections = [overview_section(report), *middle, input_section(report), throughput_section(report.run)]
    first = report.outputs[0].path
    title = Path(first).name if len(report.outputs) == 1 else f"{Path(first).name} and {len(report.outputs) - 1} more"
    where = first if first != title else ""
    return Page(f"Run report: {title}", [*sections, provenance_section(report)], subtitle=where, scripts=(SCRIPT,))


def _sections(story: SkimStory, report: RunReport, displays: Displays) -> list[Section]:
    """What is told of skims of one recipe."""
    part = story.parts[0]
    sections = [cutflow_section(story), rates_section(story, None if report.run is None else report.run.predicted)]
    if part.recipe.needs_scores:
        sections += [scores_section(story), explorer_section(story)]
    if part.menu is not None:
        sections.append(turn_on_section(story))
    if part.recipe.needs_scores or story.sculpted:
        sections.append(sculpting_section(story))
    sections.append(drift_section(story))
    return [*sections, top_section(story, displays)] if part.recipe.needs_scores else sections


def _apart(sections: list[Section], number: int) -> list[Section]:
    """With anchors of their own."""
    return [Section(one.title, f"{one.anchor}-{number}", one.content, one.parts) for one in sections]
