"""Trigger menus: which events are kept, through which paths, at what rates.

::

    name: discovery
    paths:
      anomaly:
        score: interest
        fraction: 0.1%                        # or threshold: 6.5, p_value: 1e-4, rate: 5 Hz
      dijet:
        when: "nFatJet >= 2 && FatJet_pt[0] > 500"
        prescale: 100
        stream: monitoring
    control:
      probability: 0.001
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml
from hepfilter.config.model import OUTPUT_NAMES, RESERVED_SCORES
from hepfilter.config.quantities import Rate, Share

KIND: Final = "menus"
CONTROL_STREAM: Final = "control"
WORKING_POINTS: Final = ("threshold", "p_value", "fraction", "rate")
_CALIBRATED: Final = {"interest": "pvalue", "combined": "combined"}


def _is_score(name: str) -> str:
    """Only what can be a score of some model."""
    if name == "pvalue":
        raise ValueError("pvalue is the p-value of interest; write score: interest and p_value: P")
    if name in RESERVED_SCORES and name not in _CALIBRATED:
        raise ValueError(f"{name} is no score of a model; give interest, combined or a head")
    return name


def _is_open_stream(name: str) -> str:
    if name == CONTROL_STREAM:
        raise ValueError(f"{CONTROL_STREAM} is the stream of the control events; give the path another stream")
    return name


def _is_prescale(value: float) -> float:
    if 0 < value < 1:
        raise ValueError(f"{value}: a prescale is 0, which is off, or at least 1")
    return value


PathName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
ScoreName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$"), AfterValidator(_is_score)]
StreamName = Annotated[PathName, AfterValidator(_is_open_stream)]
Prescale = Annotated[float, Field(ge=0.0, allow_inf_nan=False), AfterValidator(_is_prescale)]
Probability = Annotated[float, Field(gt=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
OneOrMore = BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)


class PathDefinition(StrictModel):
    """One path: an event passes it if `when`, a selection expression, is true and its `score` is high enough.

    How high is said by one of: `threshold`, in units of the score (for combined −ln p); `p_value`, the largest that
    passes, of interest or combined; `fraction` of all events; `rate`. Without any, the menu's budget decides. A
    prescale of 10 keeps one event in 10 of those that pass, 0 keeps none. The higher its `priority`, the more of a
    budget a path gets. `blind`: its events are written, but neither counted nor shown.
    """

    when: str | None = None
    score: ScoreName | None = None
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    p_value: Probability | None = None
    fraction: Share | None = None
    rate: Rate | None = None
    prescale: Prescale = 1.0
    stream: StreamName = "physics"
    priority: Positive = 1.0
    blind: bool = False

    @model_validator(mode="after")
    def _working_point_fits(self) -> Self:
        given = [name for name in WORKING_POINTS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: give one of them")
        if given and self.score is None:
            raise ValueError(f"{given[0]} needs a score, such as score: interest")
        if self.p_value is not None and self.score not in _CALIBRATED:
            raise ValueError(f"p_value needs score: {' or '.join(_CALIBRATED)}; {self.score} has no p-value of its own")
        return self

    @property
    def has_working_point(self) -> bool:
        """Whether the path itself says how high its score must be."""
        return any(getattr(self, name) is not None for name in WORKING_POINTS)

    @property
    def column(self) -> str | None:
        """The column of scores that decides, as the scorer names it; None for a path without a score."""
        return self.score if self.p_value is None or self.score is None else _CALIBRATED[self.score]


class Budget(StrictModel):
    """What the paths with a score and no working point of their own may take together, their overlaps counted once."""

    fraction: Share | None = None
    rate: Rate | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.fraction is None) == (self.rate is None):
            raise ValueError("a budget is one of fraction and rate")
        return self


class Step(StrictModel):
    """The `probability` of the control stream from a score of `above` on, in units of the score (combined: −ln p)."""

    above: float = Field(allow_inf_nan=False)
    probability: Probability


class Control(StrictModel):
    """The control stream: every event survives with this probability, or with a higher one from some `score` on."""

    probability: Probability
    score: ScoreName | None = None
    rising: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if (self.score is None) != (not self.rising):
            raise ValueError("score and rising go together: a score, and from which values on more of it is kept")
        if any(later.above <= earlier.above for earlier, later in pairwise(self.rising)):
            raise ValueError("rising: each above must lie above that of the step before")
        levels = [self.probability, *(step.probability for step in self.rising)]
        if any(later <= earlier for earlier, later in pairwise(levels)):
            raise ValueError("rising: each probability must lie above the one before, and the first above the flat one")
        return self


class Drift(StrictModel):
    """Scores of every `window` events are compared with the reference; `false_alarm` is the probability per window."""

    window: int = Field(default=10_000, ge=100)
    false_alarm: float = Field(default=1e-3, gt=0.0, lt=1.0)
    action: Literal["warn", "stop"] = "warn"


class Menu(StrictModel):
    """A trigger menu. `model` is one that ships or a checkpoint's path; None where no path has a score.

    `seed` goes into every prescale and the control stream. `blind` are selection expressions: regions whose events are
    written, but neither counted nor shown. `luminosity` (instantaneous, cm⁻² s⁻¹) turns cross-sections of simulation
    into rates; `lumi_section` is the length of one, in s.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    seed: int = Field(default=1, ge=0, lt=2**63)
    model: Annotated[str, Field(min_length=1)] | None = "interest-objects"
    paths: Mapping[PathName, PathDefinition] = Field(min_length=1)
    control: Control | None = None
    budget: Budget | None = None
    blind: Annotated[tuple[str, ...], OneOrMore] = ()
    luminosity: Positive | None = None
    lumi_section: Positive = 23.31
    drift: Drift = Drift()

    @model_validator(mode="after")
    def _names_are_apart(self) -> Self:
        taken = {*OUTPUT_NAMES, *self.scores}
        for name in self.bits:
            if name in taken:
                raise ValueError(f"HepFilter_{name} would stand for two things; give a path another name")
            taken.add(name)
        return self

    @model_validator(mode="after")
    def _scores_can_be_had(self) -> Self:
        if self.model is None and self.scores:
            raise ValueError(f"the score {self.scores[0]} needs a model, and model is null")
        return self

    @model_validator(mode="after")
    def _budget_is_used(self) -> Self:
        open_paths = self.budgeted
        if open_paths and self.budget is None:
            what = f"key 'paths.{open_paths[0]}': a score needs one of {', '.join(WORKING_POINTS)}"
            raise ValueError(f"{what}, or the menu a budget")
        if self.budget is not None and not open_paths:
            raise ValueError("budget: no path shares it; it is for paths with a score but no working point")
        return self

    @property
    def budgeted(self) -> tuple[str, ...]:
        """The paths that share the budget."""
        paths = self.paths.items()
        return tuple(name for name, path in paths if path.score is not None and not path.has_working_point)

    @property
    def bits(self) -> tuple[str, ...]:
        """What outputs say of an event as ``HepFilter_<bit>``: two bits a path, then ``stream_<stream>``, each once."""
        of_paths = [bit for name in self.paths for bit in (name, f"{name}_raw")]
        streams = [path.stream for path in self.paths.values()] + [CONTROL_STREAM] * (self.control is not None)
        return (*of_paths, *dict.fromkeys(f"stream_{stream}" for stream in streams))

    @property
    def scores(self) -> tuple[str, ...]:
        """The columns of scores that the menu needs, each once; none where it needs no model."""
        control = None if self.control is None else self.control.score
        columns: list[Any] = [*(path.column for path in self.paths.values()), control]
        return tuple(dict.fromkeys(column for column in columns if column is not None))


def load_menu(name: str | Path) -> Menu:
    """A menu that ships, or one's own YAML file; ConfigError if it is wrong. Expressions are not looked at here."""
    return load_yaml(find_config(KIND, name), Menu)
