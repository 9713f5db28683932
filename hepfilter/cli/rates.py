"""`hepfilter rates show | lock | diff`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepfilter.cli.completion import MENUS, MODELS, SCHEMAS, complete_words
from hepfilter.cli.options import Device
from hepfilter.cli.panels import add_command

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.rates import RatesReport
    from hepfilter.skim.recipe import Recipe
    from hepfilter.work.execution import Execution

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What a trigger menu takes of a sample.")
_command = partial(add_command, app)

Menu = Annotated[
    str,
    typer.Argument(metavar="MENU", autocompletion=MENUS, help="A menu that ships, a YAML file, or a lock."),
]
Files = Annotated[
    list[str], typer.Argument(metavar="FILE…", help="ROOT files: paths, globs, folders, @list.txt, catalogue.yaml.")
]
Scores = Annotated[
    Path | None,
    typer.Option(metavar="S.parquet", help="Scores that `hepfilter score` wrote, in place of running the model."),
]
Model = Annotated[str | None, typer.Option(autocompletion=MODELS, help="A model in the place of the menu's.")]
Where = Annotated[str | None, typer.Option(help="Only events that pass this selection expression.")]
LumiMask = Annotated[Path | None, typer.Option(help="A certification (golden) JSON.")]
Schema = Annotated[str | None, typer.Option(autocompletion=SCHEMAS, help="A schema that ships, or a YAML file.")]
Unblind = Annotated[bool, typer.Option("--unblind", help="Show what the menu blinds.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that work; one a core if not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@_command
def show(
    menu: Menu,
    files: Files,
    scores: Scores = None,
    model: Model = None,
    where: Where = None,
    lumi_mask: LumiMask = None,
    schema: Schema = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="run|section",
            autocompletion=complete_words("run", "section"),
            help="Rates by run or luminosity section.",
        ),
    ] = None,
    unblind: Unblind = False,
    device: Device = "auto",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Show the rate of each path: raw, after its prescale, alone and shared, with intervals and overlaps.

    Example: hepfilter rates show discovery data.root
    """
    from hepfilter.cli.rate_tables import print_course, print_overlaps, print_rates
    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.errors import UsageError
    from hepfilter.skim.rates import show_rates

    if by not in (None, "run", "section"):
        raise UsageError(f"--by {by}: known are run and section")
    recipe = _recipe(menu, scores, model, where=where, lumi_mask=lumi_mask, schema=schema)
    with event_progress() as progress:
        report = show_rates(
            files, recipe, device=device, execution=_execution(workers), unblind=unblind, progress=progress
        )
    if as_json:
        _print_json(_plain(report))
        return
    console = stdout()
    print_rates(report.rates, report.resolution, console)
    if len(report.rates.paths) > 1:
        print_overlaps(report.rates, console)
    if by is not None:
        blocks = report.rates.runs if by == "run" else report.rates.sections
        print_course(blocks, report.rates, console, what=by)
    _print_notes(report, console)


@_command
def lock(
    menu: Menu,
    files: Files,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="M.lock", help="The lock to write.")],
    scores: Scores = None,
    model: Model = None,
    where: Where = None,
    lumi_mask: LumiMask = None,
    schema: Schema = None,
    future: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Predict for N events; as many as here if not given.")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a lock that exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Freeze a menu: tune its thresholds on a sample, and write them with the hashes of all that they depend on.

    Example: hepfilter rates lock discovery data.root -o discovery.lock
    """
    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.skim.rates import lock_menu

    recipe = _recipe(menu, scores, model, where=where, lumi_mask=lumi_mask, schema=schema)
    with event_progress() as progress:
        report = lock_menu(
            files,
            recipe,
            output,
            future=future,
            device=device,
            execution=_execution(workers),
            force=force,
            progress=progress,
        )
    if as_json:
        _print_json(_plain(report))
        return
    print_report(report, stdout())
    stdout().print(f"{output}: menu {report.trigger.menu.name} ({report.trigger.menu_hash[:12]})", markup=False)


@_command
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", autocompletion=MENUS, help="A lock or a menu.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", autocompletion=MENUS, help="Another one.")],
    files: Files,
    scores: Scores = None,
    where: Where = None,
    lumi_mask: LumiMask = None,
    schema: Schema = None,
    max_change: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Exit with 4 if more of a path's events (5%, 0.05) are lost or gained."),
    ] = None,
    unblind: Unblind = False,
    device: Device = "auto",
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Compare two menus on the same events: for each path the events that are lost and gained, before prescales.

    Example: hepfilter rates diff old.lock new.lock data.root --max-change 5%
    """
    from hepfilter.cli.rate_tables import print_difference
    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.errors import TriggerError
    from hepfilter.skim.rates import compare_menus
    from hepfilter.trigger.selection import parse_fraction

    limit = None if max_change is None else float(parse_fraction(max_change, option="--max-change"))
    old, new = (_recipe(m, scores, None, where=where, lumi_mask=lumi_mask, schema=schema) for m in (before, after))
    with event_progress() as progress:
        found = compare_menus(
            files, old, new, device=device, execution=_execution(workers), unblind=unblind, progress=progress
        )
    if as_json:
        paths = [{**vars(each), "change": each.change} for each in found.changes]
        _print_json({"events": found.events, "paths": paths, "blinded": found.blinded})
    else:
        print_difference(found, stdout())
    beyond = () if limit is None else found.beyond(limit)
    if beyond:
        raise TriggerError(f"changed by more than {max_change}: {', '.join(each.path for each in beyond)}")


def _execution(workers: int | None) -> "Execution":
    from hepfilter.work.execution import parse_execution

    return parse_execution(workers=workers)


def _recipe(
    menu: str,
    scores: Path | None,
    model: str | None,
    *,
    where: str | None,
    lumi_mask: Path | None,
    schema: str | None,
) -> "Recipe":
    from hepfilter.skim.recipe import Recipe
    from hepfilter.trigger.lock import read_trigger

    trigger = read_trigger(menu)
    return Recipe(
        where=where,
        trigger=trigger,
        model=model or "",
        scores=None if scores is None or not trigger.menu.scores else str(scores),
        lumi_mask=None if lumi_mask is None else str(lumi_mask),
        schema=schema,
    )


def print_report(report: "RatesReport", console: "Console") -> None:
    """Rates and thresholds."""
    from hepfilter.cli.rate_tables import print_rates

    print_rates(report.rates, report.resolution, console)
    _print_notes(report, console)


def _print_notes(report: "RatesReport", console: "Console") -> None:
    """The thresholds of the paths that are not blind, warnings and drifts."""
    from hepfilter.trigger.events import told_threshold

    thresholds = report.trigger.thresholds or {}
    for name, path in report.trigger.menu.paths.items():
        if name in thresholds and not path.blind and path.column is not None:
            console.print(f"{name}: {told_threshold(path.column, thresholds[name])}", markup=False, highlight=False)
    for note in (*report.warnings, *(window.note for window in report.windows if window.note)):
        console.print(f"note: {note}", markup=False)


def _plain(report: "RatesReport") -> dict[str, Any]:
    """The report as plain data."""
    return {
        "model": report.model,
        "trigger": report.trigger.plain(),
        "rates": report.rates,
        "resolution": report.resolution,
        "drift": report.windows,
        "warnings": report.warnings,
    }


def _print_json(data: Any) -> None:
    """As JSON; what is not known is null."""
    import json

    from hepfilter.cli.terminal import plain_data

    print(json.dumps(plain_data(data), indent=2))
