"""The operators: elementwise over events, or over objects where an operand is a list; missing in, missing out."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.expressions.values import (
    Mask,
    MisfitError,
    Value,
    align,
    any_missing,
    offsets_of,
    require_same_lengths,
    surely,
    truth,
    unify,
    value,
)


def elementwise(function: Callable[..., NDArray[Any]], *, whole: bool = False) -> Callable[..., Value]:
    """A function of numbers, computed in float64; with `whole` its result is whole if all operands are."""

    def _apply(*operands: Value) -> Value:
        aligned = align(operands)
        numbers = [operand.values.astype(np.float64, copy=False) for operand in aligned]
        is_whole = whole and all(operand.whole for operand in aligned)
        return value(function(*numbers), offsets_of(aligned), any_missing(aligned), whole=is_whole)

    return _apply


def extreme(function: np.ufunc) -> Callable[..., Value]:
    """`min` or `max` of two or more operands; whole numbers stay exact, a NaN gives NaN."""

    def _apply(*operands: Value) -> Value:
        aligned = align(operands)
        arrays = unify(aligned)
        result = arrays[0]
        for array in arrays[1:]:
            result = function(result, array)
        is_whole = all(operand.whole for operand in aligned)
        return value(result, offsets_of(aligned), any_missing(aligned), whole=is_whole)

    return _apply


def _comparison(function: np.ufunc) -> Callable[[Value, Value], Value]:
    """A comparison; that of two 64-bit integers is exact, whatever their signs, else it is made in float64."""

    def _apply(left: Value, right: Value) -> Value:
        a, b = align((left, right))
        return value(function(a.values, b.values), offsets_of((a, b)), any_missing((a, b)))

    return _apply


def conjunction(left: Value, right: Value) -> Value:
    """Kleene's `and`: false if one side is false, be the other missing."""
    a, b = align((truth(left), truth(right)))
    return value(a.values & b.values, offsets_of((a, b)), _undecided(a, b, decided=False))


def disjunction(left: Value, right: Value) -> Value:
    """Kleene's `or`: true if one side is true, be the other missing."""
    a, b = align((truth(left), truth(right)))
    return value(a.values | b.values, offsets_of((a, b)), _undecided(a, b, decided=True))


def _undecided(a: Value, b: Value, *, decided: bool) -> Mask | None:
    """Where one side is missing and neither side has the value that decides alone."""
    missing = any_missing((a, b))
    if missing is None:
        return None
    for side in (a, b):
        decides = side.values == decided
        missing = missing & ~(decides if side.missing is None else decides & ~side.missing)
    return missing


def negation(operand: Value) -> Value:
    """`!`; what is missing stays missing."""
    condition = truth(operand)
    return value(~condition.values, condition.offsets, condition.missing)


def minus(operand: Value) -> Value:
    """The sign changed, in float64."""
    return elementwise(np.negative, whole=True)(operand)


def plus(operand: Value) -> Value:
    """The number itself; true is 1."""
    return elementwise(np.positive, whole=True)(operand) if operand.is_boolean else operand


def remainder(left: Value, right: Value) -> Value:
    """`%` of whole numbers with the sign of the left one, as in C and ROOT; missing where the right one is 0."""
    for operand in (left, right):
        if not operand.whole:
            raise MisfitError(f"% takes whole numbers, {operand.text} is real; write fmod(a, b), or floor(…) first")
    aligned = align((left, right))
    a, b = (array.astype(np.int64) if array.dtype == np.bool_ else array for array in unify(aligned))
    missing, zero = any_missing(aligned), b == 0
    if zero.any():
        missing = zero if missing is None else missing | zero
    return value(np.fmod(a, b), offsets_of(aligned), missing, whole=True)


def _bitwise(
    function: np.ufunc, sign: str, logical: Callable[[Value, Value], Value]
) -> Callable[[Value, Value], Value]:
    """`&` or `|`: that of conditions is the logical one, that of whole numbers goes bit by bit."""

    def _apply(left: Value, right: Value) -> Value:
        if left.is_boolean and right.is_boolean:
            return logical(left, right)
        aligned = [_bits(operand, sign) for operand in align((left, right))]
        if any(operand.values.dtype == np.uint64 for operand in aligned):
            a, b = (operand.values.astype(np.uint64, copy=False) for operand in aligned)  # two's complement, as in C
        else:
            a, b = (operand.values for operand in aligned)
        return value(function(a, b), offsets_of(aligned), any_missing(aligned))

    return _apply


def _shift(function: np.ufunc, sign: str) -> Callable[[Value, Value], Value]:
    """`<<` or `>>` of 64-bit integers; missing unless shifted by 0 to 63, which C leaves undefined."""

    def _apply(left: Value, right: Value) -> Value:
        a, b = aligned = [_bits(operand, sign) for operand in align((left, right))]
        inside = (b.values >= 0) & (b.values < 64)
        by = np.where(inside, b.values, 0).astype(a.values.dtype)
        missing = any_missing(aligned)
        if not inside.all():
            missing = ~inside if missing is None else missing | ~inside
        return value(function(a.values, by), offsets_of(aligned), missing)

    return _apply


