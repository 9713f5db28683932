"""The functions: of numbers, over the objects of an event, and of kinematics; each under all its spellings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.expressions.operators import alternative, elementwise, extreme, masked, negation, take
from hepfilter.events.expressions.values import (
    Mask,
    MisfitError,
    Offsets,
    Value,
    align,
    any_missing,
    offsets_of,
    surely,
    truth,
    value,
)
from hepfilter.events.kinematics import delta_phi, delta_r


@dataclass(frozen=True)
class Function:
    """What a call does, and how many arguments it takes; `most` None: any number."""

    apply: Callable[..., Value]
    least: int = 1
    most: int | None = 1


def _reduce(function: np.ufunc, values: NDArray[Any], offsets: Offsets, *, empty: Any) -> NDArray[Any]:
    """The function over the objects of each event; `empty` where there are none."""
    result = np.full(len(offsets) - 1, empty, values.dtype)
    filled = offsets[1:] > offsets[:-1]
    if filled.any():
        result[filled] = function.reduceat(values, offsets[:-1][filled])
    return result


def _missing_in_event(objects: Value, offsets: Offsets) -> Mask | None:
    """The events with at least one missing object."""
    if objects.missing is None:
        return None
    missing: Mask = _reduce(np.logical_or, objects.missing, offsets, empty=False)
    return missing


def _objects(name: str, operand: Value) -> Offsets:
    """The offsets of a list; MisfitError for anything else."""
    if operand.offsets is None:
        raise MisfitError(f"{name} goes over the objects of an event, {operand.text} is one value; write it alone")
    return operand.offsets


def _sum(name: str) -> Callable[[Value], Value]:
    def apply(operand: Value) -> Value:
        offsets = _objects(name, operand)
        total = _reduce(np.add, operand.values.astype(np.float64, copy=False), offsets, empty=0)
        return value(total, None, _missing_in_event(operand, offsets), whole=operand.whole)

    return apply


def _extreme(name: str, function: np.ufunc) -> Callable[[Value], Value]:
    """The largest or smallest object; an event without objects has none, so it is missing."""

    def apply(operand: Value) -> Value:
        offsets = _objects(name, operand)
        values = operand.values.astype(np.int64) if operand.is_boolean else operand.values
        return value(
            _reduce(function, values, offsets, empty=0), None, _or_empty(operand, offsets), whole=operand.whole
        )

    return apply


def _extreme_if(name: str, function: np.ufunc) -> Callable[[Value, Value], Value]:
    def apply(operand: Value, condition: Value) -> Value:
        _objects(name, operand)
        kept, mask = align((operand, truth(condition)))
        return _extreme(name, function)(masked(kept, mask))

    return apply


def _or_empty(operand: Value, offsets: Offsets) -> Mask | None:
    """The events where an object is missing or there is none."""
    missing = _missing_in_event(operand, offsets)
    empty: Mask = offsets[1:] == offsets[:-1]
    if not empty.any():
        return missing
    return empty if missing is None else missing | empty


def _mean(name: str) -> Callable[[Value], Value]:
    def apply(operand: Value) -> Value:
        offsets = _objects(name, operand)
        total = _sum(name)(operand).values
        return value(total / np.diff(offsets), None, _or_empty(operand, offsets))

    return apply


def _length(name: str) -> Callable[[Value], Value]:
    def apply(operand: Value) -> Value:
        return value(np.diff(_objects(name, operand)))

    return apply


def _any(name: str) -> Callable[[Value], Value]:
    """Kleene's `or` over the objects: true if one is true, be others missing; false for none."""

    def apply(operand: Value) -> Value:
        offsets, condition = _objects(name, operand), truth(operand)
        missing = _missing_in_event(condition, offsets)
        true = _reduce(np.logical_or, surely(condition), offsets, empty=False)
        return value(true, None, None if missing is None else missing & ~true)

    return apply


def _all(name: str) -> Callable[[Value], Value]:
    """Kleene's `and` over the objects: false if one is false, be others missing; true for none."""

    def apply(operand: Value) -> Value:
        offsets, condition = _objects(name, operand), truth(operand)
        missing = _missing_in_event(condition, offsets)
        fails = _reduce(np.logical_or, surely(negation(condition)), offsets, empty=False)
        return value(~fails, None, None if missing is None else missing & ~fails)

    return apply


def _take(operand: Value, index: Value) -> Value:
    _objects("Take", operand)
    _objects("Take", index)
    return take(operand, index)


