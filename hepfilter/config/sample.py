"""Sample sets: several cards with their numbers of events, at fixed seed, in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml, shipped, validate
from hepfilter.config.card import Card, limit_of_pt_hat, load_cards
from hepfilter.config.process import DetectorRequirement
from hepfilter.errors import UsageError

KIND = "samples"
MAXIMUM_PILEUP = 400.0


@dataclass(frozen=True)
class Production:
    """A process and the number of its events that are wanted in the file."""

    card: Card
    events: int


class Member(StrictModel):
    """Cards (as on the command line: ``qcd``, ``zprime_ll@all``), and for each size the events of each process (0: none
    of them is made)."""

    cards: tuple[str, ...] = Field(min_length=1)
    events: Mapping[str, Annotated[int, Field(ge=0)]] = Field(min_length=1)


class Conditions(StrictModel):
    """What a set decides for all of its cards; keys that are not given leave the cards as they are.

    `settings` are Pythia lines added after the card's own, `detector_filter` requirements added to the card's.
    """

    energy_tev: float | None = None
    multiple_interactions: bool | None = None
    detector: Literal["cms", "atlas"] | None = None
    settings: tuple[str, ...] = ()
    detector_filter: tuple[DetectorRequirement, ...] = ()

    @field_validator("settings")
    @classmethod
    def _leave_slices_alone(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        if line := limit_of_pt_hat(lines):
            raise ValueError(f"{line!r} is set by the key slices of a card")
        return lines

    def applied(self, card: Card, *, where: str = "conditions") -> Card:
        """`card` under these conditions; `where` begins the message of the ConfigError if they do not fit."""
        given = {name: getattr(self, name) for name in ("energy_tev", "multiple_interactions", "detector")}
        changed = {name: value for name, value in given.items() if value is not None}
        added = {name: (*getattr(card, name), *getattr(self, name)) for name in ("settings", "detector_filter")}
        return validate({**card.model_dump(), **changed, **added}, Card, where=f"{where}, with {card.name}")


class SampleSet(StrictModel):
    """A set of processes to be made by one command: the same file content wherever it is made.

    `particles` writes the particle-flow candidates too; `pileup` is the mean number of further collisions.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    title: str = Field(min_length=1)
    seed: int = Field(ge=0)
    particles: bool = False
    pileup: float = Field(default=0.0, ge=0.0, le=MAXIMUM_PILEUP)
    conditions: Conditions = Conditions()
    members: tuple[Member, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        sizes = list(self.members[0].events)
        for member in self.members:
            if list(member.events) != sizes:
                raise ValueError(f"sizes differ: {', '.join(sizes)} and {', '.join(member.events)}")
        return self

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes in which the set can be made."""
        return tuple(self.members[0].events)

    def productions(self, size: str) -> tuple[Production, ...]:
        """The processes with their numbers of events, in order; UsageError for an unknown size."""
        if size not in self.sizes:
            raise UsageError(f"{self.name}: no size {size!r}; sizes: {', '.join(self.sizes)}")
        return tuple(
            Production(self.conditions.applied(card, where=self.name), member.events[size])
            for member in self.members
            if member.events[size] > 0
            for name in member.cards
            for card in load_cards(name)
        )


def overlaps(productions: Sequence[Production]) -> dict[str, tuple[str, ...]]:
    """Of each process those among the others that have some of its events too, so that weights count them twice.

    A part overlaps with the whole that it names, with that one's slices and with its other parts; a slice with its own
    card. Cards that do not say so are taken to be apart.
    """
    cards = [production.card for production in productions]
    found = {}
    for card in cards:
        base = _base(card)
        wholes = {card.part_of, base} - {card.name}
        others = tuple(
            other.name
            for other in cards
            if other.name in wholes
            or (_base(other) != base and card.part_of is not None and card.part_of in (_base(other), other.part_of))
        )
        if card.part_of is not None and others:
            found[card.name] = others
    return found


def _base(card: Card) -> str:
    return card.name.split("@")[0]


def sample_names() -> tuple[str, ...]:
    """Names of the sets that ship, sorted."""
    return tuple(shipped(KIND))


def load_sample(name: str | Path) -> SampleSet:
    """A set that ships (``lhco``) or one's own YAML file; ConfigError if it is wrong."""
    return load_yaml(find_config(KIND, name), SampleSet)
