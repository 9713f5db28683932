"""What decides which events and branches a skim keeps: everything that its content depends on, and nothing else."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import Field

from hepfilter.config.base import StrictModel, validate
from hepfilter.config.quantities import Share
from hepfilter.errors import UsageError
from hepfilter.events.schemas import schema_names
from hepfilter.io.compression import parse_compression
from hepfilter.io.converting import FORMATS, Format
from hepfilter.io.layout import POLICIES, Policy
from hepfilter.trigger.lock import Trigger, read_trigger, trigger_of
from hepfilter.trigger.selection import parse_fraction

SHIPPED = "interest-objects"
"""The model that decides unless another is given."""


@dataclass(frozen=True)
class Recipe:
    """The cuts of a skim, in the order in which they apply, and the shape of its output.

    An event is kept if it is the first of its identity (`deduplicate`), lies in the luminosity mask (`lumi_mask`, the
    path of a certification JSON, else that of its dataset in `dataset_masks`), is listed (`events`, the path of a
    list), passes the selection expression `where`, and has a score of at least `threshold` or is among the share `keep`
    of highest score of all that passed the rest; a `trigger`, with a menu, takes the place of both. `model` and
    `schema` are names of what ships, or paths; the model is used only where one of these three needs it. `scores`, the
    path of a file that `hepfilter score` wrote, takes the place of running it; then `model` may be empty, and is what
    those scores are of.

    `keep_branches` and `drop_branches` are globs, `branches` the path of a keep/drop file. `layout` says which branches
    the output has where inputs differ, `fills` what stands for those that an input lacks (``TREE/BRANCH`` in another
    tree than that of the events). `split_events` and `split_bytes` bound what one output holds. `compression` is
    ``ALGORITHM:LEVEL``, None for the first input's own, or ROOT's default for RNTuples where TTrees become such.
    `format` says what trees become, None for what they are.
    """

    where: str | None = None
    keep: Fraction | None = None
    threshold: float | None = None
    trigger: Trigger | None = None
    model: str = ""
    scores: str | None = None
    schema: str | None = None
    lumi_mask: str | None = None
    dataset_masks: Mapping[str, str] = field(default_factory=dict)
    events: str | None = None
    deduplicate: bool = False
    keep_branches: tuple[str, ...] = ()
    drop_branches: tuple[str, ...] = ()
    branches: str | None = None
    layout: Policy = "strict"
    fills: Mapping[str, float] = field(default_factory=dict)
    split_events: int | None = None
    split_bytes: int | None = None
    compression: str | None = None
    format: Format | None = None

    def __post_init__(self) -> None:
        """UsageError for what contradicts itself."""
        if not self.model and self.scores is None:
            object.__setattr__(self, "model", (self.trigger and self.trigger.menu.model) or SHIPPED)
        if self.scores is not None and not self.needs_scores:
            what = "decides nothing without --keep, --threshold or a --menu with scores"
            raise UsageError(f"--scores {self.scores} {what}; with --keep 100% all that pass get their scores")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise UsageError(f"--threshold {self.threshold}: give a number")
        if self.keep is not None and self.threshold is not None:
            raise UsageError("--keep and --threshold: give one of them, a share or a score")
        if self.trigger is not None and (self.keep is not None or self.threshold is not None):
            raise UsageError("--menu decides by itself; leave --keep and --threshold out")
        if self.branches is not None and (self.keep_branches or self.drop_branches):
            raise UsageError("--branches: a file of rules stands alone, without --keep-branches and --drop-branches")
        if self.split_events is not None and self.split_bytes is not None:
            raise UsageError("--split-events and --split-size: give one of them")
        if any(limit is not None and limit < 1 for limit in (self.split_events, self.split_bytes)):
            raise UsageError("an output must hold at least one event; give a positive number to split by")
        if self.layout not in POLICIES:
            raise UsageError(f"--layout {self.layout}: known are {', '.join(POLICIES)}")
        if self.format is not None and self.format not in FORMATS:
            raise UsageError(f"--format {self.format}: known are {', '.join(FORMATS)}")
        if self.fills and self.layout != "union":
            raise UsageError("--fill: values stand for what an input lacks with --layout union alone")
        if self.compression is not None:
            parse_compression(self.compression)

    def fills_of(self, prefix: str) -> dict[str, float]:
        """By branch what stands where an input lacks it: in the events' tree, or with ``TREE/`` in another."""
        named = ((name.rpartition("/"), value) for name, value in self.fills.items())
        return {branch: value for (tree, sign, branch), value in named if tree + sign == prefix}

    @property
    def files(self) -> tuple[str, ...]:
        """The files, beside the inputs, that decide too."""
        schema = None if self.schema in schema_names() else self.schema
        named = (self.lumi_mask, *self.dataset_masks.values(), self.events, self.branches, schema, self.scores)
        return tuple(path for path in named if path is not None)

    @property
    def needs_scores(self) -> bool:
        """Whether a model decides."""
        by_menu = self.trigger is not None and bool(self.trigger.menu.scores)
        return by_menu or self.keep is not None or self.threshold is not None

    @property
    def selects(self) -> bool:
        """Whether anything is asked for at all."""
        cuts = (self.where, self.lumi_mask, self.events, self.branches)
        return (
            self.needs_scores
            or self.trigger is not None
            or self.deduplicate
            or any(cut is not None for cut in cuts)
            or self.reshapes
        )

    @property
    def reshapes(self) -> bool:
        """Whether the output has another shape than the input."""
        split = self.split_events or self.split_bytes
        return bool(self.keep_branches or self.drop_branches or split or self.format)

    def facts(self) -> dict[str, Any]:
        """What was asked for, as plain data; what was left at its default is left out."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        facts = {name: value for name, value in plain.items() if value or name == "threshold"}
        if self.threshold is None:
            del facts["threshold"]
        if not self.needs_scores:
            facts.pop("model", None)
        if self.trigger is not None:
            facts["trigger"] = self.trigger.plain()
        return facts | ({"keep": str(self.keep)} if self.keep is not None else {})

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Recipe":
        """The recipe that `facts` describe, as they stand in an output's provenance.

        ConfigError for what cannot be one, UsageError for what contradicts itself.
        """
        stated = validate(dict(facts), _Facts, where="the recipe")
        values = {name: getattr(stated, name) for name in stated.model_fields_set}
        if "schema_name" in values:
            values["schema"] = values.pop("schema_name")
        if "trigger" in values:
            values["trigger"] = trigger_of(values["trigger"], where="the menu in the provenance")
        return cls(**values)


class OtherWords(TypedDict, total=False):
    """Fields of a recipe that are said as they are: paths as `Path` too, and None for what is not said."""

    where: str | None
    scores: str | Path | None
    schema: str | Path | None
    lumi_mask: str | Path | None
    events: str | Path | None
    deduplicate: bool
    keep_branches: Sequence[str] | None
    drop_branches: Sequence[str] | None
    branches: str | Path | None
    layout: str
    split_events: int | None
    compression: str | None
    format: str | None


class _Facts(StrictModel):
    """The fields of a recipe as they stand in a provenance; each is a field of `Recipe`."""

    where: str | None = None
    keep: Share | None = None
    threshold: float | None = None
    trigger: dict[str, Any] | None = None
    model: str = ""
    scores: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    lumi_mask: str | None = None
    dataset_masks: dict[str, str] = Field(default_factory=dict)
    events: str | None = None
    deduplicate: bool = False
    keep_branches: tuple[str, ...] = ()
    drop_branches: tuple[str, ...] = ()
    branches: str | None = None
    layout: Policy = "strict"
    fills: dict[str, int | float] = Field(default_factory=dict)
    split_events: int | None = None
    split_bytes: int | None = None
    compression: str | None = None
    format: Format | None = None


def make_recipe(
    *,
    keep: str | float | Fraction | None = None,
    threshold: float | None = None,
    menu: str | Path | Trigger | None = None,
    model: str | Path | None = None,
    fill: Sequence[str] | Mapping[str, float] | None = None,
    split_size: str | int | None = None,
    **others: Unpack[OtherWords],
) -> Recipe:
    """The recipe from what a user says: on the command line and in Python.

    `keep` is a share (``"1%"``, 0.01), `menu` one that ships, a YAML file or a lock, `model` one that ships or a
    checkpoint, `fill` lists ``NAME=VALUE`` or is a mapping, `split_size` is ``"2GB"`` or bytes. UsageError for what
    cannot be, or contradicts itself; ConfigError for a menu or lock that is wrong.
    """
    if model is not None and keep is None and threshold is None and menu is None:
        raise UsageError(
            f"--model {model} decides nothing without --keep or --threshold; with --keep 100% it scores all that pass"
        )
    words: dict[str, Any] = {
        name: str(said) if isinstance(said, Path) else tuple(said) if isinstance(said, list) else said
        for name, said in others.items()
        if said is not None
    }
    return Recipe(
        keep=None if keep is None else parse_fraction(str(keep)),
        threshold=threshold,
        trigger=menu if menu is None or isinstance(menu, Trigger) else read_trigger(menu),
        model="" if model is None else str(model),
        fills=dict(fill) if isinstance(fill, Mapping) else parse_fills(fill or ()),
        split_bytes=parse_size(split_size) if isinstance(split_size, str) else split_size,
        **words,
    )


def parse_size(text: str) -> int:
    """``2GB`` or ``500 MB`` in bytes (1 GB = 10⁹); UsageError otherwise."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT])B?\s*", text)
    if match is None:
        raise UsageError(f"--split-size {text!r}: give a size such as 2GB or 500MB")
    return int(float(match[1]) * {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[match[2]])


def parse_fills(texts: Sequence[str]) -> dict[str, float]:
    """``NAME=VALUE`` each, as a mapping; UsageError otherwise."""
    fills: dict[str, float] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            fills[name.strip()] = int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else float(value)
        except ValueError as error:
            raise UsageError(f"--fill {text!r}: give NAME=VALUE, such as Muon_genPartIdx=-1") from error
        if not (name.strip() and sign):
            raise UsageError(f"--fill {text!r}: give NAME=VALUE, such as Muon_genPartIdx=-1")
    return fills
