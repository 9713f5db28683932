"""What an output says of itself, read back: the skim, or the skims, whose events it holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hepfilter.config.menu import Menu
from hepfilter.errors import HepfilterError, SourceError
from hepfilter.io.objects import read_older_strings, read_string
from hepfilter.io.reading import OpenFile
from hepfilter.io.text import one_line
from hepfilter.skim.provenance import FORMAT, PROVENANCE
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, add_cutflows
from hepfilter.wording import counted

_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError, RecursionError)


@dataclass(frozen=True)
class Part:
    """The events of one skim in an output: `facts` is its provenance, `output` the output's number in that."""

    facts: Mapping[str, Any]
    recipe: Recipe
    inputs: tuple[FileCount, ...]
    outputs: tuple[OutputCount, ...]
    output: int

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
        facts = json.loads(text)
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
    inputs = tuple(_input(plain) for plain in facts["inputs"])
    outputs = tuple(
        OutputCount(str(plain["path"]), int(plain["events"]), tuple(map(int, plain["from_inputs"])))
        for plain in facts["outputs"]
    )
    number = int(facts["output"])
    if not 0 <= number < len(outputs) or not inputs:
        raise ValueError(f"output {number} of {len(outputs)}, from {counted(len(inputs), 'input')}")
    for output in outputs:
        if (
            len(output.from_inputs) != len(inputs)
            or min(output.from_inputs) < 0
            or sum(output.from_inputs) != output.events
        ):
            events = counted(output.events, "event")
            raise ValueError(f"an output of {events}, which is not the sum of {list(output.from_inputs)}")
    return Part(facts, Recipe.from_facts(facts["recipe"]), inputs, outputs, number)


def _input(plain: Mapping[str, Any]) -> FileCount:
    steps = tuple(
        CutflowStep(str(step["name"]), int(step["events"]), None if step["weight"] is None else float(step["weight"]))
        for step in plain["cutflow"]
    )
    if not steps:
        raise ValueError("an input without a cutflow")
    texts = {name: str(plain[name]) for name in ("path", "schema", "tree", "uuid", "checksum")}
    dataset = plain["dataset"]
    return FileCount(
        **texts,
        dataset=None if dataset is None else str(dataset),
        size=int(plain["size"]),
        cutflow=steps,
        absent=tuple(plain["absent"]),
    )
