"""The lock of a menu: its thresholds as they were found, and all that its decisions depend on, in one file.

A lock is a JSON file. Its ``digest`` covers all the rest, so that a lock that was edited is refused: a frozen menu is
made anew, not mended.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, FiniteFloat, NonNegativeInt, model_validator

from hepfilter import __version__
from hepfilter.config.base import StrictModel, validate
from hepfilter.config.menu import Menu
from hepfilter.config.strict_json import load_json
from hepfilter.errors import ConfigError, UsageError
from hepfilter.statistics.prediction import Prediction, Unit
from hepfilter.trigger.decisions import ResolvedPath, resolved_paths
from hepfilter.trigger.drift import ProblemReference, Reference, ScoreReference
from hepfilter.trigger.menus import check_expressions, read_menu

SUFFIX: Final = ".lock"
FORMAT: Final = 1
_REMEDY: Final = "make it anew: hepfilter rates lock"


@dataclass(frozen=True)
class Frozen:
    """What the thresholds of a menu were found with.

    The hashes are those of the model and its calibration, None without them; `schemas` the checksums of those that read
    the sample, by name; `sample` says which files it was. `predictions` are of a future sample, by path, and `union` of
    all of them; what is blind is in none. `reference` is what the input is compared with, to see it drift.
    """

    model_hash: str | None = None
    calibration_hash: str | None = None
    device_class: str | None = None
    schemas: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    union: Prediction | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Trigger:
    """A menu; where they are known, the thresholds of its paths by name, and what they were `frozen` with."""

    menu: Menu
    thresholds: Mapping[str, float] | None = None
    frozen: Frozen | None = None

    @cached_property
    def menu_hash(self) -> str:
        """BLAKE2b of the menu: two menus of the same content have the same."""
        return _digest(self.menu.model_dump(mode="json"))

    def paths(self) -> tuple[ResolvedPath, ...]:
        """The paths with their thresholds, which must be known."""
        assert self.thresholds is not None
        return resolved_paths(self.menu, self.thresholds)

    def check_model(self, facts: Mapping[str, Any]) -> None:
        """UsageError if a frozen menu's thresholds belong to another model, calibration or class of device."""
        if self.frozen is None:
            return
        for what in ("model_hash", "calibration_hash", "device_class"):
            known, here = getattr(self.frozen, what), facts.get(what)
            if known != here:
                name = what.replace("_", " ")
                raise UsageError(f"the lock of {self.menu.name}: its {name} is {known}, here it is {here}; {_REMEDY}")

    def check_schemas(self, schemas: Mapping[str, str | None]) -> None:
        """UsageError if events are read by another schema, name → checksum, than those of a frozen menu."""
        if self.frozen is None:
            return
        for name, checksum in schemas.items():
            known = self.frozen.schemas.get(name)
            if known != (checksum or ""):
                what = "is not one of its schemas" if known is None else "is another than it was"
                raise UsageError(f"the lock of {self.menu.name}: the schema {name or '(none)'} {what}; {_REMEDY}")

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "format_version": FORMAT,
            "hepfilter": __version__,
            "menu": self.menu.model_dump(mode="json"),
            "menu_hash": self.menu_hash,
            "thresholds": None if self.thresholds is None else dict(self.thresholds),
            "frozen": None if self.frozen is None else asdict(self.frozen),
        }


class _Prediction(StrictModel):
    value: FiniteFloat
    lower: FiniteFloat
    upper: FiniteFloat
    n_effective: float = Field(ge=0, allow_inf_nan=False)
    of: Unit


class _ScoreReference(StrictModel):
    edges: tuple[FiniteFloat, ...]
    counts: tuple[NonNegativeInt, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.edges) + 1 or any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError("edges do not rise, or there are not as many bins")
        return self


class _ProblemReference(StrictModel):
    count: NonNegativeInt
    dispersion: float = Field(ge=1, allow_inf_nan=False)


class _Reference(StrictModel):
    events: int = Field(ge=1, lt=2**53)
    scores: Mapping[str, _ScoreReference]
    problems: Mapping[str, _ProblemReference]

    @model_validator(mode="after")
    def _counts_all(self) -> Self:
        if any(sum(score.counts) != self.events for score in self.scores.values()):
            raise ValueError("bins do not hold as many events as there are")
        return self


class _Frozen(StrictModel):
    model_hash: str | None
    calibration_hash: str | None
    device_class: str | None
    schemas: Mapping[str, str]
    sample: Mapping[str, Any]
    predictions: Mapping[str, _Prediction]
    union: _Prediction | None
    reference: _Reference | None


class _Content(StrictModel):
    format_version: Literal[1]
    hepfilter: str
    menu: Menu
    menu_hash: str
    thresholds: Mapping[str, FiniteFloat] | None
    frozen: _Frozen | None


def read_trigger(name: str | Path) -> Trigger:
    """A lock (a file that ends in .lock), or a menu: one that ships, or a YAML file. ConfigError if it is wrong."""
    if Path(name).suffix != SUFFIX:
        return Trigger(read_menu(name))
    data = load_json(Path(name))
    if not isinstance(data, dict) or data.pop("digest", None) != _digest(data):
        raise ConfigError(f"{name}: is no lock, or was changed; {_REMEDY}")
    trigger = trigger_of(data, where=str(name))
    if trigger.frozen is None:
        raise ConfigError(f"{name}: is no lock; {_REMEDY}")
    return trigger


def trigger_of(data: Any, *, where: str) -> Trigger:
    """What `Trigger.plain` made these data; ConfigError, begun by `where`, if they are none."""
    content = validate(data, _Content, where=where)
    check_expressions(content.menu, where=where)
    frozen = None
    if content.frozen is not None:
        stated = content.frozen
        predictions = {name: Prediction(**part.model_dump()) for name, part in stated.predictions.items()}
        frozen = Frozen(
            **{
                **stated.model_dump(),
                "predictions": predictions,
                "union": None if stated.union is None else Prediction(**stated.union.model_dump()),
                "reference": None if stated.reference is None else _reference(stated.reference),
            }
        )
    if _digest(data["menu"]) != content.menu_hash:
        raise ConfigError(f"{where}: its menu is another than its hash says")
    if frozen is not None and content.thresholds is None:
        raise ConfigError(f"{where}: is frozen without thresholds")
    scored = {name for name, path in content.menu.paths.items() if path.score is not None}
    if content.thresholds is not None and set(content.thresholds) != scored:
        raise ConfigError(f"{where}: its thresholds are not those of its paths")
    return Trigger(content.menu, content.thresholds, frozen)


def lock_text(trigger: Trigger) -> str:
    """What a lock file holds."""
    plain = trigger.plain()
    return json.dumps({**plain, "digest": _digest(plain)}, indent=2) + "\n"


def _reference(content: _Reference) -> Reference:
    return Reference(
        events=content.events,
        scores={name: ScoreReference(**part.model_dump()) for name, part in content.scores.items()},
        problems={name: ProblemReference(**part.model_dump()) for name, part in content.problems.items()},
    )


def _digest(data: Any) -> str:
    """BLAKE2b (16 bytes, hexadecimal) of JSON data; the order of keys counts."""
    return hashlib.blake2b(json.dumps(data, separators=(",", ":")).encode(), digest_size=16).hexdigest()
