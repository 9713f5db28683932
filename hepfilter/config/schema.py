"""The model of a schema file: how a family of ROOT files names its collections, fields, units, identity and books."""

import hashlib
import math
from collections.abc import Set
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from hepfilter.config.base import StrictModel

COLLECTIONS = ("jet", "fatjet", "muon", "electron", "photon", "tau", "met", "particle")
"""Every collection that an event record has, in this order."""

KINEMATICS = (("pt", "eta", "phi"), ("px", "py", "pz"))
"""The two ways to give a direction and a size; an alternative has exactly one of them (for `met` without eta or pz)."""


Finite = Annotated[float, Field(allow_inf_nan=False)]


def spelling(branch: str, names: Set[str]) -> str | None:
    """`branch` as a tree with the branches `names` spells it, None if it lacks it.

    Fields of an RNTuple cannot have a dot in their name; Athena writes a colon there (``AnalysisJetsAuxDyn:pt``).
    """
    return next((name for name in (branch, branch.replace(".", ":")) if name in names), None)


class FirstOf(StrictModel):
    """Branches of the same meaning in different versions: the first that the tree has is read."""

    first_of: Annotated[tuple[str, ...], Field(min_length=1)]


def _names(value: Any) -> str | tuple[str, ...]:
    """A name, or a list of at least one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError("give the name of a branch, or a list of them")


def _branch(value: Any) -> str | tuple[str, ...] | FirstOf:
    if isinstance(value, FirstOf) or (isinstance(value, dict) and set(value) == {"first_of"}):
        return FirstOf.model_validate(value)
    if isinstance(value, dict):
        raise ValueError("give a branch, a list of scalar branches, or {first_of: [branches]}")
    return _names(value)


def _branch_or_mass(value: Any) -> float | str | tuple[str, ...] | FirstOf:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _branch(value)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError("a mass is a branch or a number of GeV, at least 0")
    return float(value)


def _branch_or_integer(value: Any) -> float | str | tuple[str, ...] | FirstOf:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _branch(value)
    if not float(value).is_integer():
        raise ValueError("give a branch or a whole number")
    return float(value)


Names = Annotated[str | tuple[str, ...], PlainValidator(_names)]
Branch = Annotated[str | tuple[str, ...] | FirstOf, PlainValidator(_branch)]
"""A branch with a list per event; or scalar branches, one per object (``[pt1, pt2]``); or the first that exists."""
Mass = Annotated[float | str | tuple[str, ...] | FirstOf, PlainValidator(_branch_or_mass)]
Integer = Annotated[float | str | tuple[str, ...] | FirstOf, PlainValidator(_branch_or_integer)]


class Cut(StrictModel):
    """Objects pass where `min` ≤ branch ≤ `max`; with `pt_below`, those of at least that pt (GeV) pass without it.

    `relative` compares branch / pt, both in the unit of the file (an isolation sum); `mask` only these bits of the
    branch, which then holds integers. A cut whose branch the tree lacks is not applied. A NaN fails.
    """

    branch: str
    relative: bool = False
    mask: Annotated[int, Field(gt=0)] | None = None
    min: Finite | None = None
    max: Finite | None = None
    pt_below: Finite | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"the cut on {self.branch} has neither min nor max")
        if self.relative and self.mask is not None:
            raise ValueError(f"the cut on {self.branch} has bits (mask), which cannot be relative to pt")
        return self


def _listed(value: Any) -> Any:
    """A single cut as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


class Alternative(StrictModel):
    """One way in which a tree may hold a collection: field → branch.

    pt, eta, phi (or px, py, pz) are needed for the alternative to be taken; all else is read where the tree has it.
    `mass` is a branch or a number in GeV; without it `energy` gives it, and without both it is 0. `charge` and
    `pdg_id` may be numbers too. `scale` multiplies pt and mass (a PUPPI weight). `cuts` all apply; in a list inside
    the list only the first whose branch exists. `also` names further sources: their objects join the collection.
    `minus`, for `met` alone: px and py hold the soft term, from which the momenta of the selected objects of these
    collections are subtracted (`hepfilter.events.missing`).
    """

    pt: Branch | None = None
    eta: Branch | None = None
    phi: Branch | None = None
    px: Branch | None = None
    py: Branch | None = None
    pz: Branch | None = None
    energy: Branch | None = None
    mass: Mass | None = None
    charge: Integer | None = None
    pdg_id: Integer | None = None
    btag: Branch | None = None
    scale: Branch | None = None
    cuts: tuple[Annotated[tuple[Cut, ...], BeforeValidator(_listed)], ...] = ()
    also: tuple["Alternative", ...] = ()
    minus: tuple[Literal["jet", "muon", "electron", "photon", "tau"], ...] = ()

    @model_validator(mode="after")
    def _same_number_of_columns(self) -> Self:
        """Scalar branches per object: every field names as many."""
        lengths = {len(value) for _, value in self.fields() if isinstance(value, tuple)}
        lists = [isinstance(value, tuple) for _, value in self.fields()]
        if len(lengths) > 1 or (lengths and not all(lists)):
            raise ValueError("with scalar branches per object every field needs a list of the same length")
        if lengths and self.cuts:
            raise ValueError("cuts need branches with a list per event; scalar branches per object have none")
        return self

    def fields(self) -> list[tuple[str, Branch]]:
        """Field and branch of all fields that are read from branches, in the order of the model."""
        others = ("cuts", "also", "minus")
        values = ((name, getattr(self, name)) for name in type(self).model_fields if name not in others)
        return [(name, value) for name, value in values if value is not None and not isinstance(value, float)]

    def sources(self) -> tuple["Alternative", ...]:
        """This source of objects and those that join it."""
        return (self, *(source for other in self.also for source in other.sources()))

    def kinematics(self) -> tuple[str, ...]:
        """The fields that say where the object points: pt, eta, phi or px, py, pz (two of them for `met`)."""
        return tuple(name for name, _ in self.fields() if name in ("pt", "eta", "phi", "px", "py", "pz"))


