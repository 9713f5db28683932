"""What is refused: in one line that says what, at which column, and what would work; and fast."""

import time

import pytest

from hepfilter.errors import UsageError
from hepfilter.events.expressions import parse_expression
from hepfilter.events.expressions.building import MAX_DEPTH
from hepfilter.events.expressions.parsing import MAX_CHARACTERS

NAMES = ["nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Jet", "Jet.PT", "orange", "HLT_Mu50"]

REFUSED = [
    ("", "empty; write a condition, such as nMuon >= 2"),
    (" \t\r\n", "empty"),
    ("nMuon = 2", "column 7: '=' assigns; write =="),
    ("nMuon += 2", "column 8: '=' assigns"),
    ("(nMuon := 2)", "column 8: an operator is missing before ':'"),
    ("nMuon^2", "column 6: '^' means power in ROOT's TTreeFormula and xor in C++ and Python; write ** or pow(a, b)"),
    ("2 < nMuon < 5", "column 11: comparisons in a chain; write 2 < n && n < 5"),
    ("nMuon == 1 == true", "column 12: comparisons in a chain"),
    ("nMuon>1 & nMuon<3", "column 9: C compares before &, Python after it; write (a > 1) & (b < 2), or &&"),
    ("nMuon & 1 == 1", "column 7: C compares before &"),
    ("(nMuon > 1) | nMuon < 3", "column 13: C compares before |, Python after it; write (a > 1) | (b < 2), or ||"),
    ("2**3**2", "column 2: a ** b ** c: ROOT begins at the left, Python at the right; add parentheses"),
    ("not nMuon == 2", "column 1: 'not' takes in more in Python than in C++; write not (…)"),
    ("not nMuon & 2", "column 1: 'not' takes in more"),
    ("not nMuon + 2", "column 1: 'not' takes in more"),
    ("Muon_pt[-1] > 2", "column 9: a negative index: the last object in Python, none in ROOT; write x[Length$(x) - 1]"),
    ("Muon_pt[ -nMuon] > 2", "column 9: a negative index"),
    ("nMuon // 2", "column 8: '//'; write floor(a / b)"),
    ("nMuon <> 2", "column 8: a value is missing before '>'"),
    ("nMuon ! 2", "column 7: an operator is missing before '!'"),
    ("nMuon nMuon", "column 7: an operator is missing before 'nMuon'"),
    ("nMuon > 1 and", "column 14: the text ends where a value is missing"),
    ("(nMuon > 1", "column 11: the text ends where ) is missing"),
    ("Muon_pt[0", "column 10: the text ends where ] is missing"),
    ("nMuon ? 1", "column 10: the text ends where : is missing"),
    ("nMuon)", "column 6: an operator is missing before ')'"),
    ("()", "column 2: a value is missing before ')'"),
    ("nMuon in (1, 2)", "column 7: 'in' is not known here; write x == 1 || x == 2"),
    ("1 if nMuon else 2", "column 3: 'if' is not known here; write condition ? a : b"),
    ("lambda x: x", "column 8: an operator is missing before 'x'"),
    ("[x for x in nMuon]", "column 1: a value is missing before '['"),
    ("sum(x for x in y)", "column 7: 'for' is not known here"),
    ("nMuon; nMuon", "column 6: ';' ends a statement"),
    ("`nMuon`", "column 1: a backtick"),
    ("nMuon == 'a'", "column 10: text in quotes"),
    ('"nMuon"', "column 1: text in quotes"),
    ("{nMuon}", "column 1: braces"),
    ("nMuon # all", "column 7: the character '#' has no meaning here"),
    ("@Muon_pt.size()", "column 1: '@'; write Length$(x)"),
    ("Muon_pt.size()", "column 1: no function Muon_pt.size; methods are not called, write for example Length$(x)"),
    ("Jet.PT.size()", "column 1: no function Jet.PT.size; methods"),
    ("(nMuon).real", "column 8: '.' outside a name or a number; attributes and methods are not known here"),
    ("nMuon.real", "column 6: nMuon is a branch, nMuon.real is none; attributes are not known here"),
    ("Jet.PT.T > 1", "column 7: Jet.PT is a branch, Jet.PT.T is none; attributes are not known here"),
    ("Jet.PX > 1", "column 4: Jet is a branch, Jet.PX is none; attributes are not known here"),
    ("jet.PT > 1", "column 1: no branch jet.PT; nearest: Jet.PT"),
    ("().__class__", "column 2: a value is missing before ')'"),
    ("nMuon.__class__.__mro__", "column 6: nMuon is a branch"),
    ("__import__('os')", "column 12: text in quotes"),
    ("__import__(1)", "column 1: no function __import__"),
    ("__builtins__", "column 1: no branch __builtins__"),
    ("eval(1)", "column 1: no function eval"),
    ("sqr(nMuon)", "column 1: no function sqr; nearest: sqrt, std::sqrt"),
    ("TMath::Foor(1)", "column 1: no function TMath::Foor; nearest: TMath::Floor"),
    ("nMuon(1)", "column 1: no function nMuon"),
    ("nMuo > 1", "column 1: no branch nMuo; nearest: nMuon, "),
    ("nMuon > 1 && mu > orange + andy", "column 14: no branch mu"),
    ("Entry$ < 10", "column 1: no branch Entry$"),
    ("$x", "column 1: '$'; ROOT's names such as Entry$ are not known here"),
    ("sqrt()", "column 1: sqrt takes 1 argument, not 0"),
    ("sqrt(1, 2)", "column 1: sqrt takes 1 argument, not 2"),
    ("1 + atan2(1)", "column 5: atan2 takes 2 arguments, not 1"),
    ("max(Muon_pt)", "column 1: max takes 2 or more arguments, not 1; over the objects of an event write Max(…)"),
    ("max(1, 2, )", "column 11: a value is missing before ')'"),
    ("DeltaR(Muon_eta, Muon_phi, Muon_eta[0], Muon_phi[0])", "column 1: DeltaR takes eta1, eta2, phi1, phi2"),
    ("010", "column 1: 010 is no number; write 12, 0x1F, 1.5 or 1e-3; a leading 0 means octal in C only"),
    ("nMuon > 1.5f", "column 9: 1.5f is no number"),
    ("1_000", "column 1: 1_000 is no number"),
    ("0x", "column 1: 0x is no number"),
    ("1..2", "column 1: 1..2 is no number"),
    ("2nMuon", "column 1: 2nMuon is no number"),
    ("nMuon>1and", "column 7: 1and is no number"),
    ("18446744073709551616", "column 1: 18446744073709551616 does not fit in 64 bits"),
    ("1e400", "column 1: 1e400 is beyond a double's range"),
    ("nMuon\x00 > 1", "column 6: the character '\\x00' has no meaning here"),
    ("nMuon \x0b> 1", "column 7: the character '\\x0b' has no meaning here"),
    ("nMuon \u2212 2", "column 7: the character MINUS SIGN has no meaning here; write letters, digits and"),
    ("nMuon ≥ 2", "column 7: the character GREATER-THAN OR EQUAL TO"),
    ("nMu\u043en > 2", "column 4: the character CYRILLIC SMALL LETTER O"),
    ("\uff4eMuon > 2", "column 1: the character FULLWIDTH LATIN SMALL LETTER N"),
    ("nMuon > \u0662", "column 9: the character ARABIC-INDIC DIGIT TWO"),
    ("nMuon\u00a0> 2", "column 6: the character NO-BREAK SPACE"),
    ("nMuon\u2028> 2", "column 6: the character LINE SEPARATOR"),
    ("\ud800", "column 1: the character U+D800"),
]  # fmt: skip

