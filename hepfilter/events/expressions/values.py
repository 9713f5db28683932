"""What an expression computes with: one value an event or one per object, and what is known to be missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.wording import counted

Offsets = NDArray[np.int64]
Mask = NDArray[np.bool_]


class MisfitError(Exception):
    """Operands that do not fit an operation; the evaluation adds the column and makes it a UsageError."""


@dataclass(frozen=True)
class Column:
    """A branch as it was read.

    `values` is 1-d, of bool, an integer type or a floating one: one value an event if `offsets` is None, else the
    values of all objects, where those of event i are ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: Offsets | None = None


@dataclass(frozen=True)
class Value:
    """An operand.

    `values` is bool, int64, uint64 or float64: 0-d for a constant, 1-d for one value an event, or with `offsets` for
    one per object, the first object at 0. `missing` has the same shape, or is None if nothing is missing; what
    `values` holds where something is missing means nothing. `whole` says that the numbers are whole by construction,
    be they in float64. `text` is the part of the expression that it comes from.
    """

    values: NDArray[Any]
    offsets: Offsets | None = None
    missing: Mask | None = None
    whole: bool = False
    text: str = ""

    @property
    def is_boolean(self) -> bool:
        """Whether it is true or false, and no number."""
        return self.values.dtype == np.bool_


def value(
    values: NDArray[Any], offsets: Offsets | None = None, missing: Mask | None = None, *, whole: bool = False
) -> Value:
    """A Value of what NumPy returned, which is a scalar for 0-d operands; `missing` is spread over all values."""
    values = np.asarray(values)
    if missing is not None:
        missing = np.broadcast_to(missing, values.shape)
    return Value(values, offsets, missing, whole or values.dtype.kind in "biu")


def load(column: Column, name: str, count: int) -> Value:
    """A branch of `count` events, in one of the four dtypes: comparisons are then those that C++ makes in double."""
    values, offsets = column.values, column.offsets
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        what = f"{values.dtype} of {counted(values.ndim, 'dimension')}"
        raise MisfitError(f"branch {name} holds {what}; use branches of numbers")
    if len(values if offsets is None else offsets[1:]) != count:
        raise ValueError(f"the column {name} does not have {counted(count, 'event')}")
    if offsets is not None:
        values, offsets = values[offsets[0] : offsets[-1]], offsets.astype(np.int64, copy=False) - offsets[0]
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
    elif values.dtype.kind in "iu":
        values = values.astype(np.uint64 if values.dtype == np.uint64 else np.int64, copy=False)
    return replace(value(values, offsets), text=name)


def align(operands: Sequence[Value]) -> list[Value]:
    """The operands with one value per object wherever one of them is a list; MisfitError if lists differ in length."""
    lists = [operand for operand in operands if operand.offsets is not None]
    if not lists:
        return list(operands)
    first = lists[0]
    for other in lists[1:]:
        require_same_lengths(first, other)
    assert first.offsets is not None
    lengths = np.diff(first.offsets)
    return [_spread(operand, lengths, first.offsets) for operand in operands]


def require_same_lengths(a: Value, b: Value) -> None:
    """MisfitError, naming both and the first such event, unless two lists have equally many objects in each event."""
    assert a.offsets is not None
    assert b.offsets is not None
    if a.offsets is b.offsets or np.array_equal(a.offsets, b.offsets):
        return
    counts = np.diff(a.offsets), np.diff(b.offsets)
    event = int(np.argmax(counts[0] != counts[1]))
    raise MisfitError(
        f"{a.text} has {counted(counts[0][event], 'object')} and {b.text} has {counts[1][event]} in event {event} "
        "of those read together; combine lists of one collection, or reduce each first, as in Max$(…)"
    )


def _spread(operand: Value, lengths: Offsets, offsets: Offsets) -> Value:
    """One value an event repeated for each object; constants and lists stay."""
    if operand.offsets is not None or operand.values.ndim == 0:
        return operand
    missing = None if operand.missing is None else np.repeat(operand.missing, lengths)
    return replace(operand, values=np.repeat(operand.values, lengths), offsets=offsets, missing=missing)


def offsets_of(aligned: Sequence[Value]) -> Offsets | None:
    """The offsets of aligned operands, None if none is a list."""
    return next((operand.offsets for operand in aligned if operand.offsets is not None), None)


def any_missing(operands: Sequence[Value]) -> Mask | None:
    """Where at least one of aligned operands is missing."""
    masks = [operand.missing for operand in operands if operand.missing is not None]
    if not masks:
        return None
    missing = masks[0]
    for mask in masks[1:]:
        missing = missing | mask
    return missing


def unify(aligned: Sequence[Value]) -> list[NDArray[Any]]:
    """The values in one dtype: bool if all are, a 64-bit integer if it holds them all, else float64.

    A signed list beside an unsigned one has no common integer type; a constant that is not negative goes with both.
    """
    arrays = [operand.values for operand in aligned]
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) == 1:
        return arrays
    if np.dtype(np.float64) in dtypes:
        return [array.astype(np.float64, copy=False) for array in arrays]
    common: type[np.generic] = np.int64
    if np.dtype(np.uint64) in dtypes:
        fits = [array.dtype != np.int64 or (array.ndim == 0 and int(array) >= 0) for array in arrays]
        common = np.uint64 if all(fits) else np.float64
    return [array.astype(common, copy=False) for array in arrays]


def truth(operand: Value) -> Value:
    """Numbers as conditions: 0 is false, anything else true, and NaN neither: it is missing."""
    if operand.is_boolean:
        return operand
    missing = operand.missing
    if operand.values.dtype == np.float64:
        nan = np.isnan(operand.values)
        if nan.any():
            missing = nan if missing is None else missing | nan
    return replace(value(operand.values != 0, operand.offsets, missing), text=operand.text)


def surely(operand: Value) -> Mask:
    """Where a condition is true: neither false nor missing."""
    condition = truth(operand)
    values: Mask = condition.values
    return values if condition.missing is None else values & ~condition.missing
