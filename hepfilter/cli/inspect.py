"""`hepfilter inspect`: what is in a file and what can be done with it."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import MODELS
from hepfilter.cli.options import Schema
from hepfilter.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hepfilter.models.metadata import ModelMetadata
    from hepfilter.skim.inspection import Inspection, ModelFit


def inspect(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="ROOT files: paths, globs, folders, @list.txt, file.root:tree.")
    ],
    schema: Schema = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=MODELS, help="A model that ships, or a checkpoint file; all that ship if not given."
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--events", "-n", min=0, help="How many events to look at, from the first.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show the trees of each file, the schema that fits, the objects per event, and which models can score it.

    Example: hepfilter inspect data.root
    """
    from hepfilter.io.sources import expand_sources
    from hepfilter.models.metadata import pretrained_models, read_metadata
    from hepfilter.skim.inspection import inspect_file

    models = [read_metadata(name) for name in model or pretrained_models()]
    findings = []
    for source in expand_sources(inputs):
        found = inspect_file(source, schema=schema, sample=sample)
        findings.append((found, [_fit(found, known) for known in models]))
    if as_json:
        print(json.dumps([dataclasses.asdict(found) | {"models": _plain(fits)} for found, fits in findings], indent=2))
        return
    from hepfilter.cli.terminal import stdout

    for found, fits in findings:
        _print_inspection(found, fits, stdout())


def print_report(found: "Inspection", console: "Console") -> None:
    """What was found, and what the models that ship make of it."""
    from hepfilter.models.metadata import pretrained_models, read_metadata

    fits = [_fit(found, read_metadata(name)) for name in pretrained_models()]
    _print_inspection(found, fits, console)


def _fit(found: "Inspection", model: "ModelMetadata") -> "ModelFit":
    """What a model makes of a file, what it says of every event, and whether it is calibrated."""
    from hepfilter.scoring.calibration import model_calibration, score_names
    from hepfilter.skim.inspection import fit_model

    calibration, used = model_calibration(model), tuple(model.definition.graph.collections)
    known = None if calibration is None else calibration.hash
    return fit_model(found, model.name, used, scores=score_names(model), calibration=known)


def _plain(fits: "list[ModelFit]") -> list[dict[str, object]]:
    return [dataclasses.asdict(fit) for fit in fits]


def _print_inspection(found: "Inspection", fits: "list[ModelFit]", console: "Console") -> None:
    """One file: trees, then either the reason why its events cannot be read, or schema, collections and models."""
    from rich.table import Table
    from rich.text import Text

    trees = Table(title=Text(found.path), title_justify="left")
    for title in ("tree", "kind"):
        trees.add_column(title)
    for title in ("entries", "branches, fields"):
        trees.add_column(title, justify="right")
    for tree in found.trees:
        trees.add_row(Text(tree.name), tree.kind, _number(tree.entries), _number(tree.branches))
    console.print(trees if found.trees else f"{found.path}: no trees", markup=False)
    if found.reason is not None:
        console.print(f"events: cannot be read: {found.reason}\n", markup=False)
        return
    events = counted(found.entries, "event")
    console.print(f"schema: {found.schema} – {found.title}; tree {found.tree}, {events}", markup=False)
    console.print(f"identity: {', '.join(found.identity) if found.identity else 'file name and entry'}", markup=False)
    console.print(f"weight: {found.weight or 'none'}; books: {', '.join(found.bookkeeping) or 'none'}", markup=False)
    _print_collections(found, console)
    for problem, count in sorted(found.problems.items()):
        console.print(f"treated by rule: {problem}: {count:,}", markup=False)
    for warning in found.warnings:
        console.print(f"note: {warning}", markup=False)
    for fit in fits:
        known = "not calibrated" if fit.calibration is None else f"calibration {fit.calibration[:12]}"
        console.print(f"model {fit.model}: {_verdict(fit)}; gives {', '.join(fit.scores)}; {known}", markup=False)
    console.print()


def _print_collections(found: "Inspection", console: "Console") -> None:
    """Every collection, whether it was found, where, and how many objects an event has."""
    from rich.table import Table
    from rich.text import Text

    looked_at = counted(found.events_read, "event")
    table = Table(title=f"objects per event, mean of the first {looked_at}", title_justify="left")
    table.add_column("collection")
    for title in ("in the file", "after cleaning"):
        table.add_column(title, justify="right")
    table.add_column("branches", overflow="fold")
    for collection in found.collections:
        means = ("–" if mean is None else f"{mean:.2f}" for mean in (collection.in_file, collection.in_record))
        lacking = f" (without {', '.join(collection.missing)})" if collection.missing else ""
        table.add_row(collection.name, *means, Text(_shorten(collection.branches) + lacking))
    for name in found.absent:
        table.add_row(name, "absent", "–", "")
    console.print(table, markup=False)


def _shorten(branches: "Sequence[str]") -> str:
    """The branches in one line; where one lies in the object of the one before (``Jet.PT, .Eta``), that is left out."""
    words, last = [], ""
    for branch in branches:
        cut = max(branch.rfind("."), branch.rfind(":"))
        words.append(branch[cut:] if cut > 0 and branch[:cut] == last else branch)
        last = branch[: max(cut, 0)]
    return ", ".join(words)


def _verdict(fit: "ModelFit") -> str:
    """What the model can do with the file."""
    if not fit.can_score:
        return f"cannot score: the file has none of {', '.join(fit.used)}"
    return (
        f"can score; empty in every event: {', '.join(fit.empty)}" if fit.empty else "can score; all it uses is there"
    )


def _number(value: int | None) -> str:
    return "not readable" if value is None else f"{value:,}"
