"""Random expressions on random events against a reference that goes event by event in plain Python.

In the reference a value is a number, a bool, a list of these, or None where it is missing.
"""

import math
import operator
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hepfilter.events.expressions import parse_expression
from tests.events.expressions.tables import lists, scalars

COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
           "!=": operator.ne}  # fmt: skip
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def truth(x):
    return None if x is None or x != x else bool(x)


def both(x, y):
    if x is False or y is False:
        return False
    return None if x is None or y is None else True


def invert(x):
    return None if x is None else not x


def either(x, y):
    return invert(both(invert(x), invert(y)))


def lifted(function):
    """None for a missing argument."""
    return lambda *arguments: None if None in arguments else function(*arguments)


def broadcast(function, x, y):
    if isinstance(x, list) or isinstance(y, list):
        length = len(x if isinstance(x, list) else y)
        pairs = zip(*(z if isinstance(z, list) else [z] * length for z in (x, y)), strict=True)
        return [function(*pair) for pair in pairs]
    return function(x, y)


def extreme(choose, values):
    if not values or None in values:
        return None
    return math.nan if any(value != value for value in values) else choose(values)


def index(values, i):
    return None if i is None or not 0 <= i < len(values) else values[int(i)]


def chosen(condition, x, y):
    return None if condition is None else (x if condition else y)


def number(x):
    return None if x is None else float(x)


def binary(sign, x, y):
    if sign in COMPARE:
        return broadcast(lifted(COMPARE[sign]), x, y)
    if sign in ARITHMETIC:
        return broadcast(lambda a, b: lifted(ARITHMETIC[sign])(number(a), number(b)), x, y)
    connect = both if sign in ("&&", "and", "&") else either
    return broadcast(lambda a, b: connect(truth(a), truth(b)), x, y)


# A node is its text and a function from the event, a dict, to the reference's value.
def leaf(text, read=None):
    return text, read or (lambda event: event[text])


def nodes(sign, left, right):
    return f"({left[0]} {sign} {right[0]})", lambda event: binary(sign, left[1](event), right[1](event))


def wrapped(form, function, *inner):
    return form.format(*(text for text, _ in inner)), lambda event: function(*(read(event) for _, read in inner))


def joined(signs, left, right):
    return st.builds(nodes, st.sampled_from(signs), left, right)


def applied(form, function, *inner):
    return st.builds(lambda *parts: wrapped(form, function, *parts), *inner)


CONSTANTS = st.integers(-3, 3).map(lambda i: leaf(str(i), lambda _: i))
WHOLE = st.one_of(
    st.just(leaf("n")),
    st.sampled_from([leaf("0", lambda _: 0), leaf("1", lambda _: 1)]),
    st.just(("(n - 1)", lambda event: event["n"] - 1)),
)
OBJECTS = st.deferred(
    lambda: st.one_of(
        st.sampled_from([leaf("pt"), leaf("q")]),
        joined(list(ARITHMETIC), OBJECTS, NUMBERS | OBJECTS),
        applied("min({}, {})", lambda x, y: broadcast(lifted(smaller), x, y), OBJECTS, NUMBERS),
    )
)
MASKS = st.deferred(
    lambda: st.one_of(
        st.just(leaf("tight")),
        joined(list(COMPARE), OBJECTS, NUMBERS | OBJECTS),
        joined(["&&", "||", "and", "or"], MASKS, MASKS | CONDITIONS | OBJECTS),
        joined(["&", "|"], MASKS, MASKS | CONDITIONS),
        applied("!{}", lambda x: [invert(value) for value in x], MASKS),
    )
)
KEPT = applied("{}[{}]", lambda x, mask: [v for v, kept in zip(x, mask, strict=True) if kept], OBJECTS, MASKS)
REDUCIBLE = OBJECTS | KEPT


def smaller(x, y):
    return math.nan if x != x or y != y else min(x, y)


def total(values):
    return None if None in values else float(sum(values))


NUMBERS = st.deferred(
    lambda: st.one_of(
        st.sampled_from([leaf("n"), leaf("x"), leaf("e")]),
        CONSTANTS,
        joined(list(ARITHMETIC), NUMBERS, NUMBERS | CONDITIONS),
        applied("-({})", lambda x: None if x is None else -float(x), NUMBERS),
        applied("({}[{}])", index, REDUCIBLE, WHOLE),
        applied("({} ? {} : {})", lambda c, x, y: chosen(truth(c), x, y), CONDITIONS | NUMBERS, NUMBERS, NUMBERS),
        applied("Alt$({}, {})", lambda x, y: y if x is None else x, NUMBERS, NUMBERS),
        applied("Sum$({})", total, REDUCIBLE | MASKS),
        applied("Length$({})", len, REDUCIBLE),
        applied("Max$({})", lambda x: extreme(max, x), REDUCIBLE),
        applied("Min({})", lambda x: extreme(min, x), REDUCIBLE),
    )
)
CONDITIONS = st.deferred(
    lambda: st.one_of(
        st.just(leaf("flag")),
        joined(list(COMPARE), NUMBERS, NUMBERS),
        joined(["&&", "||", "and", "or"], CONDITIONS | NUMBERS, CONDITIONS),
        joined(["&", "|"], CONDITIONS, CONDITIONS),
        applied("!{}", invert, CONDITIONS),
        applied("(not {})", lambda x: invert(truth(x)), NUMBERS | CONDITIONS),
        applied("Any({})", lambda x: any_of(map(truth, x)), REDUCIBLE | MASKS),
        applied("All({})", lambda x: invert(any_of(invert(truth(value)) for value in x)), REDUCIBLE | MASKS),
    )
)


def any_of(values):
    result = False
    for value in values:
        result = either(result, value)
    return result


def make_events(count):
    """Events with 0 to 3 objects, and with the numbers at which things go wrong."""
    draw = random.Random(1)
    reals = [0.0, 1.0, -1.0, 2.5, 1e3, math.nan, math.inf, -math.inf]
    events = []
    for _ in range(count):
        n = draw.randrange(4)
        event = {"x": draw.choice(reals), "e": draw.choice([0, 1, 2, 2**53 + 1, 2**63, 2**64 - 1]), "n": n}
        event["flag"] = draw.random() < 0.5
        event["pt"] = [draw.choice(reals) for _ in range(n)]
        event["q"] = [draw.randint(-2, 2) for _ in range(n)]
        event["tight"] = [draw.random() < 0.5 for _ in range(n)]
        events.append(event)
    return events


TABLE = make_events(40)
COLUMNS = {
    **{name: scalars([event[name] for event in TABLE], dtype)
       for name, dtype in (("x", "float64"), ("e", "uint64"), ("flag", "bool"), ("n", "uint32"))},
    **{name: lists([event[name] for event in TABLE], dtype)
       for name, dtype in (("pt", "float64"), ("q", "int32"), ("tight", "bool"))},
}  # fmt: skip


@settings(max_examples=120)
@given(expression=CONDITIONS | NUMBERS)
def test_every_event_passes_as_in_the_reference(expression):
    text, read = expression
    passed = parse_expression(text, COLUMNS).passes(COLUMNS, len(TABLE))
    assert passed.dtype == np.bool_
    assert passed.tolist() == [truth(read(event)) is True for event in TABLE], text
