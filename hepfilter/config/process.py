"""A process to simulate: lines that users of Pythia know, its family and truth label, and which events are kept."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from hepfilter.config.base import LONGEST_NAME, StrictModel

# Settings that the card or the sampling decides; a line of the card would silently win or lose against them.
RESERVED = {
    "beams:ecm": "is set by the key energy_tev",
    **dict.fromkeys(
        ("beams:frametype", "beams:lhef", "beams:ida", "beams:idb", "beams:ea", "beams:eb"),
        "is not for a card: two protons of equal energy collide here, and no Les Houches file is read",
    ),
    **dict.fromkeys(
        ("processlevel:all", "partonlevel:all", "hadronlevel:all", "main:subrun"),
        "is not for a card: the detector needs whole events, of one run",
    ),
    "partonlevel:mpi": "is set by the key multiple_interactions",
    "random:seed": "is set by the option --seed",
    "random:setseed": "is set by the option --seed",
    "main:numberofevents": "is set by the option --events",
    "slha:file": "is set by the key slha",
}
OF_THE_MAIN_PROGRAM = ("main:", "init:", "next:", "stat:", "print:")  # what a main program counts and prints


class Requirement(StrictModel):
    """How many objects, and which, an event must have to be kept: pT in GeV, |η|."""

    at_least: int = Field(default=1, ge=0, le=10_000)
    at_most: int | None = Field(default=None, ge=0, le=10_000)
    pt_min: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    pt_max: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    eta_max: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is below at_least {self.at_least}")
        if self.pt_max is not None and self.pt_max <= self.pt_min:
            raise ValueError(f"pt_max {self.pt_max} is not above pt_min {self.pt_min}")
        return self


class GeneratorRequirement(Requirement):
    """Counts the last copies of particles with these codes (of either sign) in the generator's record.

    A stable particle is its own last copy; that of a boson or a quark is the one that decays or hadronises.
    """

    pdg_id: tuple[Annotated[int, Field(gt=-(10**10), lt=10**10)], ...] = Field(min_length=1)


class DetectorRequirement(Requirement):
    """Counts reconstructed objects of one collection (``Jet``, ``AK10Jet``, …); `minimum` bounds further fields."""

    collection: str
    minimum: Mapping[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)


class Decay(StrictModel):
    """One decay channel: branching ratio, and the codes of the products."""

    ratio: float = Field(gt=0.0, le=1.0)
    to: tuple[int, ...] = Field(min_length=2)


class Slha(StrictModel):
    """A supersymmetric spectrum: masses in GeV and decays by particle code; all other partners are out of reach."""

    masses: Mapping[int, Annotated[float, Field(gt=0.0, allow_inf_nan=False)]]
    decays: Mapping[int, tuple[Decay, ...]]

    @field_validator("decays")
    @classmethod
    def _ratios_sum_to_one(cls, decays: Mapping[int, tuple[Decay, ...]]) -> Mapping[int, tuple[Decay, ...]]:
        for code, channels in decays.items():
            total = sum(channel.ratio for channel in channels)
            if channels and abs(total - 1.0) > 1e-3:
                raise ValueError(f"the branching ratios of {code} sum to {total:.4g}, not 1")
        return decays


class SoftBomb(StrictModel):
    """The particle `pdg_id`, stable for Pythia, bursts into dark mesons with a thermal spectrum; GeV."""

    pdg_id: int
    temperature: float = Field(gt=0.0, allow_inf_nan=False)
    meson_mass: float = Field(gt=0.28, allow_inf_nan=False, description="above two charged pions")


class Process(StrictModel):
    """What a card file and a process have in common.

    `label` is the truth label of the class that the process belongs to: slices and points share it. `family` groups
    processes that look alike, for tests with a whole family unseen. `settings` are Pythia 8 lines, applied in order.
    `cross_section_pb` replaces Pythia's cross-section where that means nothing (forced decays through added channels,
    couplings chosen for the final state) or where a better one is known; `branching_ratio` multiplies it, for forced
    decays of hadrons, which Pythia does not count. `part_of` names a card whose events hold this
    process already: with both in one sample it would count twice.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_]+(@[0-9.]+)?$", max_length=LONGEST_NAME)
    title: str = Field(min_length=1)
    family: str = Field(pattern=r"^[a-z0-9_]+$")
    is_signal: bool
    label: int = Field(ge=0, lt=2**31)
    energy_tev: float = Field(default=13.0, gt=0.0, le=100.0, allow_inf_nan=False)
    multiple_interactions: bool = True
    detector: Literal["cms", "atlas"] = "cms"
    cross_section_pb: float | None = Field(default=None, gt=1e-25, lt=1e20, description="float32 must hold the weights")
    branching_ratio: float = Field(default=1.0, gt=0.0, le=1.0)
    part_of: str | None = None
    settings: tuple[str, ...] = Field(min_length=1)
    slha: Slha | None = None
    soft_bomb: SoftBomb | None = None
    generator_filter: tuple[GeneratorRequirement, ...] = ()
    detector_filter: tuple[DetectorRequirement, ...] = ()

    @field_validator("generator_filter", "detector_filter", mode="before")
    @classmethod
    def _one_requirement_is_a_list_of_one(cls, given: Any) -> Any:
        return [given] if isinstance(given, dict) else given

    @field_validator("settings")
    @classmethod
    def _lines_are_settings(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Every line must be ``key = value`` and leave alone what the card or the command line sets."""
        for line in lines:
            key, equals, value = line.partition("=")
            if key.split()[:1] == ["include"]:
                raise ValueError(f"{line!r}: a card must hold all of its lines itself")
            if not equals or not key.strip() or not value.strip():
                raise ValueError(f"{line!r} is no Pythia line of the form 'Group:name = value'")
            if not (line.isascii() and line.isprintable()):
                raise ValueError(f"{line!r} holds characters that are not for Pythia")
            if key.strip().lower().startswith(OF_THE_MAIN_PROGRAM) and key.strip().lower() not in RESERVED:
                raise ValueError(f"{line!r} is for a main program, not for a card")
            if "plugin" in key.lower():
                raise ValueError(f"{line!r} loads a library, which no card may")
            if key.strip().lower() in RESERVED:
                raise ValueError(f"{line!r} {RESERVED[key.strip().lower()]}")
        return lines
