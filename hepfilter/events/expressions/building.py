"""What each part of the grammar becomes: steps, or a refusal that says what is wrong and what would work.

The parser calls these functions from the inside of the text outwards.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hepfilter.errors import nearest
from hepfilter.events.expressions.functions import FUNCTIONS
from hepfilter.events.expressions.program import Step
from hepfilter.wording import counted

if TYPE_CHECKING:
    from lark import Token

MAX_DEPTH = 200
Kind = Literal["item", "unary", "power", "arithmetic", "comparison", "bits", "logic"]
SPELLED = {"or": "||", "and": "&&", "not": "!"}
CONSTANTS = {"true": True, "True": True, "false": False, "False": False}


class RefusalError(Exception):
    """What is wrong at one position of the text, and what would work; `parse_expression` makes it a UsageError."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


@dataclass
class Part:
    """A piece of the text that has been understood.

    `kind` says which operator stands outermost and unparenthesised, `depth` how deep it nests; a chain of binary
    operators is no deeper than its deepest operand.
    """

    steps: list[Step]
    start: int
    stop: int
    depth: int = 1
    kind: Kind = "item"


KINDS: dict[str, Kind] = {
    "**": "power", "&": "bits", "|": "bits", "&&": "logic", "||": "logic",
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), "comparison"),
}  # fmt: skip


def number(token: "Token") -> Part:
    """A constant, exact if it is whole."""
    start = _start(token)
    step = Step("number", str(token), 0, start, start + len(token), start, _number(str(token), start))
    return Part([step], start, start + len(token))


def name(token: "Token") -> Part:
    """A branch, not yet looked up, or true or false."""
    start = _start(token)
    if str(token) in CONSTANTS:
        step = Step("number", str(token), 0, start, start + len(token), start, CONSTANTS[str(token)])
    else:
        step = Step("branch", str(token), 0, start, start + len(token), start)
    return Part([step], start, start + len(token))


def group(opening: "Token", inside: Part, closing: "Token") -> Part:
    """Parentheses: they settle how the text groups."""
    return Part(inside.steps, _start(opening), _start(closing) + 1, _deeper(opening, inside))


def call(name: "Token", opening: "Token", *rest: "Part | Token | None") -> Part:
    """A function of the table with as many arguments as it takes."""
    start, stop = _start(name), _start(rest[-1]) + 1  # type: ignore[arg-type]
    arguments = [part for part in rest if isinstance(part, Part)]
    check_call(str(name), arguments, start)
    steps = [step for part in arguments for step in part.steps]
    steps.append(Step("call", str(name), len(arguments), start, stop, start))
    return Part(steps, start, stop, _deeper(opening, *arguments))


def subscript(item: Part, opening: "Token", index: Part, closing: "Token") -> Part:
    """`x[…]`."""
    position, stop = _start(opening), _start(closing) + 1
    if index.kind == "unary" and len(index.steps) <= 2 and str(index.steps[-1].name).startswith("-"):
        raise RefusalError(
            position + 1, "a negative index: the last object in Python, none in ROOT; write x[Length$(x) - 1]"
        )
    item.steps.extend(index.steps)
    item.steps.append(Step("operator", "[", 2, item.start, stop, position))
    return Part(item.steps, item.start, stop, max(item.depth, _deeper(opening, index)))


def unary(sign: "Token", operand: Part) -> Part:
    """A sign, `!`, `~` or `not`."""
    start, name = _start(sign), SPELLED.get(str(sign), str(sign))
    if sign == "not" and operand.kind in ("power", "arithmetic", "comparison", "bits"):
        raise RefusalError(start, "'not' takes in more in Python than in C++; write not (…), or (not a) before …")
    if name == "-" and len(operand.steps) == 1 and _is_whole(operand.steps[0]):
        steps = [_negative(operand.steps[0], start)]
    else:
        steps = operand.steps
        steps.append(Step("operator", name, 1, start, operand.stop, start))
    return Part(steps, start, operand.stop, _deeper(sign, operand), "logic" if sign == "not" else "unary")


