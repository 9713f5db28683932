"""From the text that a user wrote to an expression, or to one line that says what is wrong with it and where."""

import unicodedata
from collections.abc import Collection

from hepfilter.errors import UsageError, nearest
from hepfilter.events.expressions.building import Part, RefusalError, shown
from hepfilter.events.expressions.grammar import parser
from hepfilter.events.expressions.program import Expression, Step

MAX_CHARACTERS = 20_000
HINTS = {
    "^": "'^' means power in ROOT's TTreeFormula and xor in C++ and Python; write ** or pow(a, b)",
    "=": "'=' assigns; write == to compare",
    "'": "text in quotes; an expression compares numbers and conditions only",
    '"': "text in quotes; an expression compares numbers and conditions only",
    "`": "a backtick; write branch names as they are",
    ";": "';' ends a statement; write one expression, with && between its conditions",
    "@": "'@'; write Length$(x) for the number of objects",
    "{": "braces; group with ( )",
    "}": "braces; group with ( )",
    ".": "'.' outside a name or a number; attributes and methods are not known here",
    "\\": "a backslash; write the expression without it",
    "$": "'$'; ROOT's names such as Entry$ are not known here, only Sum$, Max$, Min$, MaxIf$, MinIf$, Length$, Alt$",
}
WORDS = {
    "if": "write condition ? a : b",
    "else": "write condition ? a : b",
    "in": "write x == 1 || x == 2",
    "is": "write ==",
    "for": "loops are not written here; conditions on lists go over all objects",
}


def parse_expression(text: str, branch_names: Collection[str] | None = None) -> Expression:
    """The expression that `text` spells, over branches of a tree that has `branch_names`; None takes any name for one.

    UsageError, in one line, if it is no expression, too long, too deep, or names something that is not there.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"selection expression: {len(text):,} characters are too many, the limit is {MAX_CHARACTERS:,}; shorten it"
        )
    if not text.strip():
        raise UsageError("selection expression: it is empty; write a condition, such as nMuon >= 2")
    try:
        steps = _parse(text).steps
        branches = _branches(steps, None if branch_names is None else frozenset(branch_names))
    except RefusalError as refusal:
        raise UsageError(f"selection expression, column {refusal.position + 1}: {refusal}") from None
    return Expression(text, branches, tuple(steps))


def _parse(text: str) -> Part:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        part = parser().parse(text)
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0
        raise RefusalError(position, _wrong_character(text, position)) from None
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        position = len(text.rstrip()) if at_end else error.token.start_pos or 0
        raise RefusalError(position, _wrong_token(text, error.token, position, error.expected, at_end=at_end)) from None
    assert isinstance(part, Part)
    return part


def _wrong_character(text: str, position: int) -> str:
    """Why no word begins at this position."""
    character = text[position]
    if character in HINTS:
        return HINTS[character]
    if character.isascii():
        return f"the character {character!a} has no meaning here"
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return f"the character {name} has no meaning here; write letters, digits and signs of ASCII"


def _wrong_token(text: str, token: str, position: int, expected: Collection[str], *, at_end: bool) -> str:
    """Why the text cannot go on with this word."""
    wants_value = "NAME" in expected
    if at_end:
        missing = [sign for name, sign in (("RPAR", ")"), ("RSQB", "]"), ("COLON", ":")) if name in expected]
        return f"the text ends where {'a value' if wants_value else ' or '.join(missing)} is missing"
    if token in WORDS:
        return f"'{token}' is not known here; {WORDS[token]}"
    if token == "/" and text[position - 1] == "/":
        return "'//'; write floor(a / b)"
    return f"{'a value' if wants_value else 'an operator'} is missing before '{shown(token)}'"


def _branches(steps: list[Step], names: frozenset[str] | None) -> tuple[str, ...]:
    """The branches that are used, each once; RefusalError at the first that is not among `names`, if there are such."""
    used = [step for step in steps if step.kind == "branch"]
    for step in used:
        if names is None or step.name in names:
            continue
        parent = step.name
        while "." in parent:
            parent = parent.rpartition(".")[0]
            if parent in names:
                raise RefusalError(
                    step.position + len(parent),
                    f"{shown(parent)} is a branch, {shown(step.name)} is none; attributes are not known here",
                )
        raise RefusalError(step.position, f"no branch {shown(step.name)}{nearest(step.name[:200], names)}")
    return tuple(dict.fromkeys(step.name for step in used))
