"""A report from its outputs: their provenance, and one pass over the events that they hold."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from hepfilter.errors import UsageError
from hepfilter.io.sources import Source
from hepfilter.skim.parts import Part
from hepfilter.skim.report import SkimReport, add_cutflows
from hepfilter.skim.reporting.containers import RunReport, SkimStory, TopEvent
from hepfilter.skim.reporting.outputs import ReadOutput, read_outputs, skims
from hepfilter.skim.reporting.references import find_references
from hepfilter.skim.reporting.scans import make_scans
from hepfilter.skim.reporting.shapes import sculpted
from hepfilter.skim.reporting.shown import ShownEvents, read_shown, shown_paths, unblinded
from hepfilter.skim.reporting.signals import score_signals
from hepfilter.skim.reporting.summing import add_summaries
from hepfilter.skim.reporting.turn_on import LEAST_EVENTS, turn_ons
from hepfilter.wording import counted

Progress = Callable[[str, int, int], None]
MOST_TOP: Final = 10
_NO_SCORE: Final = "no score decided, so that no event is more interesting than another"


def collect_report(
    outputs: Sequence[Source],
    *,
    run: SkimReport | None = None,
    signals: Mapping[str, Sequence[Source]] | None = None,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> RunReport:
    """What is told of the skims that wrote `outputs`, and of what they hold.

    Other parts of a split output are read too where they lie beside. `run` is what the run has just said of itself;
    `signals` are files by name that its model scores. SourceError if one is no output of a skim, or cannot be read.
    """
    found, missing = read_outputs(outputs)
    stories: dict[str, list[Part]] = {}
    for part in skims(found):
        stories.setdefault(_recipe_of(part), []).append(part)
    if signals and len(stories) > 1:
        raise UsageError("--signal: these outputs are of several models or menus; give those of one")
    shown = _read(found, progress)
    return RunReport(
        outputs=tuple(one.facts for one in found),
        missing=tuple(missing),
        stories=tuple(
            _story(parts, shown.get(key), found, signals or {}, device=device, progress=progress)
            for key, parts in stories.items()
        ),
        run=run,
    )


def _recipe_of(part: Part) -> str:
    """What is the same in skims that are told of together; not their thresholds, which they may have tuned."""
    menu = None if part.menu is None else part.menu.model_dump(mode="json")
    recipe = {name: value for name, value in part.facts["recipe"].items() if name not in ("trigger", "dataset_masks")}
    unit = None if part.summary is None else part.summary.unit
    return json.dumps([recipe, menu, part.model_hash, part.calibration_hash, unblinded(part), unit], sort_keys=True)


def _read(outputs: Sequence[ReadOutput], progress: Progress) -> dict[str, ShownEvents]:
    """The shown events of all outputs, by recipe; of an output that is not the skim's first, by that of its skim."""
    known = {part.skim: _recipe_of(part) for part in skims(outputs)}
    pieces: dict[str, list[ShownEvents]] = {}
    for number, output in enumerate(outputs):
        # without a score or a control stream nothing is compared with what was before
        objects = any(part.recipe.needs_scores or (part.menu and part.menu.control) for part in output.parts)
        for part, events in read_shown(output, number, objects=objects, progress=progress):
            pieces.setdefault(known[part.skim], []).append(events)
    return {key: ShownEvents.join(own) for key, own in pieces.items()}


def _story(
    parts: Sequence[Part],
    events: ShownEvents | None,
    outputs: Sequence[ReadOutput],
    signals: Mapping[str, Sequence[Source]],
    *,
    device: str,
    progress: Progress,
) -> SkimStory:
    summaries = [part.summary for part in parts if part.summary is not None]
    summary = add_summaries(summaries)
    books = [part for part in parts if part.has_books]
    files = [file for part in books for file in part.inputs]
    names = dict.fromkeys(file.dataset for file in files if file.dataset is not None)
    flows = {name: tuple(add_cutflows([f.cutflow for f in files if f.dataset == name])) for name in names}
    story = SkimStory(
        parts=tuple(parts),
        cutflow=tuple(add_cutflows([file.cutflow for file in files])),
        cutflows=flows,
        summary=summary,
        without_summary=len(parts) - len(summaries),
        rates=tuple(one.rates for one in summaries if one.rates is not None),
    )
    if summary is not None and summary.scores:
        scored = score_signals(signals, parts[0], device=device, progress=progress)
        references, why = find_references(parts[0], tuple(summary.scores))
        scans = make_scans(parts, summary, scored)
        story = replace(story, scans=scans, references=references, why_no_reference=why)
    elif signals:
        raise UsageError("--signal: no score decided here, so that there is no threshold to look at")
    return replace(story, **_of_events(parts, events, outputs, story))


def _of_events(
    parts: Sequence[Part], events: ShownEvents | None, outputs: Sequence[ReadOutput], story: SkimStory
) -> dict[str, Any]:
    """What the output's own events tell."""
    if events is None:
        return {}
    part, paths = parts[0], shown_paths(parts[0])
    curves = turn_ons(events, paths)
    n_control = int(events.control.sum())
    before: dict[str, Any] = {}
    for dataset in () if story.summary is None else story.summary.datasets:
        before = {k: before[k] + v if k in before else v for k, v in dataset.spectra.items()}
    shapes = sculpted(before, events, paths) if before else ()
    top = _top(events, outputs, paths)
    return {
        "turn_ons": curves,
        "why_no_turn_on": "" if curves else _why_no_turn_on(part, n_control),
        "n_control": n_control,
        "sculpted": shapes,
        "why_no_shapes": "" if shapes else _why_no_shapes(before, events),
        "top": top,
        "why_no_top": "" if top else (_NO_SCORE if not part.recipe.needs_scores else "no event that may be shown"),
    }


def _top(events: ShownEvents, outputs: Sequence[ReadOutput], paths: Sequence[str]) -> tuple[TopEvent, ...]:
    """The shown events of highest interest, the first first."""
    interest = events.scores.get("interest")
    if interest is None:
        return ()
    found = []
    for place in np.argsort(-interest, kind="stable")[:MOST_TOP]:
        identity = int(events.run[place]), int(events.luminosity_block[place]), int(events.event[place])
        found.append(
            TopEvent(
                path=outputs[events.output[place]].source.path,
                entry=int(events.entry[place]),
                identity=identity if events.identified[place] else None,
                scores={name: float(values[place]) for name, values in events.scores.items()},
                paths=tuple(path for path in paths if path in events.passed and events.passed[path][place]),
                observables={name: float(values[place]) for name, values in events.observables.items()},
            )
        )
    return tuple(found)


def _why_no_turn_on(part: Part, n_control: int) -> str:
    if part.menu is None:
        return "no menu decided; turn-on curves are those of its paths"
    if part.menu.control is None:
        return "the menu has no control stream, in which alone the efficiency of a path can be measured"
    return f"{counted(n_control, 'event')} of the control stream; at least {LEAST_EVENTS} are needed"


def _why_no_shapes(before: Mapping[str, Any], events: ShownEvents) -> str:
    if before and events.fault:
        return f"the objects of the output cannot be read: {events.fault}"
    if before:
        return "the output has no jets and no MET"
    return "the run kept no spectra of its input: it read no objects, as no model ran, or it removed duplicates"