def _invariant_mass(*operands: Value) -> Value:
    """m of the sum of the four-momenta of an event's objects, 0 for none, as ROOT::VecOps::InvariantMass.

    Computed in float64; m² that rounding makes negative counts as 0.
    """
    aligned = align(operands)
    offsets = offsets_of(aligned)
    if offsets is None:
        raise MisfitError("InvariantMass goes over the objects of an event; give it lists, as in Muon_pt[Muon_pt > 20]")
    size = int(offsets[-1])
    pt, eta, phi, mass = (np.broadcast_to(operand.values, size).astype(np.float64, copy=False) for operand in aligned)
    momentum = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    energy = np.sqrt(sum(component**2 for component in momentum) + mass**2)
    x, y, z, e = (_reduce(np.add, component, offsets, empty=0) for component in (*momentum, energy))
    squared = e**2 - x**2 - y**2 - z**2
    missing = any_missing(aligned)
    if missing is not None:
        missing = _reduce(np.logical_or, np.broadcast_to(missing, size), offsets, empty=False)
    return value(np.sqrt(np.where(squared < 0, 0.0, squared)), None, missing)


_NUMBER: dict[tuple[str, ...], Function] = {
    ("abs", "fabs", "std::abs", "std::fabs", "TMath::Abs"): Function(elementwise(np.abs, whole=True)),
    ("floor", "std::floor", "TMath::Floor"): Function(lambda x: replace(elementwise(np.floor)(x), whole=True)),
    ("ceil", "std::ceil", "TMath::Ceil"): Function(lambda x: replace(elementwise(np.ceil)(x), whole=True)),
    ("min", "std::min", "TMath::Min"): Function(extreme(np.minimum), 2, None),
    ("max", "std::max", "TMath::Max"): Function(extreme(np.maximum), 2, None),
    ("pow", "std::pow", "TMath::Power"): Function(elementwise(np.power), 2, 2),
    ("atan2", "std::atan2", "TMath::ATan2"): Function(elementwise(np.arctan2), 2, 2),
    ("hypot", "std::hypot", "TMath::Hypot"): Function(elementwise(np.hypot), 2, 2),
    ("fmod", "std::fmod"): Function(elementwise(np.fmod), 2, 2),
    ("TMath::Pi",): Function(lambda: value(np.asarray(np.pi)), 0, 0),
    ("Alt$",): Function(alternative, 2, 2),
}  # fmt: skip
_UNARY: dict[str, tuple[str, np.ufunc]] = {
    "sqrt": ("Sqrt", np.sqrt), "exp": ("Exp", np.exp), "log": ("Log", np.log), "log10": ("Log10", np.log10),
    "sin": ("Sin", np.sin), "cos": ("Cos", np.cos), "tan": ("Tan", np.tan), "asin": ("ASin", np.arcsin),
    "acos": ("ACos", np.arccos), "atan": ("ATan", np.arctan), "sinh": ("SinH", np.sinh), "cosh": ("CosH", np.cosh),
    "tanh": ("TanH", np.tanh),
}  # fmt: skip
_OBJECTS: dict[tuple[str, ...], Callable[[str], Callable[..., Value]]] = {
    ("Sum$", "Sum", "sum"): _sum,
    ("Max$", "Max"): lambda name: _extreme(name, np.maximum),
    ("Min$", "Min"): lambda name: _extreme(name, np.minimum),
    ("Mean", "mean"): _mean,
    ("Length$", "len", "size"): _length,
    ("Any", "any"): _any,
    ("All", "all"): _all,
}
FUNCTIONS: dict[str, Function] = {
    **{name: function for names, function in _NUMBER.items() for name in names},
    **{
        name: Function(elementwise(function))
        for spelled, (capital, function) in _UNARY.items()
        for name in (spelled, f"std::{spelled}", f"TMath::{capital}")
    },
    **{name: Function(make(name)) for names, make in _OBJECTS.items() for name in names},
    "MaxIf$": Function(_extreme_if("MaxIf$", np.maximum), 2, 2),
    "MinIf$": Function(_extreme_if("MinIf$", np.minimum), 2, 2),
    "Take": Function(_take, 2, 2),
    "DeltaPhi": Function(elementwise(lambda phi_1, phi_2: delta_phi(phi_2, phi_1)), 2, 2),  # as ROOT: φ₂ − φ₁
    "DeltaR": Function(elementwise(lambda eta_1, eta_2, phi_1, phi_2: delta_r(eta_1, phi_1, eta_2, phi_2)), 4, 4),
    "InvariantMass": Function(_invariant_mass, 4, 4),
}
for _name in ("Sum", "Max", "Min", "Mean", "Any", "All", "Take", "DeltaPhi", "DeltaR", "InvariantMass"):
    FUNCTIONS[f"ROOT::VecOps::{_name}"] = FUNCTIONS[_name]