HOSTILE = {
    "1 MB": ("a" * 10**6, "1,000,000 characters are too many, the limit is 20,000"),
    "a million parentheses": ("(" * 10**6 + "1" + ")" * 10**6, "2,000,001 characters are too many"),
    "a million times not": ("!" * 10**6 + "1", "1,000,001 characters"),
    "deep parentheses": ("(" * 9999 + "1" + ")" * 9999, "nested deeper than 200 levels"),
    "open parentheses": ("(" * MAX_CHARACTERS, "the text ends where a value is missing"),
    "open brackets": ("nMuon[" * 3333, "the text ends where a value is missing"),
    "deep brackets": ("Muon_pt[" * 2000 + "0" + "]" * 2000, "nested deeper than 200 levels"),
    "deep calls": ("sqrt(" * 3000 + "1" + ")" * 3000, "nested deeper than 200 levels"),
    "!": ("!" * 19_999 + "1", "nested deeper than 200 levels"),
    "-": ("-" * 19_999 + "1", "nested deeper than 200 levels"),
    "not": ("not " * 4999 + "1", "nested deeper than 200 levels"),
    "?:": ("1?1:" * 4999 + "1", "nested deeper than 200 levels"),
    "? alone": ("1?" * 9999 + "1", "the text ends where : is missing"),
    "**": ("2**" * 6000 + "2", "ROOT begins at the left"),
    "**-": ("2**-" * 4999 + "2", "nested deeper than 200 levels"),
    "a long name": ("x" * MAX_CHARACTERS, "column 1: no branch " + "x" * 40 + "…"),
    "a long function": ("x" * 19_990 + "(1)", "column 1: no function " + "x" * 40 + "…"),
    "a long path": ("x." * 9_999 + "x", "column 1: no branch x.x.x."),
    "a long number": ("1" * MAX_CHARACTERS, "does not fit in 64 bits"),
    "a long fraction": ("1.5" + "e5" * 9000, "is no number"),
    "dots": ("." * MAX_CHARACTERS, "column 1: '.' outside a name"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[ascii(text)[1:-1] for text, _ in REFUSED])
def test_what_is_wrong_is_told_in_one_line(text, message):
    with pytest.raises(UsageError) as caught:
        parse_expression(text, NAMES)
    told = str(caught.value)
    assert told.startswith("selection expression")
    assert message in told
    assert len(told.splitlines()) == 1 and len(told) < 250


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_texts_are_refused_fast(what):
    text, message = HOSTILE[what]
    many = [*NAMES, *(f"HLT_Path_number_{i}" for i in range(2000))]
    parse_expression("nMuon", NAMES)  # the parser is built once
    begin = time.process_time()
    with pytest.raises(UsageError) as caught:
        parse_expression(text, many)
    assert time.process_time() - begin < 2
    told = str(caught.value)
    assert message in told
    assert len(told.splitlines()) == 1 and len(told) < 250


def test_just_within_the_limits():
    assert parse_expression("(" * (MAX_DEPTH - 1) + "nMuon" + ")" * (MAX_DEPTH - 1), NAMES).branches == ("nMuon",)
    with pytest.raises(UsageError, match="nested deeper than 200 levels"):
        parse_expression("(" * MAX_DEPTH + "nMuon" + ")" * MAX_DEPTH, NAMES)
    chain = "nMuon||" * 2856 + "nMuon"
    assert len(chain) == MAX_CHARACTERS - 3
    assert parse_expression(f"{chain}   ", NAMES).branches == ("nMuon",)
    with pytest.raises(UsageError, match="20,001 characters are too many"):
        parse_expression(f"{chain}    ", NAMES)


def test_white_space_and_line_ends_mean_nothing():
    expression = parse_expression("\r\n nMuon\t>\n 1\r\n&&HLT_Mu50\n", NAMES)
    assert expression.branches == ("nMuon", "HLT_Mu50")


def test_words_within_names_are_no_operators():
    names = ["orange", "android", "nothing", "or_", "and.x", "not1", "true_", "iff", "if"]
    text = "orange or android and not nothing || or_ && and.x or not not1 or true_ || iff && if"
    assert parse_expression(text, names).branches == tuple(names)