class Collection(StrictModel):
    """The alternatives of one collection, in order of preference, and what an object needs to enter the record.

    `pt_min` in GeV; `eta_max` bounds |η|. Both are inclusive.
    """

    pt_min: Annotated[Finite, Field(ge=0)] = 0.0
    eta_max: Annotated[Finite, Field(gt=0)] = 10.0
    alternatives: Annotated[tuple[Alternative, ...], Field(min_length=1)]


class Collections(StrictModel):
    """The collections of the event record; those that are left out are empty in every event."""

    jet: Collection | None = None
    fatjet: Collection | None = None
    muon: Collection | None = None
    electron: Collection | None = None
    photon: Collection | None = None
    tau: Collection | None = None
    met: Collection | None = None
    particle: Collection | None = None

    @model_validator(mode="after")
    def _kinematics_complete(self) -> Self:
        for name, collection in self.named():
            needless = ("eta", "pz") if name == "met" else ()
            directions = [tuple(field for field in way if field not in needless) for way in KINEMATICS]
            for source in (source for alternative in collection.alternatives for source in alternative.sources()):
                if source.kinematics() not in directions:
                    ways = " or ".join(", ".join(way) for way in directions)
                    raise ValueError(f"{name}: an alternative needs {ways}, and none else of them")
                if source.minus and name != "met":
                    raise ValueError(f"{name}: `minus` builds missing momentum, so only met may have it")
        return self

    def named(self) -> list[tuple[str, Collection]]:
        """Name and collection of those that are given, in the order of COLLECTIONS."""
        values = ((name, getattr(self, name)) for name in COLLECTIONS)
        return [(name, value) for name, value in values if value is not None]


class IdentityBranches(StrictModel):
    """The branches that identify an event; without `luminosity_block` it is 0 for all events."""

    run: str
    luminosity_block: str | None = None
    event: str

    def names(self) -> tuple[str, ...]:
        """The branches in the order run, luminosity block (where there is one), event."""
        return tuple(name for name in (self.run, self.luminosity_block, self.event) if name is not None)


class Schema(StrictModel):
    """One family of files.

    `extends` names a schema that ships: what is not given here is as there, collection by collection (null
    takes a collection away). `tree` is the tree of the events, or the names it may have, the first that the file has.
    `detect` lists branches that must all be there (a list inside the list: one of them) for the schema to fit; of those
    that fit the one with the longest list is taken. `weight` holds a number an event, or a list of which the first is
    the nominal weight. `bookkeeping` names the trees that go with every selection, whole. A dot in a branch's name
    is a colon in an RNTuple (`spelling`).
    """

    name: str
    title: str
    extends: str | None = None
    tree: tuple[str, ...] | str = ()
    detect: tuple[Names, ...] = ()
    identity: IdentityBranches | None = None
    weight: str | None = None
    energy_unit: Literal["GeV", "MeV"] = "GeV"
    bookkeeping: tuple[str, ...] = ()
    collections: Collections = Collections()

    @property
    def trees(self) -> tuple[str, ...]:
        """The names that the tree of the events may have, in order of preference."""
        return (self.tree,) if isinstance(self.tree, str) else self.tree

    @property
    def to_gev(self) -> float:
        """What energies of the file are multiplied by."""
        return 1e-3 if self.energy_unit == "MeV" else 1.0

    @property
    def checksum(self) -> str:
        """What tells one schema from another, of whatever name: BLAKE2b (16 bytes, hexadecimal) of its rules."""
        text = self.model_dump_json(exclude={"name", "title"}, exclude_defaults=True, warnings=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.extends is None and not self.trees:
            raise ValueError("`tree` is missing: the name of the tree that holds the events")
        if self.extends is None and not self.collections.named():
            raise ValueError(f"`collections` is missing: give at least one of {', '.join(COLLECTIONS)}")
        return self

    def completed_by(self, parent: "Schema") -> "Schema":
        """This schema with all that it does not give taken from `parent`, collection by collection."""
        own = self.model_fields_set - {"extends", "collections"}
        given = {name: getattr(self.collections, name) for name in self.collections.model_fields_set}
        collections = parent.collections.model_copy(update=given)
        update = {name: getattr(self, name) for name in own} | {"collections": collections, "extends": None}
        return parent.model_copy(update=update)
