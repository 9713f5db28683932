"""Selection expressions by chance: any row of words and signs is understood or refused, at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import UsageError
from hepfilter.events.expressions import Column, parse_expression
from hepfilter.events.expressions.functions import FUNCTIONS
from tests.fuzzing.harness import examples, survives

COUNT = 3
COLUMNS = {
    "n": Column(np.array([0, 1, 2], np.uint32)),
    "x": Column(np.array([np.nan, -1.5, np.inf], np.float32)),
    "hlt": Column(np.array([True, False, True])),
    "id": Column(np.array([0, 2**63, 2**64 - 1], np.uint64)),
    "pt": Column(np.array([1.0, 2.0, 1e38], np.float32), np.array([0, 0, 1, 3])),
    "charge": Column(np.array([-1, 1, -(2**31)], np.int32), np.array([0, 0, 1, 3])),
    "eta": Column(np.array([0.5, np.nan], np.float64), np.array([0, 2, 2, 2])),
}
SIGNS = [
    "||",
    "&&",
    "or",
    "and",
    "not",
    "!",
    "|",
    "&",
    "^",
    "<",
    "<=",
    "==",
    "!=",
    "<<",
    ">>",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "~",
    "?",
    ":",
    "[",
    "]",
    "(",
    ")",
    ",",
    ".",
    "//",
    "=",
    "$",
    ";",
    "'",
    "@",
]
NOISE = ["\n", "é", "\x00", "\u202e", "\x1b"]
NUMBERS = ["0", "1", "2", "-1", "1.5", "1e308", "64", "0x1F", "010", "1e309", "18446744073709551616"]
HUGE = ["9" * 500, "1e" + "9" * 50]
WORDS = st.sampled_from(
    [*COLUMNS, *FUNCTIONS, *SIGNS, *NOISE, *NUMBERS, *HUGE, "true", "if", "lambda", "__class__", "x.y", "import"]
)


def passes(text: str) -> None:
    parse_expression(text, COLUMNS).passes(COLUMNS, COUNT)


def nested() -> st.SearchStrategy[str]:
    """Texts that mostly are expressions."""
    leaf = st.sampled_from([*COLUMNS, *NUMBERS[:8], "true"])

    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.tuples(inner, st.sampled_from([sign for sign in SIGNS[:21] if sign not in ("not", "!")]), inner)
        calls = st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=4))
        return st.one_of(
            binary.map(lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"),
            calls.map(lambda call: f"{call[0]}({', '.join(call[1])})"),
            st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
            st.tuples(inner, inner, inner).map(lambda three: f"({three[0]}) ? ({three[1]}) : ({three[2]})"),
            st.tuples(st.sampled_from(["-", "!", "~", "not "]), inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        )

    return st.recursive(leaf, around, max_leaves=10)


@examples(250)
@given(words=st.lists(WORDS, max_size=14), gap=st.sampled_from(["", " "]))
def test_any_row_of_words(words: list[str], gap: str) -> None:
    survives(lambda: passes(gap.join(words)))


@examples(300)
@given(text=nested())
def test_any_expression(text: str) -> None:
    survives(lambda: passes(text))


@examples(100)
@given(text=st.text(max_size=60))
def test_any_text(text: str) -> None:
    survives(lambda: passes(text))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "n" + ")" * 5000,
        "(" * 9000,
        "!" * 9000 + "n",
        "-" * 9000 + "n",
        "n ? " * 2000 + "n",
        "pt[" * 2000,
        "abs(" * 2000 + "n",
        "n ** " * 2000 + "n",
        "n < " * 2000 + "n",
        "1" * 9999,
        "0x" + "f" * 9990,
        "a" * 9999,
        "a." * 4999 + "a",
        "max(" + "n," * 3000 + "n)",
        "n > 1 " * 5000,
        "n" * 10**6,
    ],
)
def test_long_ones_are_refused_or_quick(text: str) -> None:
    message = survives(lambda: passes(text))
    assert message is None or message.startswith("selection expression")


def test_only_what_options_raise() -> None:
    for text in ("n +", "n.__class__", "exec(n)", "().__class__", "pt", "n @ 1", "`ls`", "\x1b[2J"):
        with pytest.raises(UsageError, match="selection expression"):
            passes(text)
