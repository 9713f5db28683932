"""What a report says of how an output is laid out."""

from types import SimpleNamespace
from typing import Any

from hepfilter.skim.layout_notes import layout_notes


def test_each_thing_that_a_user_may_not_expect_is_told_once() -> None:
    main: Any = SimpleNamespace(left_out=("a",), filled=(("b", 0), ("c", -1)))
    other: Any = SimpleNamespace(left_out=("not told",), filled=())
    choice: Any = SimpleNamespace(forced=("run", "event"), unmatched=("keep x*",))
    assert layout_notes({"Events": main, "Runs": other}, "Events", choice, None, shared=("h",)) == (
        "kept in spite of the rules, as others need them: run, event",
        "keep x*: matches no branch",
        "not all inputs have, and the output has not: a",
        "stands for what an input lacks: b = 0, c = -1",
        "histogram h is in several inputs: each stands as a cycle of the name, in the order of the inputs, "
        "and they are not added up",
    )


def test_where_all_is_as_expected_nothing_is_told() -> None:
    layout: Any = SimpleNamespace(left_out=(), filled=())
    choice: Any = SimpleNamespace(forced=(), unmatched=())
    assert layout_notes({"Events": layout}, "Events", choice, None, shared=()) == ()
