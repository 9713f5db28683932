"""A simulation card: one process, as lines that users of Pythia know, with its family and truth label."""

from pathlib import Path

from pydantic import Field, field_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml, shipped

KIND = "simulation"

# Settings that the card or the sampling decides; a line of the card would silently win or lose against them.
RESERVED = {
    "beams:ecm": "the key energy_tev",
    "partonlevel:mpi": "the key multiple_interactions",
    "random:seed": "the option --seed",
    "random:setseed": "the option --seed",
    "main:numberofevents": "the option --events",
}


class Card(StrictModel):
    """One process of a simulated sample, read from ``configs/simulation/NAME.yaml`` or a user's own file.

    `label` is the truth label of the class that the process belongs to: slices of one process share it. `family` groups
    processes that look alike, for tests with a whole family unseen. `settings` are Pythia 8 lines, applied in order.
    `cross_section_pb` replaces Pythia's cross-section where that means nothing (forced decays through added channels,
    couplings chosen for the final state) or where a better one is known.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    title: str = Field(min_length=1)
    family: str = Field(pattern=r"^[a-z0-9_]+$")
    is_signal: bool
    label: int = Field(ge=0, lt=2**31)
    energy_tev: float = Field(default=13.0, gt=0.0, le=100.0, allow_inf_nan=False)
    multiple_interactions: bool = True
    cross_section_pb: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    settings: tuple[str, ...] = Field(min_length=1)

    @field_validator("settings")
    @classmethod
    def _lines_are_settings(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Every line must be ``key = value`` and leave alone what the card or the command line sets."""
        for line in lines:
            key, equals, value = line.partition("=")
            if not equals or not key.strip() or not value.strip():
                raise ValueError(f"{line!r} is no Pythia line of the form 'Group:name = value'")
            if key.strip().lower() in RESERVED:
                raise ValueError(f"{line!r} is set by {RESERVED[key.strip().lower()]}")
        return lines


def card_names() -> tuple[str, ...]:
    """Names of the cards that ship, sorted."""
    return tuple(shipped(KIND))


def load_card(name: str | Path) -> Card:
    """The card that ships under `name`, or the one in the file `name`; ConfigError names the nearest name or key."""
    return load_yaml(find_config(KIND, name), Card)
