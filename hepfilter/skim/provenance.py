"""What every output says of itself: a JSON text with all that its content depends on, and the cutflow as histograms."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from hepfilter import __version__
from hepfilter.io.checksum import checksum
from hepfilter.io.output import SkimOutput
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport

PROVENANCE = "HepFilter_provenance"
CUTFLOW, WEIGHTED = "HepFilter_cutflow", "HepFilter_cutflow_weighted"
CUTFLOW_TITLES = {
    CUTFLOW: "events after each cut",
    WEIGHTED: "sum of weights after each cut; of events where there is no weight",
}
FORMAT = 1
_SCORING = ("torch", "torch-geometric", "awkward", "uproot")


def provenance(
    report: SkimReport, recipe: Recipe, number: int, *, command: Sequence[str], skipped: Sequence[str]
) -> dict[str, Any]:
    """The facts about output `number` as plain data; `facts` of the same inputs and recipe are the same."""
    packages = ("numpy", *_packages(recipe))
    facts: dict[str, Any] = {
        "format": FORMAT,
        "hepfilter": __version__,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "command": list(command),
        "recipe": recipe.facts(),
        "files": {path: checksum(path) for path in recipe.files},
        "datasets": dict(report.catalogue),
        "inputs": [asdict(file) for file in report.files],
        "outputs": [asdict(output) for output in report.outputs],
        "output": number,
        "not_copied": list(skipped),
        "warnings": list(report.warnings),
        "problems": dict(report.problems),
        "quarantined": [asdict(bad) for bad in report.bad],
    }
    if number == 0 and report.summary is not None:
        facts |= {"summary": report.summary.plain()}
    if recipe.trigger is not None:
        facts |= {"unblinded": report.unblinded}
    if recipe.needs_scores:
        facts |= {name: getattr(report, name) for name in ("model_hash", "device_class", "threshold", "ties_dropped")}
        facts |= {"scores": list(report.scores)}
        if report.calibration_hash is not None:
            facts |= {"calibration_hash": report.calibration_hash}
            facts |= {"extrapolated_below": dict(report.extrapolated_below)}
    return facts


def _packages(recipe: Recipe) -> tuple[str, ...]:
    """What scores came by."""
    if not recipe.needs_scores:
        return ()
    return _SCORING if recipe.scores is None else ("pyarrow",)


def write_provenance(
    out: SkimOutput, report: SkimReport, recipe: Recipe, number: int, *, command: Sequence[str], skipped: Sequence[str]
) -> None:
    """Write both into an output; of several that one skim made the first has the cutflow, so that they add up."""
    facts = provenance(report, recipe, number, command=command, skipped=skipped)
    out.write_string(PROVENANCE, json.dumps(facts))
    flow = report.cutflow()
    share = 1.0 if number == 0 else 0.0
    weighted = [(step.name, share * (step.events if step.weight is None else step.weight)) for step in flow]
    write_cutflows(out, [(step.name, share * step.events) for step in flow], weighted)


def write_cutflows(out: SkimOutput, events: Sequence[tuple[str, float]], weighted: Sequence[tuple[str, float]]) -> None:
    """Write (label, content) of the steps as histograms: events, and their sum of weights."""
    out.write_cutflow(CUTFLOW, CUTFLOW_TITLES[CUTFLOW], events)
    out.write_cutflow(WEIGHTED, CUTFLOW_TITLES[WEIGHTED], weighted)
