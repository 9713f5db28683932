"""The calibration of a model: score → background p-value, as plain data in its checkpoint, with a hash of its own.

For every score of the model there is a table (`statistics.pvalues`), and one more for all of them together but those
that tell `interest` in another measure: Fisher's combination −Σ ln p, fixed once and for all, then calibrated on
background in its turn, since heads are correlated. A sum of logarithms loses little of the most powerful score where
one head alone sees a signal, and gains where several see it a little (R. C. Littell, J. L. Folks, J. Am. Stat. Assoc.
66 (1971) 802).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from hepfilter.config.base import StrictModel, validate
from hepfilter.config.model import ConditionalHead
from hepfilter.errors import CheckpointError, ConfigError
from hepfilter.models.metadata import ModelMetadata, digest_of
from hepfilter.statistics.intervals import effective_number
from hepfilter.statistics.pvalues import PValues, PValueTable, Tail, fisher, pvalue_table, pvalues

INTEREST: Final = "interest"
PVALUE: Final = "pvalue"
COMBINED: Final = "combined"

_FORMAT: Final = 1
_DIGITS: Final = 7
_BITS: Final = 12


class _Tail(StrictModel):
    start: FiniteFloat
    pvalue: float = Field(gt=0.0, le=1.0)
    n_effective: float = Field(gt=0.0, allow_inf_nan=False)
    rate: float = Field(ge=0.0, allow_inf_nan=False)
    relative_error: float = Field(gt=0.0, allow_inf_nan=False)


class _Table(StrictModel):
    scores: tuple[float, ...]
    pvalues: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    tail: _Tail

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        columns = (self.scores, self.pvalues, self.lower, self.upper)
        if not self.scores or len({len(column) for column in columns}) > 1:
            raise ValueError("its columns are empty, or not equally long")
        scores, p, lower, upper = (np.array(column) for column in columns)
        rising = bool(np.isfinite(scores).all() and (np.diff(scores) > 0).all() and (np.diff(p) <= 0).all())
        if not rising or not bool(((lower >= 0) & (lower <= p) & (p <= upper) & (upper <= 1)).all()):
            raise ValueError("scores do not rise, p-values do not fall, or an interval does not hold its p-value")
        return self


class _Content(StrictModel):
    """The calibration as it stands in the checkpoint."""

    format_version: Literal[1]
    model_hash: str
    background: dict[str, Any]
    tables: dict[str, _Table]
    combination: Literal["fisher"]
    combined: _Table | None
    hash: str


@dataclass(frozen=True)
class Calibration:
    """Tables for the scores of the model of `model_hash`; `combined` is that of their combination, None for one score.

    `uncombined` are the scores that have no part in that. `background` says what it was made from, as plain data;
    `hash` covers all the rest.
    """

    hash: str
    model_hash: str
    background: Mapping[str, Any]
    tables: Mapping[str, PValueTable]
    combined: PValueTable | None
    uncombined: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """What `apply` gives."""
        return (PVALUE,) if self.combined is None else (PVALUE, COMBINED)

    @property
    def extrapolated_below(self) -> dict[str, float]:
        """For each of `names`, below which p-value the numbers are extrapolations."""
        tables = {PVALUE: self.tables[INTEREST], COMBINED: self.combined}
        return {name: table.tail.pvalue for name, table in tables.items() if table is not None}

    def pvalues(self, name: str, scores: NDArray[np.floating]) -> PValues:
        """p-values of one score of the model, with intervals and marks."""
        return pvalues(self.tables[name], scores)

    def combine(self, scores: Mapping[str, NDArray[np.floating]]) -> PValues:
        """p-values of the combination of all scores but those `uncombined`; of the only one where there is one."""
        if self.combined is None:
            return self.pvalues(INTEREST, scores[INTEREST])
        return pvalues(self.combined, _combination(_without(self.tables, self.uncombined), scores))

    def apply(self, scores: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """`pvalue` of the interest, and `combined` where there are several scores: [B] in (0, 1].

        They have 12 significant bits: so few that the last ones, in which exponentials differ between processors, are
        gone.
        """
        found = {PVALUE: self.pvalues(INTEREST, scores[INTEREST]).values}
        if self.combined is not None:
            found[COMBINED] = self.combine(scores).values
        return {name: _rounded(values) for name, values in found.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return _plain(self) | {"hash": self.hash}


def fit_calibration(
    scores: Mapping[str, NDArray[np.float32]],
    weights: NDArray[np.float64],
    *,
    model_hash: str,
    background: Mapping[str, Any],
    uncombined: frozenset[str] = frozenset(),
) -> Calibration:
    """The calibration by background events with these scores [n] and weights [n], `interest` among the scores.

    Those `uncombined` have no part in the combination, see `uncombined_scores`. ValueError as `pvalue_table`.
    """
    tables = {name: _stored(pvalue_table(values, weights)) for name, values in scores.items()}
    members = _without(tables, uncombined)
    combined = _stored(pvalue_table(_combination(members, scores), weights)) if len(members) > 1 else None
    facts = dict(background) | {"events": len(weights), "effective": round(effective_number(weights), 1)}
    draft = Calibration("", model_hash, facts, tables, combined, uncombined)
    return replace(draft, hash=digest_of(_plain(draft)))


def model_calibration(metadata: ModelMetadata) -> Calibration | None:
    """The calibration of a model, None if it has none; CheckpointError if that is damaged, or of another model."""
    if metadata.calibration is None:
        return None
    remedy = "calibrate it anew: hepfilter calibrate"
    try:
        content = validate(dict(metadata.calibration), _Content, where=f"{metadata.path}: calibration")
    except ConfigError as error:
        raise CheckpointError(f"{error}; {remedy}") from error
    if content.model_hash != metadata.model_hash:
        what = f"its calibration is of model {content.model_hash[:12]}, and this is {metadata.model_hash[:12]}"
        raise CheckpointError(f"{metadata.path}: {what}; {remedy}")
    stated = {name: value for name, value in metadata.calibration.items() if name != "hash"}
    wanted = {INTEREST, *(head.name for head in metadata.definition.heads)}
    if digest_of(stated) != content.hash or set(content.tables) != wanted:
        raise CheckpointError(f"{metadata.path}: its calibration was changed; {remedy}")
    tables = {name: _table(table) for name, table in content.tables.items()}
    combined = None if content.combined is None else _table(content.combined)
    uncombined = uncombined_scores(metadata)
    return Calibration(content.hash, content.model_hash, content.background, tables, combined, uncombined)


def uncombined_scores(metadata: ModelMetadata) -> frozenset[str]:
    """The scores of a model that have no part in the combination, as they tell `interest` in another measure."""
    return frozenset(head.name for head in metadata.definition.heads if isinstance(head, ConditionalHead))


def score_names(metadata: ModelMetadata) -> tuple[str, ...]:
    """What a model says of every event: ``interest``, its heads, and when calibrated ``pvalue`` and ``combined``."""
    calibration = model_calibration(metadata)
    heads = (INTEREST, *(head.name for head in metadata.definition.heads))
    return heads if calibration is None else (*heads, *calibration.names)


def _without(tables: Mapping[str, PValueTable], uncombined: frozenset[str]) -> dict[str, PValueTable]:
    return {name: table for name, table in tables.items() if name not in uncombined}


def _combination(tables: Mapping[str, PValueTable], scores: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float32]:
    """[B] Fisher's combination; float32, so that the last bits of logarithms matter nowhere."""
    each = np.stack([_rounded(pvalues(table, scores[name]).values) for name, table in tables.items()])
    combined: NDArray[np.float32] = fisher(each).astype(np.float32)
    return combined


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values of `_BITS` significant bits."""
    fraction, exponent = np.frexp(values)
    rounded: NDArray[np.float32] = np.ldexp(np.rint(fraction * 2.0**_BITS) / 2.0**_BITS, exponent).astype(np.float32)
    return rounded


def _plain(calibration: Calibration) -> dict[str, Any]:
    """All but the hash, as JSON data, in a fixed order."""
    combined = calibration.combined
    return {
        "format_version": _FORMAT,
        "model_hash": calibration.model_hash,
        "background": dict(calibration.background),
        "tables": {name: _columns(table) for name, table in calibration.tables.items()},
        "combination": "fisher",
        "combined": None if combined is None else _columns(combined),
    }


def _columns(table: PValueTable) -> dict[str, Any]:
    lists = {name: getattr(table, name).tolist() for name in ("scores", "pvalues", "lower", "upper")}
    return lists | {"tail": asdict(table.tail)}


def _stored(table: PValueTable) -> PValueTable:
    """The table with as many digits as are stored: scores whole, the rest to `_DIGITS`."""
    shorter = {name: _shortened(getattr(table, name)) for name in ("pvalues", "lower", "upper")}
    tail = asdict(table.tail)
    tail |= {name: float(_shortened(np.array([tail[name]]))[0]) for name in tail if name != "start"}
    return PValueTable(scores=table.scores, tail=Tail(**tail), **shorter)


def _shortened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([float(f"{value:.{_DIGITS}g}") for value in values])


def _table(content: _Table) -> PValueTable:
    return PValueTable(
        np.array(content.scores),
        np.array(content.pvalues),
        np.array(content.lower),
        np.array(content.upper),
        Tail(**content.tail.model_dump()),
    )
