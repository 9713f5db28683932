"""What frames a report: the numbers that one looks for first, input problems, throughput, provenance."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hepfilter.skim.parts import Part
from hepfilter.skim.report import SkimReport
from hepfilter.skim.reporting.containers import RunReport
from hepfilter.visual.page import Block, Cell, Facts, Folded, Section, Table, Text, Tile, Tiles, Value
from hepfilter.visual.run_report.numbers import percent, share_of
from hepfilter.wording import counted, lasting, sized

_MOST_INPUTS = 500


def overview_section(report: RunReport) -> Section:
    """Events in and out, what decided, and what to look at before all else."""
    parts = [part for story in report.stories for part in story.parts]
    read = sum(story.cutflow[0].events for story in report.stories if story.cutflow)
    written = sum(output.events for part in parts for output in part.outputs)
    inputs = sum(len(part.inputs) for part in parts)
    tiles = [
        Tile(f"{read:,}", "events read", f"of {counted(inputs, 'input')}"),
        Tile(f"{written:,}", "events written", f"{percent(written / read)} of those read" if read else ""),
        Tile(*_decision(parts)),
    ]
    rates = [table for story in report.stories for table in story.rates]
    if len(rates) == 1:
        unit, scale = ("Hz", 1.0) if rates[0].of == "Hz" else ("%", 100.0)
        union = rates[0].union
        note = f"[{scale * float(union.lower):.3g}, {scale * float(union.upper):.3g}]"
        tiles.append(Tile(f"{scale * float(union.value):.3g} {unit}", "rate of all paths", note))
    if report.run is not None:
        rate = report.run.read / report.run.seconds if report.run.seconds else 0.0
        tiles.append(Tile(lasting(report.run.seconds), "wall time", f"{rate:,.0f} events/s"))
    blocks: list[Block] = [Tiles(tiles)]
    blocks += [Text(text, warning=True) for text in _alarms(report, parts)]
    return Section("Overview", "overview", blocks)


def _decision(parts: Sequence[Part]) -> tuple[str, str, str]:
    """(what decided, what kind of thing that is, by which model)."""
    names, kinds = (dict.fromkeys(found) for found in zip(*(_decided_by(part) for part in parts), strict=True))
    models = dict.fromkeys(_model_name(part) for part in parts if part.recipe.needs_scores)
    return "; ".join(names), "decided by " + ", ".join(kinds), f"model {', '.join(models)}" if models else "no model"


def _decided_by(part: Part) -> tuple[str, str]:
    recipe = part.recipe
    if part.menu is not None:
        locked = recipe.trigger is not None and recipe.trigger.frozen is not None
        return part.menu.name, "a lock" if locked else "a menu"
    if recipe.keep is not None:
        own = part.facts.get("threshold")
        at_least = "" if own is None else f", at least {own:.4f}"
        return percent(float(recipe.keep)), f"highest score{at_least}"
    if recipe.threshold is not None:
        return f"{recipe.threshold:g}", "a lowest score"
    return "selection", "cuts alone"


def _model_name(part: Part) -> str:
    return f"{part.recipe.model or 'of the scores'} ({(part.model_hash or '')[:12]})"


def _alarms(report: RunReport, parts: Sequence[Part]) -> list[str]:
    """What a reader should know before all else."""
    texts = []
    bad = [one for part in parts for one in part.bad]
    if bad:
        events = sum((one.stop or 0) - (one.start or 0) for one in bad)
        unknown = sum(one.start is None for one in bad)
        lost = [counted(events, "event")] * (events > 0) + [f"all of {counted(unknown, 'input')}"] * (unknown > 0)
        texts.append(f"Quarantined, and missing everywhere in this report: {' and '.join(lost)}; see Input.")
    warnings = {note for part in parts for note in part.facts.get("warnings", ())}
    if warnings:
        texts.append(f"{counted(len(warnings), 'warning')}; see Input.")
    if report.missing:
        texts.append(
            f"Of a split output these parts are not here: {', '.join(report.missing)}. Their events are in the books, "
            "and in no spectrum after the selection."
        )
    without = sum(story.without_summary for story in report.stories)
    if without:
        texts.append(
            f"{counted(without, 'skim')} of {len(parts)} keep no summary of their events: written by an older version, "
            "or their first output is not here. What needs one is missing, or is of the others."
        )
    if any(story.summary is not None and story.summary.unblinded for story in report.stories):
        texts.append("Unblinded: this report shows what the menu blinds.")
    return texts


def input_section(report: RunReport) -> Section:
    """Quarantined inputs, warnings, what was treated by rule, absent collections."""
    parts = [part for story in report.stories for part in story.parts]
    blocks: list[Block] = []
    bad: list[list[Value]] = [
        [one.path, "all" if one.start is None else f"{one.start:,} to {(one.stop or 0) - 1:,}", one.reason]
        for part in parts
        for one in part.bad
    ]
    if bad:
        blocks.append(
            Table(["input", "entries", "why"], bad, caption="quarantined: these events are missing everywhere")
        )
    blocks += [
        Text(note, warning=True) for note in dict.fromkeys(n for p in parts for n in p.facts.get("warnings", ()))
    ]
    problems: Counter[str] = Counter()
    for part in parts:
        problems.update(part.facts.get("problems", {}))
    if problems:
        rows: list[list[Value]] = [[reason, count] for reason, count in problems.most_common()]
        blocks.append(Table(["treated by rule", "times"], rows, sortable=True))
    absent: Counter[str] = Counter(name for part in parts for file in part.inputs for name in file.absent)
    if absent:
        rows = [[name, counted(count, "input")] for name, count in absent.most_common()]
        blocks.append(Table(["absent collection", "in"], rows))
    left = dict.fromkeys(name for part in parts for name in part.facts.get("not_copied", ()))
    if left:
        blocks.append(Text(f"Not copied to the output: {', '.join(left)}."))
    return Section(
        "Input", "input", blocks or [Text("Nothing to report: every input was read whole, and no rule applied.")]
    )


def throughput_section(run: SkimReport | None) -> Section:
    """Where the time went; it is known only when the run has just ended."""
    title, anchor = "Throughput", "throughput"
    if run is None:
        return Section(title, anchor, [Text("Times are not stored in outputs; skim --report tells of them.")])
    rate = run.read / run.seconds if run.seconds else 0.0
    facts: list[tuple[str, Value]] = [
        ("wall time", lasting(run.seconds)),
        ("events per second", f"{rate:,.0f}"),
        ("bytes read", f"{sized(run.bytes_read)}, {sized(run.bytes_read / run.seconds if run.seconds else 0)}/s"),
    ]
    if run.payload_bytes:
        share = percent(run.bytes_read / run.payload_bytes)
        facts.append(("of what the inputs hold", f"{share} of {sized(run.payload_bytes)} compressed"))
    if run.resumed:
        facts.append(("read by an earlier run", counted(run.resumed, "event")))
    rows: list[list[Value]] = [
        [stage, Cell(lasting(seconds), seconds), share_of(seconds, run.seconds, bar=True)]
        for stage, seconds in run.stages.items()
    ]
    rest = run.seconds - sum(run.stages.values())
    rows.append(["all else", Cell(lasting(max(rest, 0.0)), rest), share_of(max(rest, 0.0), run.seconds, bar=True)])
    return Section(title, anchor, [Facts(facts), Table(["stage", "time", "share"], rows)])


def provenance_section(report: RunReport) -> Section:
    """What this all depends on."""
    blocks: list[Block] = []
    for story in report.stories:
        for part in story.parts[:1]:
            blocks.append(Facts(_facts(part, len(story.parts))))
            blocks.append(Folded("The recipe", [Table(["key", "value"], _recipe(part.facts["recipe"]))]))
    rows: list[list[Value]] = [
        [one.path, one.events, Cell(sized(one.size), one.size), one.uuid, one.checksum] for one in report.outputs
    ]
    columns = ["output", "events", "size", "UUID", "checksum"]
    blocks.append(Table(columns, rows, caption="outputs that this report is of"))
    blocks.append(_inputs([part for story in report.stories for part in story.parts]))
    return Section("Provenance", "provenance", blocks)


def _facts(part: Part, count: int) -> list[tuple[str, Value]]:
    facts = part.facts
    versions = {"hepfilter": facts.get("hepfilter", "?"), **facts.get("versions", {})}
    rows: list[tuple[str, Value]] = [
        ("command", shlex.join(map(str, facts.get("command", ()))) or "a call from Python")
    ]
    if count > 1:
        rows[0] = ("command", f"{rows[0][1]} (the first of {counted(count, 'skim')})")
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    if part.recipe.needs_scores:
        rows += [("model", part.recipe.model or "that of the scores"), ("model hash", part.model_hash)]
        rows += [("calibration hash", part.calibration_hash), ("device class", facts.get("device_class"))]
        limits = facts.get("extrapolated_below", {})
        rows += [(f"{name} extrapolated below", f"{limit:.3g}") for name, limit in limits.items()]
    if part.recipe.trigger is not None:
        rows += [("menu", part.recipe.trigger.menu.name), ("menu hash", part.recipe.trigger.menu_hash)]
    rows += [(f"checksum of {path}", checksum) for path, checksum in facts.get("files", {}).items()]
    for name, dataset in facts.get("datasets", {}).items():
        rows.append((f"dataset {name}", ", ".join(f"{key} {value}" for key, value in dataset.items())))
    return rows


def _recipe(recipe: Mapping[str, Any]) -> list[list[Value]]:
    """Keys and values; of the trigger its menu."""
    rows: list[list[Value]] = []
    for key, value in recipe.items():
        if key == "trigger":
            rows += [[f"menu: {name}", json.dumps(item, ensure_ascii=False)] for name, item in value["menu"].items()]
        else:
            rows.append([key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)])
    return rows


def _inputs(parts: Sequence[Part]) -> Table:
    """A row an input, the first ones."""
    files = [file for part in parts for file in part.inputs]
    rows: list[list[Value]] = [
        [f.path, f.dataset, f.schema, f.entries, f.read, f.passed, Cell(sized(f.size), f.size), f.checksum]
        for f in files[:_MOST_INPUTS]
    ]
    columns = ["input", "dataset", "schema", "entries", "read", "kept", "size", "checksum"]
    more = f", the first {_MOST_INPUTS} of {len(files):,}" if len(files) > _MOST_INPUTS else ""
    return Table(columns, rows, caption=f"inputs{more}", sortable=True)
