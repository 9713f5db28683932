"""What an output says of itself, read back: the skim, or the skims, whose events it holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, Field, NonNegativeInt

from hepfilter.config.base import StrictModel, validate
from hepfilter.config.menu import Menu
from hepfilter.config.strict_json import parse_json
from hepfilter.errors import HepfilterError, SourceError
from hepfilter.io.objects import read_older_strings, read_string
from hepfilter.io.reading import OpenFile
from hepfilter.io.text import one_line
from hepfilter.skim.findings import BadInput
from hepfilter.skim.provenance import FORMAT, PROVENANCE
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, add_cutflows
from hepfilter.skim.summary import RunSummary
from hepfilter.wording import counted

_FAULTS = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class Part:
    """The events of one skim in an output: `facts` is its provenance, `output` the output's number in that.

    `bad` is what could not be read then.
    """

    facts: Mapping[str, Any]
    recipe: Recipe
    inputs: tuple[FileCount, ...]
    outputs: tuple[OutputCount, ...]
    output: int
    bad: tuple[BadInput, ...] = ()

    def quarantined(self, path: str) -> list[tuple[int, int]]:
        """The entry ranges of an input that could not be read when the skim was made."""
        own = [one for one in self.bad if one.path == path]
        return [(one.start, one.stop) for one in own if one.start is not None and one.stop is not None]

    @property
    def tree(self) -> str:
        """The name of the events' tree."""
        return self.inputs[0].tree

    @property
    def counts(self) -> tuple[int, ...]:
        """Events of each input."""
        return self.outputs[self.output].from_inputs

    @property
    def starts(self) -> tuple[int, ...]:
        """Of each input, how many of its kept events stand in earlier outputs."""
        before = [output.from_inputs for output in self.outputs[: self.output]]
        return tuple(sum(counts) for counts in zip(*before, strict=True)) if before else (0,) * len(self.inputs)

    @property
    def has_books(self) -> bool:
        """Whether the rows of the other trees, histograms and the cutflow stand here: in a skim's first output."""
        return self.output == 0

    @property
    def model_hash(self) -> str | None:
        """The model that decided, None where none did."""
        return self.facts.get("model_hash") if self.recipe.needs_scores else None

    @property
    def scores(self) -> tuple[str, ...]:
        """What the model says of every event, by name; nothing where none decided."""
        return tuple(map(str, self.facts.get("scores", ("interest",)))) if self.recipe.needs_scores else ()

    @property
    def menu(self) -> Menu | None:
        """The menu that decided, None where none did."""
        return None if self.recipe.trigger is None else self.recipe.trigger.menu

    @property
    def calibration_hash(self) -> str | None:
        """What the p-values come from, None where there are none."""
        return self.facts.get("calibration_hash") if self.recipe.needs_scores else None

    @cached_property
    def summary(self) -> RunSummary | None:
        """What the run remembers of all its events; None in the outputs after the first, and in older ones.

        SourceError if it is damaged.
        """
        try:
            return RunSummary.from_plain(self.facts["summary"]) if "summary" in self.facts else None
        except _FAULTS as error:
            raise SourceError(f"{PROVENANCE}: its summary cannot be read: {one_line(error)}") from error

    @cached_property
    def skim(self) -> str:
        """What tells this skim from others: recipe, inputs, and how many events it kept; not where it was written."""
        outputs = [(output.events, output.from_inputs) for output in self.outputs]
        return json.dumps([self.facts["recipe"], self.facts["inputs"], self.model_hash, outputs], sort_keys=True)

    def cutflow(self) -> list[CutflowStep]:
        """The cutflow as the output's histograms hold it: all zero unless the books stand here."""
        share = 1 if self.has_books else 0
        steps = add_cutflows([file.cutflow for file in self.inputs])
        return [
            CutflowStep(step.name, share * step.events, None if step.weight is None else share * step.weight)
            for step in steps
        ]


