"""A parsed expression: the steps of a machine with a stack, in the order in which they are done.

A list of steps, and no tree, so that neither evaluating nor pickling an expression recurses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import UsageError
from hepfilter.events.expressions.functions import FUNCTIONS
from hepfilter.events.expressions.operators import BINARY, UNARY, conditional, subscript
from hepfilter.events.expressions.values import Column, MisfitError, Value, load, surely, value

SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Step:
    """Take `takes` values from the stack and push one.

    `name` is the branch, the function or the operator; `number` the value of a constant. ``text[start:stop]`` is
    the part of the expression that the pushed value stands for, and `position` where an error points to.
    """

    kind: Literal["number", "branch", "call", "operator"]
    name: str
    takes: int
    start: int
    stop: int
    position: int
    number: int | float | bool = 0


@dataclass(frozen=True)
class Expression:
    """A selection expression, parsed.

    `branches` are those that must be read, each once, in the order of the text.
    """

    text: str
    branches: tuple[str, ...]
    steps: tuple[Step, ...]

    def passes(self, columns: Mapping[str, Column], count: int) -> NDArray[np.bool_]:
        """Which of `count` events pass: where the value is true, or a number other than 0; missing and NaN fail.

        `columns` holds at least `branches`. UsageError if the value is a list per event, or operands do not fit.
        """
        result = self._evaluate(columns, count)
        if result.offsets is not None:
            raise UsageError(
                f"selection expression: {self.text_of(self.steps[-1])} is one value per object, a selection needs one "
                "per event; wrap it in Any(…), All(…) or Sum$(…), or take one object by [0]"
            )
        return np.array(np.broadcast_to(surely(result), count))

    def _evaluate(self, columns: Mapping[str, Column], count: int) -> Value:
        loaded: dict[str, Value] = {}
        stack: list[Value] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                operands = stack[len(stack) - step.takes :]
                del stack[len(stack) - step.takes :]
                try:
                    if step.kind == "branch":
                        if step.name not in loaded:
                            loaded[step.name] = load(columns[step.name], step.name, count)
                        stack.append(loaded[step.name])
                    else:
                        stack.append(replace(_apply(step, operands), text=self.text_of(step)))
                except MisfitError as misfit:
                    raise UsageError(f"selection expression, column {step.position + 1}: {misfit}") from None
        (result,) = stack
        return result

    def text_of(self, step: Step) -> str:
        """The part of the text, in one line and not too long."""
        text = " ".join(self.text[step.start : step.stop].split())
        return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _apply(step: Step, operands: list[Value]) -> Value:
    """The value that a step pushes, if it is no branch."""
    if step.kind == "number":
        return value(constant(step.number))
    if step.kind == "call":
        return FUNCTIONS[step.name].apply(*operands)
    if step.takes == 1:
        return UNARY[step.name](*operands)
    if step.takes == 3:
        return conditional(*operands)
    return subscript(*operands) if step.name == "[" else BINARY[step.name](*operands)


def constant(number: int | float | bool) -> NDArray[np.generic]:
    """A 0-d array; whole numbers beyond 2⁶³ − 1 are uint64."""
    if isinstance(number, int) and not isinstance(number, bool):
        return np.asarray(number, np.int64 if number < 2**63 else np.uint64)
    return np.asarray(number)
