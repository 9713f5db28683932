"""The grammar. Lark is imported by `parser` alone, when the first text comes.

LALR: the parser has a stack of its own and calls back from the inside out, so no text makes Python recurse.
"""

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hepfilter.events.expressions.building import CALLBACKS, Part

if TYPE_CHECKING:
    from lark import Lark

# The levels are those of C, except that all comparisons share one and `not` has Python's. Where C and Python would
# group a text differently, a callback refuses it.
GRAMMAR = r"""
?expression: disjunction
    | disjunction QUESTION expression COLON expression -> conditional
?disjunction: conjunction
    | disjunction OR conjunction -> binary
?conjunction: negation
    | conjunction AND negation -> binary
?negation: bit_or
    | NOT negation -> unary
?bit_or: bit_xor
    | bit_or PIPE bit_xor -> binary
?bit_xor: comparison
    | bit_xor AMPERSAND comparison -> binary
?comparison: shift
    | comparison COMPARE shift -> binary
?shift: sum
    | shift SHIFT sum -> binary
?sum: product
    | sum (PLUS | MINUS) product -> binary
?product: signed
    | product TIMES signed -> binary
?signed: power
    | (MINUS | PLUS | BANG | TILDE) signed -> unary
?power: item
    | item POWER signed -> binary
?item: atom
    | item LSQB expression RSQB -> subscript
?atom: NUMBER -> number
    | NAME -> name
    | NAME LPAR [expression ("," expression)*] RPAR -> call
    | LPAR expression RPAR -> group

OR.1: /\|\||or(?![A-Za-z0-9_.:$])/
AND.1: /&&|and(?![A-Za-z0-9_.:$])/
NOT.1: /not(?![A-Za-z0-9_.:$])/
PIPE: "|"
AMPERSAND: "&"
COMPARE: "<=" | ">=" | "==" | "!=" | "<" | ">"
SHIFT.1: "<<" | ">>"
PLUS: "+"
MINUS: "-"
TIMES: /[*\/%]/
BANG: "!"
TILDE: "~"
POWER.1: "**"
QUESTION: "?"
COLON: ":"
LPAR: "("
RPAR: ")"
LSQB: "["
RSQB: "]"
NAME: /[A-Za-z_][A-Za-z0-9_]*((::|\.)[A-Za-z_][A-Za-z0-9_]*)*\$?/
NUMBER: /0[xX][A-Za-z0-9_.]*|\.?[0-9]([eE][+-]|[A-Za-z0-9_.])*/
%ignore /[ \t\r\n]+/
"""


@cache
def parser() -> "Lark":
    """The parser, whose `parse` gives a Part; building it takes some 20 ms, once."""
    from lark import Lark

    inlined = {name: _inline(callback) for name, callback in CALLBACKS.items()}
    return Lark(GRAMMAR, start="expression", parser="lalr", lexer="basic", transformer=SimpleNamespace(**inlined))


def _inline(callback: Callable[..., Part]) -> Callable[[list[Any]], Part]:
    """The callback that takes the children of a rule as Lark gives them, in one list."""
    return lambda children: callback(*children)