def binary(left: Part, sign: "Token", right: Part) -> Part:
    """Two operands, if C and Python would group them alike."""
    name = SPELLED.get(str(sign), str(sign))
    kind = KINDS.get(name, "arithmetic")
    check_grouping(name, kind, left, right, _start(sign))
    left.steps.extend(right.steps)
    left.steps.append(Step("operator", name, 2, left.start, right.stop, _start(sign)))
    return Part(left.steps, left.start, right.stop, max(left.depth, _deeper(sign, right)), kind)


def conditional(condition: Part, sign: "Token", first: Part, colon: "Token", second: Part) -> Part:
    """`c ? a : b`."""
    condition.steps.extend(first.steps)
    condition.steps.extend(second.steps)
    condition.steps.append(Step("operator", "?", 3, condition.start, second.stop, _start(sign)))
    return Part(condition.steps, condition.start, second.stop, _deeper(sign, condition, first, second), "logic")


CALLBACKS: dict[str, Callable[..., Part]] = {
    callback.__name__: callback for callback in (number, name, group, call, subscript, unary, binary, conditional)
}


def check_grouping(name: str, kind: str, left: Part, right: Part, position: int) -> None:
    """RefusalError where C, Python and ROOT read an unparenthesised text differently."""
    if kind == "comparison" and left.kind == "comparison":
        raise RefusalError(position, "comparisons in a chain; write 2 < n && n < 5 for 2 < n < 5")
    if kind == "bits" and "comparison" in (left.kind, right.kind):
        message = f"C compares before {name}, Python after it; write (a > 1) {name} (b < 2), or {name}{name}"
        raise RefusalError(position, message)
    if kind == "power" and right.kind == "power":
        raise RefusalError(position, "a ** b ** c: ROOT begins at the left, Python at the right; add parentheses")


def check_call(name: str, arguments: list[Part], position: int) -> None:
    """RefusalError unless there is such a function that takes so many arguments."""
    given = len(arguments)
    function = FUNCTIONS.get(name)
    if function is None:
        method = "; methods are not called, write for example Length$(x)" if "." in name else ""
        raise RefusalError(position, f"no function {shown(name)}{method or nearest(name[:40], FUNCTIONS)}")
    if given < function.least or (function.most is not None and given > function.most):
        takes = f"{function.least} or more arguments" if function.most is None else counted(function.least, "argument")
        hint = f"; over the objects of an event write {name.capitalize()}(…)" if name in ("min", "max") else ""
        raise RefusalError(position, f"{name} takes {takes}, not {given}{hint}")
    if name.endswith("DeltaR"):
        second, third = (arguments[i].steps[0].name.lower() for i in (1, 2))
        if "phi" in second and "eta" not in second and "eta" in third and "phi" not in third:
            raise RefusalError(position, "DeltaR takes eta1, eta2, phi1, phi2, as ROOT's does; here φ stands before η")


def shown(text: str) -> str:
    """A piece of the text for a message: ASCII, in one line and not too long."""
    return ascii(text[:40])[1:-1] + ("…" if len(text) > 40 else "")


def _start(token: "Token") -> int:
    assert token.start_pos is not None
    return token.start_pos


def _deeper(token: "Token", *parts: Part) -> int:
    """One level more than the deepest part; RefusalError beyond the limit."""
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise RefusalError(_start(token), f"nested deeper than {MAX_DEPTH} levels; write it flatter")
    return depth


def _number(text: str, position: int) -> int | float:
    """The value of a literal."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|0|[1-9][0-9]*", text):
        if len(text) <= 20 and (whole := int(text, 0)) < 2**64:
            return whole
        raise RefusalError(position, f"{shown(text)} does not fit in 64 bits; write it as a real number, such as 1e30")
    if re.fullmatch(r"([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+", text):
        if (number := float(text)) < float("inf"):
            return number
        raise RefusalError(position, f"{shown(text)} is beyond a double's range, which ends at 1.8e308")
    octal = "; a leading 0 means octal in C only" if re.fullmatch(r"0[0-9]+", text) else ""
    raise RefusalError(position, f"{shown(text)} is no number; write 12, 0x1F, 1.5 or 1e-3{octal}")


def _is_whole(step: Step) -> bool:
    return step.kind == "number" and type(step.number) is int and 0 <= step.number <= 2**63


def _negative(step: Step, start: int) -> Step:
    """A negative constant, exact."""
    return Step("number", f"-{step.name}", 0, start, step.stop, start, -step.number)
