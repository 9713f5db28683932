"""Simulation cards: files of processes (see `config.process`), and the names that mean them.

A card file may stand for several processes: slices of pT-hat that add up, or the points of a mass scan. `load_cards`
turns a name (``qcd``, ``qcd@200``, ``zprime_ll@1500``, ``mine.yaml``, ``mine.cmnd``) into the processes that it means.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from hepfilter.config.base import StrictModel, find_config, load_plain, shipped, validate
from hepfilter.config.cmnd import read_cmnd
from hepfilter.config.files import is_file
from hepfilter.config.process import Process
from hepfilter.errors import ConfigError, nearest

KIND = "simulation"
ALL = "all"
_VARIANTS = ("scan", "slices")
# What looks like a placeholder must be one; other braces are Pythia's (lists of words).
_LIKE_PLACEHOLDER = re.compile(r"\{\s*[A-Za-z_]+\s*(?:[*/+-][^{}]*)?\}")
_PLACEHOLDER = re.compile(r"\{(?P<name>[a-z_]+)(?:(?P<sign>[*/+-])(?P<number>\d+(?:\.\d+)?))?\}")
_SIGNS = {"*": float.__mul__, "/": float.__truediv__, "+": float.__add__, "-": float.__sub__}


class Card(Process):
    """One process of a simulated sample, ready to be generated. `point` is the mass of a scan or the lower edge of a
    slice in GeV, None for a card without them."""

    point: float | None = None

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.point is not None and self.point >= 1000.0 * self.energy_tev:
            raise ValueError(f"{_plain(self.point)} GeV are more than the collision has ({self.energy_tev:.10g} TeV)")
        return self

    @property
    def filtered(self) -> bool:
        """Whether events may be left out of the sample."""
        return bool(self.generator_filter or self.detector_filter)


Mass = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Scan(StrictModel):
    """A scan: ``{parameter}`` in the settings stands for one of `points`, or for `default`."""

    parameter: str = Field(pattern=r"^[a-z_]+$")
    default: Mass
    points: tuple[Mass, ...] = Field(min_length=2)


class Slices(StrictModel):
    """Contiguous slices of pT-hat from these lower edges (GeV); the last one is open."""

    edges: tuple[Annotated[float, Field(ge=0.0, allow_inf_nan=False)], ...] = Field(min_length=2)

    @field_validator("edges")
    @classmethod
    def _ascend(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(high <= low for low, high in pairwise(edges)):
            raise ValueError("the edges must ascend")
        return edges


class CardFile(StrictModel):
    """A card as it stands in a file, before a slice or a point is chosen: then it must be a `Card`.

    Values in which a placeholder stands (``{mass}``, ``{mass*1.1}``) are text here.
    """

    name: str
    scan: Scan | None = None
    slices: Slices | None = None
    process: dict[str, Any]

    def cards(self, point: str | None, *, where: str) -> tuple[Card, ...]:
        """The processes meant by what stands behind the ``@``: nothing, a number or ``all``.

        Nothing means the default point of a scan, and the whole of a sliced process in one.
        """
        if self.scan is not None:
            if point == ALL:
                return tuple(self._at(value, where) for value in self.scan.points)
            return (self._at(self.scan.default if point is None else _mass(point, where), where),)
        whole = validate(_fill(self.process, None, 0.0, where), Card, where=where)
        if self.slices is not None:
            if line := limit_of_pt_hat(whole.settings):
                raise ConfigError(f"{where}: {line!r} is set by the key slices of a card")
            if whole.cross_section_pb is not None:
                raise ConfigError(f"{where}: has slices, so that cross_section_pb would be that of each of them")
            edges = self.slices.edges
            if point is None:
                return (_between(whole, edges[0], None, {}),)
            return tuple(self._slice(whole, edge) for edge in (edges if point == ALL else [_edge(edges, point, where)]))
        if point is not None:
            raise ConfigError(f"{where}: has neither scan nor slices, so that @{point} means nothing")
        return (whole,)

    def _at(self, value: float, where: str) -> Card:
        assert self.scan is not None
        name = self.name if value == self.scan.default else f"{self.name}@{_plain(value)}"
        filled = _fill(self.process, self.scan.parameter, value, where)
        return validate({**filled, "name": name, "point": value}, Card, where=where)

    def _slice(self, whole: Card, low: float) -> Card:
        """The slice from `low` to the next edge, as a part of the whole."""
        assert self.slices is not None
        high = min((edge for edge in self.slices.edges if edge > low), default=None)
        changed = {"name": f"{whole.name}@{_plain(low)}", "part_of": whole.part_of or whole.name}
        return _between(whole, low, high, changed)


def _between(whole: Card, low: float, high: float | None, changed: dict[str, Any]) -> Card:
    """The process with pT-hat from `low` to `high`."""
    lines, title = [f"PhaseSpace:pTHatMin = {low:.10g}"], whole.title
    if high is not None:
        lines.append(f"PhaseSpace:pTHatMax = {high:.10g}")
        title += f", {low:.10g} < pT-hat < {high:.10g} GeV"
    elif low > 0.0:
        title += f", pT-hat > {low:.10g} GeV"
    return whole.model_copy(update={"title": title, "settings": (*whole.settings, *lines), "point": low, **changed})


def limit_of_pt_hat(settings: Sequence[str]) -> str | None:
    """The first line that limits pT-hat, which is what slices do; None if there is none."""
    limits = ("phasespace:pthatmin", "phasespace:pthatmax")
    return next((line for line in settings if line.partition("=")[0].strip().lower() in limits), None)


def card_names() -> tuple[str, ...]:
    """Names of the cards that ship, sorted."""
    return tuple(shipped(KIND))


def cards_of_label(label: int) -> tuple[str, ...]:
    """Names of the cards that ship and whose events have this truth label, without slice or mass; sorted."""
    return tuple(name for name in card_names() if any(card.label == label for card in load_cards(name)))


def load_card_file(name: str | Path) -> CardFile:
    """The card that ships under `name`, or the one in the file `name` (YAML, or Pythia's ``.cmnd``).

    ConfigError names the nearest name or key.
    """
    path = find_config(KIND, name)
    data = read_cmnd(path) if path.suffix == ".cmnd" else load_plain(path)
    if not isinstance(data, dict):
        validate(data, Card, where=str(path))
    known_keys = {*Card.model_fields, *_VARIANTS}
    for key in data:
        if key not in known_keys:
            raise ConfigError(f"{path}: unknown key {key!r}{nearest(str(key), known_keys)}")
    variants = {key: data.pop(key) for key in _VARIANTS if key in data}
    if len(variants) == 2:
        raise ConfigError(f"{path}: has both scan and slices; a card has one of them")
    if "name" not in data:
        raise ConfigError(f"{path}: key 'name' is missing")
    return validate({"name": str(data["name"]), "process": data, **variants}, CardFile, where=str(path))


def load_cards(name: str | Path) -> tuple[Card, ...]:
    """The processes that `name` means: a card, or ``card@point``; see `CardFile.cards`."""
    text = str(name)
    base, at, point = text.rpartition("@")
    if not at or is_file(text):
        return load_card_file(text).cards(None, where=text)
    return load_card_file(base).cards(point, where=text)


def load_card(name: str | Path) -> Card:
    """The one process that `name` means; ConfigError if it means several."""
    cards = load_cards(name)
    if len(cards) != 1:
        raise ConfigError(f"{name}: stands for {len(cards)} processes; name one: {', '.join(c.name for c in cards)}")
    return cards[0]


def _plain(value: float) -> str:
    """The number without an exponent or idle zeros."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _mass(text: str, where: str) -> float:
    value = _number(text)
    if value is None or not 0.0 < value < float("inf"):
        raise ConfigError(f"{where}: @{text} is no positive number; give a value in GeV, or @{ALL}")
    return value


def _edge(edges: tuple[float, ...], text: str, where: str) -> float:
    value = _number(text)
    if value not in edges:
        raise ConfigError(f"{where}: no slice begins there; slices: {', '.join(f'{e:.10g}' for e in edges)}, or @{ALL}")
    return value


def _fill(data: Any, parameter: str | None, value: float, where: str) -> Any:
    """`data` with every placeholder in its texts replaced; ConfigError names one that no scan knows."""
    if isinstance(data, dict):
        return {key: _fill(inner, parameter, value, where) for key, inner in data.items()}
    if isinstance(data, list | tuple):
        return [_fill(inner, parameter, value, where) for inner in data]
    if not isinstance(data, str):
        return data

    def replaced(like: re.Match[str]) -> str:
        """What stands in the place of a placeholder."""
        match = _PLACEHOLDER.fullmatch(like[0])
        if match is None or match["name"] != parameter:
            known = f"known are {{{parameter}}}, {{{parameter}*1.1}} and the like" if parameter else "there is no scan"
            raise ConfigError(f"{where}: the placeholder {like[0]} is unknown; {known}")
        sign, number = match["sign"], float(match["number"] or 1.0)
        if sign == "/" and number == 0.0:
            raise ConfigError(f"{where}: the placeholder {like[0]} divides by 0")
        return f"{_SIGNS[sign](value, number) if sign else value:.10g}"

    return _LIKE_PLACEHOLDER.sub(replaced, data)
