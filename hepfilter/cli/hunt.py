"""`hepfilter hunt`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepfilter.cli.completion import complete_words
from hepfilter.cli.notices import print_notice
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.io.dijets import DijetSample
    from hepfilter.training.references import MassWindow, Method
    from hepfilter.training.weak import RegionExcess, WeakResult

_EXAMPLE = "--signal-region 3300 3700 --sidebands 2800 4300"


def hunt(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="ROOT files with fat jets.", show_default=False)],
    region: Annotated[
        tuple[float, float] | None,
        typer.Option("--signal-region", metavar="LOW HIGH", help="GeV; needed.", show_default=False),
    ] = None,
    sidebands: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOWER UPPER", help="Where the sidebands end, in GeV; needed.", show_default=False),
    ] = None,
    jets: Annotated[str, typer.Option(help="Collection of fat jets with pt, eta, phi, mass, tau1, tau2.")] = "AK10Jet",
    method: Annotated[
        str,
        typer.Option(
            autocompletion=complete_words("cwola", "template"),
            help="cwola: the sidebands as they are; template: moved into the region along their features.",
        ),
    ] = "cwola",
    folds: Annotated[int, typer.Option(min=2, max=100, help="No event is scored by trees that trained on it.")] = 5,
    members: Annotated[int, typer.Option(min=1, help="Boosted trees averaged for each fold; 50 are thorough.")] = 10,
    seed: Annotated[
        int, typer.Option("--seed", "-s", min=0, max=2**32 - 1, help="Same data and seed: same result.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Search data for a resonance of two fat jets, without a model of the signal.

    Trees learn to tell the signal region in the mass of the two hardest fat jets from its sidebands, by the jets'
    masses and τ21; the events that they pick are compared with what the sidebands make expect. All events count alike,
    as data do: generator weights are not used.

    Example: hepfilter hunt lhco.root --signal-region 3300 3700 --sidebands 2800 4300
    """
    import json

    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.errors import UsageError
    from hepfilter.io.dijets import read_dijets
    from hepfilter.io.sources import expand_sources

    try:
        from hepfilter.training.weak import WeakOptions, weak_search
    except ModuleNotFoundError as error:
        raise UsageError(f"hunt needs {error.name}, which is not installed: pip install 'hepfilter[train]'") from error
    window = _window(region, sidebands)
    options = WeakOptions(method=_method(method), folds=folds, members=members, seed=seed)
    with event_progress() as progress:
        sample = read_dijets(expand_sources(files), jets=jets, progress=progress)
        _tell_if_simulated(sample)
        result = weak_search(sample.events.features, sample.events.mass, window, options=options, progress=progress)
    if as_json:
        print(json.dumps(_as_data(result, sample), indent=2))
    else:
        print_report(result, stdout())


def _window(region: tuple[float, float] | None, sidebands: tuple[float, float] | None) -> "MassWindow":
    """The regions in mass; UsageError without both."""
    from hepfilter.errors import UsageError
    from hepfilter.training.references import MassWindow

    if region is None or sidebands is None:
        lacking = "--signal-region LOW HIGH" if region is None else "--sidebands LOWER UPPER"
        raise UsageError(f"hunt needs {lacking}, in GeV, as in: hepfilter hunt lhco.root {_EXAMPLE}")
    return MassWindow(low=region[0], high=region[1], lower=sidebands[0], upper=sidebands[1])


def _method(name: str) -> "Method":
    """The method of this name; UsageError if there is none."""
    from hepfilter.errors import UsageError, nearest
    from hepfilter.training.references import METHODS

    chosen = next((known for known in METHODS if known == name), None)
    if chosen is None:
        raise UsageError(f"no method {name!r}; methods: {', '.join(METHODS)}{nearest(name, METHODS)}")
    return chosen


def _tell_if_simulated(sample: "DijetSample") -> None:
    """On stderr, that weights and marks are not used; UsageError where events that count alike are no data."""
    if sample.is_simulated:
        sample.refuse_unequal_weights()
        marked = f"{int(sample.is_signal.sum()):,} of {counted(len(sample.weights), 'event')} are marked as signal"
        print_notice(f"simulated events, which count alike, without generator weights; {marked}")


def _as_data(result: "WeakResult", sample: "DijetSample") -> dict[str, Any]:
    """The result without the events, as JSON data; what is not known is null."""
    from dataclasses import asdict

    return {
        "events": len(result.scores),
        "simulated": sample.is_simulated,
        "weighted": False,
        "marked_as_signal": int(sample.is_signal.sum()),
        "in_signal_region": int(result.in_region.sum()),
        "in_sidebands": len(result.reference_shares),
        "merit": result.merit if result.merit == result.merit else None,
        "excesses": [asdict(found) for found in result.excesses],
    }


def print_report(result: "WeakResult", console: "Console") -> None:
    """One row for each selection."""
    from rich.table import Table

    table = Table(title="events of the signal region above threshold")
    for column in ("background kept", "observed", "expected", "excess", "p-value", "significance"):
        table.add_column(column)
    for found in result.excesses:
        table.add_row(*_cells(found))
    console.print(table)
    console.print(
        f"{counted(len(result.scores), 'event')}, {int(result.in_region.sum()):,} in the signal region, "
        f"{len(result.reference_shares):,} in the sidebands; – where fewer than 10 (effective) of these lie above"
    )


def _cells(found: "RegionExcess") -> list[str]:
    """A selection as text."""
    if found.excess is None:
        return [f"{found.selection:g}", "–", "–", "–", "–", "–"]
    excess = found.excess
    return [
        f"{found.selection:g}",
        f"{excess.observed:.0f}",
        f"{excess.expected:.1f}",
        f"{excess.excess:.1f} ± {excess.uncertainty:.1f}",
        f"{excess.p_value:.2g}",
        f"{excess.significance:.1f} σ",
    ]