def complement(operand: Value) -> Value:
    """`~`: `!` of a condition, as in NumPy, all bits flipped of a whole number."""
    if operand.is_boolean:
        return negation(operand)
    bits = _bits(operand, "~")
    return value(np.invert(bits.values), bits.offsets, bits.missing)


def _bits(operand: Value, sign: str) -> Value:
    """A whole number as a 64-bit integer; missing where it lies beyond."""
    if not operand.whole:
        raise MisfitError(f"{sign} takes conditions or whole numbers, {operand.text} is real; compare it first")
    if operand.values.dtype.kind in "iu":
        return operand
    if operand.is_boolean:
        return value(operand.values.astype(np.int64), operand.offsets, operand.missing)
    inside = np.abs(operand.values) < 2.0**63  # false for NaN
    bits = np.where(inside, operand.values, 0).astype(np.int64)
    missing = ~inside if operand.missing is None else ~inside | operand.missing
    return value(bits, operand.offsets, missing if missing.any() else None)


def conditional(condition: Value, if_true: Value, if_false: Value) -> Value:
    """`c ? a : b`; missing where the condition is, or the chosen side."""
    aligned = align((truth(condition), if_true, if_false))
    chosen, a, b = aligned
    values = np.where(chosen.values, *unify((a, b)))
    missing = chosen.missing
    if a.missing is not None or b.missing is not None:
        sides = [np.False_ if side.missing is None else side.missing for side in (a, b)]
        of_chosen = np.where(chosen.values, *sides)
        missing = of_chosen if missing is None else missing | of_chosen
    return value(values, offsets_of(aligned), missing, whole=a.whole and b.whole)


def alternative(primary: Value, other: Value) -> Value:
    """ROOT's ``Alt$(x, y)``: x, or y where x is missing."""
    aligned = align((primary, other))
    a, b = aligned
    missing = np.False_ if a.missing is None else a.missing
    values = np.where(missing, *reversed(unify((a, b))))
    still = None if a.missing is None or b.missing is None else a.missing & b.missing
    return value(values, offsets_of(aligned), still, whole=a.whole and b.whole)


def subscript(operand: Value, index: Value) -> Value:
    """`x[i]`, one object an event, or `x[mask]`, the objects for which the mask is true."""
    if operand.offsets is None:
        raise MisfitError(f"{operand.text} is one value an event and takes no [ ]; write it alone")
    if index.offsets is not None:
        if index.is_boolean:
            return masked(operand, index)
        raise MisfitError(
            f"{index.text} is a list of numbers; in [ ] write a condition, as in {operand.text}[{index.text} != 0], or "
            f"look objects up by Take({operand.text}, {index.text})"
        )
    return take(operand, index)


def masked(operand: Value, mask: Value) -> Value:
    """The objects for which the mask is true, neither false nor missing."""
    assert operand.offsets is not None
    if mask.offsets is not None:  # else a constant
        require_same_lengths(operand, mask)
    kept = surely(mask)
    if kept.ndim == 0:
        kept = np.broadcast_to(kept, operand.values.shape)
    before = np.concatenate([[0], np.cumsum(kept)])
    missing = None if operand.missing is None else operand.missing[kept]
    return value(operand.values[kept], before[operand.offsets], missing, whole=operand.whole)


def take(operand: Value, index: Value) -> Value:
    """The objects with these numbers, counted from 0, in the shape of the index; missing where there is none."""
    assert operand.offsets is not None
    if index.is_boolean or not index.whole:
        kind = "a condition for the event" if index.is_boolean else "real"
        raise MisfitError(f"{index.text} is {kind}; an index is a whole number, as in {operand.text}[0]")
    starts, lengths = operand.offsets[:-1], np.diff(operand.offsets)
    if index.offsets is not None:
        objects = np.diff(index.offsets)
        starts, lengths = np.repeat(starts, objects), np.repeat(lengths, objects)
    inside = (index.values >= 0) & (index.values < lengths)
    if index.missing is not None:
        inside = inside & ~index.missing
    if not len(operand.values):
        return value(np.zeros(len(starts), operand.values.dtype), index.offsets, ~inside, whole=operand.whole)
    positions = np.where(inside, starts + np.where(inside, index.values, 0).astype(np.int64), 0)
    missing = None if inside.all() else ~inside
    if operand.missing is not None:
        missing = ~inside | operand.missing[positions]
    return value(operand.values[positions], index.offsets, missing, whole=operand.whole)


BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "+": elementwise(np.add, whole=True),
    "-": elementwise(np.subtract, whole=True),
    "*": elementwise(np.multiply, whole=True),
    "/": elementwise(np.divide),
    "**": elementwise(np.power),
    "%": remainder,
    "<": _comparison(np.less),
    "<=": _comparison(np.less_equal),
    ">": _comparison(np.greater),
    ">=": _comparison(np.greater_equal),
    "==": _comparison(np.equal),
    "!=": _comparison(np.not_equal),
    "&&": conjunction,
    "||": disjunction,
    "<<": _shift(np.left_shift, "<<"),
    ">>": _shift(np.right_shift, ">>"),
    "&": _bitwise(np.bitwise_and, "&", conjunction),
    "|": _bitwise(np.bitwise_or, "|", disjunction),
}
UNARY: dict[str, Callable[[Value], Value]] = {"-": minus, "+": plus, "!": negation, "~": complement}
