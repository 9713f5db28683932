"""Families of signals grouped by final state, for tests in which a whole group is unseen."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml
from hepfilter.errors import ConfigError, nearest

KIND = "evaluation"
OTHER = "other"


class FamilyGroups(StrictModel):
    """Group → the families in it; a family stands in one group at most."""

    groups: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        families = [family for members in self.groups.values() for family in members]
        twice = sorted({family for family in families if families.count(family) > 1})
        if twice:
            raise ValueError(f"the family {twice[0]} stands in two groups")
        return self

    def families(self, group: str) -> tuple[str, ...]:
        """The families of a group; ConfigError for one that is unknown."""
        if group not in self.groups:
            close = nearest(group, self.groups) or f"; known: {', '.join(self.groups)}"
            raise ConfigError(f"no group {group!r} of families{close}")
        return self.groups[group]

    def grouped(self, families: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """These families by group, in the order of the groups; those of no group under `OTHER`; no group is empty."""
        families = tuple(families)
        found = {name: tuple(f for f in families if f in members) for name, members in self.groups.items()}
        known = {family for members in found.values() for family in members}
        found[OTHER] = found.get(OTHER, ()) + tuple(family for family in families if family not in known)
        return {name: members for name, members in found.items() if members}


def load_groups(name: str | Path = "groups") -> FamilyGroups:
    """The groups that ship, or one's own YAML file; ConfigError if it is wrong."""
    return load_yaml(find_config(KIND, name), FamilyGroups)