def histograms(parts: Sequence[Part]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """(label, content) of the bins of the cutflow, and of the weighted one, of an output with these parts."""
    events: dict[str, float] = {}
    weights: dict[str, float] = {}
    for step in (step for part in parts for step in part.cutflow()):
        events[step.name] = events.get(step.name, 0.0) + step.events
        weights[step.name] = weights.get(step.name, 0.0) + (step.events if step.weight is None else step.weight)
    return list(events.items()), list(weights.items())


def read_parts(file: OpenFile) -> tuple[Part, ...]:
    """The parts of an output, in the order of its events; none where it has no provenance.

    SourceError if the provenance is damaged or does not fit itself.
    """
    text = read_string(file, PROVENANCE)
    return () if text is None else _parse(text, file)


def read_ancestors(file: OpenFile) -> tuple[Part, ...]:
    """The parts of the skims that an output's inputs came from, and of those before them; errors as `read_parts`."""
    return tuple(part for text in read_older_strings(file, PROVENANCE) for part in _parse(text, file))


def _parse(text: str, file: OpenFile) -> tuple[Part, ...]:
    where = f"{file.path}: {PROVENANCE}"
    try:
        facts = parse_json(text)
        if facts["format"] > FORMAT:
            raise SourceError(
                f"{where} has format {facts['format']}, this version knows up to {FORMAT}; update hepfilter"
            )
        return tuple(_part(part) for part in facts.get("parts", [facts]))
    except HepfilterError as error:
        raise SourceError(f"{where} cannot be used: {one_line(error)}") from error
    except _FAULTS as error:
        raise SourceError(f"{where} cannot be read: {one_line(error)}") from error


def _part(facts: Mapping[str, Any]) -> Part:
    """A part from its provenance, with all numbers checked against each other."""
    stated = validate(facts, _Stated, where="the provenance")
    inputs = tuple(file.counted() for file in stated.inputs)
    outputs = tuple(OutputCount(**output.model_dump()) for output in stated.outputs)
    if stated.output >= len(outputs):
        raise ValueError(f"output {stated.output} of {len(outputs)}, from {counted(len(inputs), 'input')}")
    for output in outputs:
        if len(output.from_inputs) != len(inputs) or sum(output.from_inputs) != output.events:
            events = counted(output.events, "event")
            raise ValueError(f"an output of {events}, which is not the sum of {list(output.from_inputs)}")
    bad = tuple(BadInput(**one.model_dump()) for one in stated.quarantined)
    return Part(facts, Recipe.from_facts(stated.recipe), inputs, outputs, stated.output, bad)


class _Facts(StrictModel):
    """What is read of a provenance; what else it says is for people."""

    model_config = ConfigDict(extra="ignore")


class _Step(_Facts):
    name: str
    events: int
    weight: float | None


class _Input(_Facts):
    """A `FileCount`; the sum of its weights may be infinite, or NaN. `entries` is new: before it, all were read."""

    path: str
    dataset: str | None
    schema_name: str = Field(alias="schema")
    tree: str
    uuid: str
    size: int
    checksum: str
    entries: NonNegativeInt | None = None
    cutflow: tuple[_Step, ...] = Field(min_length=1)
    absent: tuple[str, ...]

    def counted(self) -> FileCount:
        """As the report has it."""
        steps = tuple(CutflowStep(**step.model_dump()) for step in self.cutflow)
        entries = steps[0].events if self.entries is None else self.entries
        return FileCount(**self.model_dump(by_alias=True) | {"cutflow": steps, "entries": entries})


class _Bad(_Facts):
    path: str
    dataset: str | None
    start: NonNegativeInt | None
    stop: NonNegativeInt | None
    reason: str


class _Output(_Facts):
    path: str
    events: int
    from_inputs: tuple[NonNegativeInt, ...]


class _Stated(_Facts):
    """The provenance of a skim."""

    recipe: dict[str, Any]
    inputs: tuple[_Input, ...] = Field(min_length=1)
    outputs: tuple[_Output, ...] = Field(min_length=1)
    output: NonNegativeInt
    files: Mapping[str, str] = Field(default_factory=dict)
    quarantined: tuple[_Bad, ...] = ()
    model_hash: str | None = None
    device_class: str | None = None
    threshold: float | None = None
    scores: tuple[str, ...] = ()
    calibration_hash: str | None = None
