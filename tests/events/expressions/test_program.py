"""What passes: the semantics, event by event."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hepfilter.errors import UsageError
from hepfilter.events.expressions import Column, parse_expression
from tests.events.expressions.tables import COUNT, MUONS, lists, passing, scalars, which


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nMuon", [1, 2, 3]),
        ("nMuon - 2", [0, 1, 3]),
        ("MET", [1, 2]),  # NaN fails
        ("flag", [1, 3]),
        ("1", [0, 1, 2, 3]),
        ("false", []),
    ],
)
def test_a_number_passes_if_it_is_neither_zero_nor_nan(text, expected):
    assert which(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Muon_pt[0] > 20", [1, 2, 3]),
        ("Muon_pt[1] < 100", [2]),  # event 3: NaN
        ("!(Muon_pt[0] > 25)", [1]),
        ("!!(Muon_pt[0] > 25)", [2, 3]),
        ("not (Muon_pt[2] > 25)", [3]),
        ("~(Muon_pt[0] > 25)", [1]),
        ("Muon_pt[0] > 25 || nMuon == 0", [0, 2, 3]),
        ("nMuon == 0 || Muon_pt[0] > 25", [0, 2, 3]),
        ("(Muon_pt[0] > 25) | (nMuon == 0)", [0, 2, 3]),
        ("!(Muon_pt[0] > 25 && nMuon > 0)", [0, 1]),  # missing && false is false
        ("!(nMuon > 0 && Muon_pt[0] > 25)", [0, 1]),
        ("!(Muon_pt[0] > 25 && nMuon == 0)", [1, 2, 3]),  # missing && true is missing
        ("!(Muon_pt[0] > 25 || nMuon > 1)", [1]),
        ("Muon_pt[1] == Muon_pt[1]", [2]),
        ("Muon_pt[1] != Muon_pt[1]", [3]),  # NaN; where there is no second muon the comparison is missing
        ("Muon_pt[nMuon - 1] > 10", [1, 2]),
        ("!(Muon_pt[nMuon - 2] > 1e9)", [2, 3]),  # -2 and -1 are no objects
        ("!(Take(Jet_pt, Muon_jet)[0] > 1e9)", [2, 3]),
        ("!(Muon_pt[0] + Muon_pt[1] > 1e9)", [2, 3]),
        ("!((nMuon > 5 ? 1 : Muon_pt[1]) > 1e9)", [2, 3]),
        ("Muon_pt[nMuon] > 0 || true", [0, 1, 2, 3]),
        ("-Muon_pt[0] < 0", [1, 2, 3]),
        ("sqrt(Muon_pt[0]) >= 0", [1, 2, 3]),
        ("nMuon > 1 ? Muon_pt[1] < 30 : true", [0, 1, 2]),
        ("Muon_pt[1] > 10 ? true : true", [2, 3]),  # a missing condition chooses neither
        ("MET ? 1 : 1", [1, 2, 3]),  # NaN is no condition
        ("!MET", [3]),
        ("!(MET > 0)", [0, 1, 3]),  # but a comparison with NaN is false
        ("MET != MET", [0]),
        ("Alt$(Muon_pt[1], -1) < 0", [0, 1]),
        ("Alt$(Muon_pt[1], Muon_pt[0]) > 20", [1]),
        ("Max$(Muon_pt) > -1", [1, 2]),  # none: missing; NaN: NaN
        ("Min$(Jet_pt) > 30", [0, 3]),
        ("!(Mean(Jet_pt) > 60)", [0, 2]),
    ],
)
def test_what_is_missing_neither_passes_nor_fails_into_passing(text, expected):
    assert which(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Muon_pt[0] == 20.1", []),  # the float32 nearest to 20.1, in double
        ("Muon_pt[0] > 20.1", [1, 2, 3]),
        ("event == 9007199254740993", [0]),
        ("event == 9007199254740992", []),
        ("event == 18446744073709551615", [1]),
        ("event > 18446744073709551614", [1]),
        ("event + 0 == 9007199254740992", [0]),  # arithmetic is in double
        ("nMuon > -1", [0, 1, 2, 3]),
        ("event > -1", [0, 1, 2, 3]),
        ("event > signed", [0, 1, 2, 3]),
        ("signed == -9223372036854775808", [2]),
        ("signed == 4611686018427387905", [1]),
        ("signed == -4611686018427387905", [0]),
        ("signed == -4611686018427387904", []),
        ("max(event, signed) == 9007199254740992", [0]),  # no integer type holds both
        ("max(event, 1) == 9007199254740993", [0]),
        ("(nMuon > 5 ? 0 : event) == 9007199254740993", [0]),
        ("-Sum$(Muon_charge) == event - 6", [3]),
        ("nMuon - 3 < 0", [0, 1, 2]),
        ("nMuon / 2 == 0.5", [1]),
        ("1 / nMuon > 1e300", [0]),
        ("nMuon / nJet == 0", [0]),
        ("!(0 / nMuon == 0)", [0]),
        ("event % 2", [0, 1, 2, 3]),
        ("event % 10 == 5", [1, 2]),
        ("-7 % 3 == -1 && (nMuon - 7) % 4 == -3", [0]),
        ("7 % nMuon >= 0", [1, 2, 3]),  # no remainder by 0: missing
        ("!(7 % nMuon > 0)", [1]),
        ("signed % -1 == 0", [0, 1, 2, 3]),
        ("nMuon & 1", [1, 3]),
        ("(nMuon & 2) | (nMuon == 1)", [1, 2, 3]),
        ("~nMuon == -2", [1]),
        ("(nMuon + 1) & 4", [3]),
        ("event & 0xFFFFFFFFFFFFFFFE", [0, 1, 2, 3]),
        ("event >> 63", [1]),
        ("1 << nMuon == 4", [2]),
        ("(1 << (nMuon - 1)) >= 0", [1, 2, 3]),
        ("flag + flag == 2", [1, 3]),
        ("flag == true", [1, 3]),
        ("-flag == -1", [1, 3]),
        ("+flag + 1 == 2", [1, 3]),
        ("-2**2 == -4 && 2**-1 == 0.5 && (2**3)**2 == 64", [0, 1, 2, 3]),
        ("nMuon > 1 && nMuon < 3 or flag and not HLT_Mu50", [2, 3]),
        ("flag || flag && false", [1, 3]),
        ("!flag == 1", [0, 2]),  # as in C: (!flag) == 1
        ("nMuon > 2 ? 0 : nMuon > 1 ? 1 : 0", [2]),
        ("Jet.PT > 2 && MET_Core_AnalysisMETAuxDyn.mpx<4", [2]),
        ("size", [0, 3]),  # a branch, where no ( follows
        ("size(Muon_pt) == size + 1", [1]),
        ("0x10 == 16 && 1e1 == 10. && .5 == 5e-1", [0, 1, 2, 3]),
    ],
)
def test_numbers_are_those_of_root_and_64_bit_integers_compare_exactly(text, expected):
    assert which(text) == expected


def test_a_chain_of_any_length_is_evaluated_without_recursion():
    assert which("||".join(["nMuon>1"] * 2000)) == [2, 3]
    assert which("+".join(["nMuon"] * 2500) + " >= 5000") == [2, 3]
    expression = parse_expression("||".join(["nMuon>1"] * 2000), MUONS)
    assert pickle.loads(pickle.dumps(expression)) == expression  # noqa: S301


def test_branches_are_named_once_in_the_order_of_the_text():
    expression = parse_expression("Sum$(Jet_pt > Muon_pt[0]) + nMuon > 0 && Jet_pt[0] < 9", MUONS)
    assert expression.branches == ("Jet_pt", "Muon_pt", "nMuon")
    assert expression.text == "Sum$(Jet_pt > Muon_pt[0]) + nMuon > 0 && Jet_pt[0] < 9"


def test_no_events_and_constants_give_one_answer_an_event():
    empty = {"n": scalars([], "int32"), "x": lists([], "float32")}
    for text in ("n > 1", "x[0] > 1", "Sum$(x) > 1", "Max$(x[x > 2]) > 1", "true", "n % 2", "Any(x[0] > x)"):
        assert passing(text, empty, 0) == []
    none = {"x": lists([[], []], "float32")}
    assert passing("x[0] > 1 || Length$(x) == 0", none, 2) == [0, 1]
    result = parse_expression("1", ()).passes({}, 3)
    assert result.tolist() == [True] * 3
    assert result.flags.writeable


def test_columns_may_begin_within_a_larger_array():
    part = Column(np.array([9, 9, 1, 2, 3, 9], "float32"), np.array([2, 2, 5], np.int64))
    assert passing("Sum$(x) == 6 && x[1] == 2 && Length$(x) == 3", {"x": part}, 2) == [1]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_type_of_branch_is_read(dtype):
    columns = {"x": lists([[1, 0], [1, 1, 1]], dtype), "y": scalars([0, 1], dtype)}
    assert passing("Sum$(x) == 3 && y == 1 && x[2] && Max$(x) == 1 && -x[0] == -1 && y > -1", columns, 2) == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Muon_pt > 20", "Muon_pt > 20 is one value per object, a selection needs one per event; wrap it in Any(…)"),
        ("Muon_pt", "Muon_pt is one value per object"),
        ("Any(Muon_pt > Jet_pt)", "column 13: Muon_pt has 0 objects and Jet_pt has 1 in event 0"),
        ("Sum$(Muon_pt[Jet_pt > 2]) > 1", "column 13: Muon_pt has 0 objects and Jet_pt > 2 has 1 in event 0"),
        ("nMuon[0] > 1", "column 6: nMuon is one value an event and takes no [ ]"),
        ("Muon_pt[Muon_jet][0] > 1", "column 8: Muon_jet is a list of numbers; in [ ] write a condition"),
        ("Muon_pt[flag] > 1", "column 8: flag is a condition for the event; an index is a whole number"),
        ("Muon_pt[1.0] > 1", "column 8: 1.0 is real; an index is a whole number"),
        ("Muon_pt[nMuon / 2] > 1", "column 8: nMuon / 2 is real"),
        ("MET % 2", "column 5: % takes whole numbers, MET is real; write fmod(a, b), or floor(…) first"),
        ("(MET + 1) % 2", "column 11: % takes whole numbers, MET + 1 is real"),
        ("MET & 2", "column 5: & takes conditions or whole numbers, MET is real"),
        ("~MET", "column 1: ~ takes conditions or whole numbers, MET is real"),
        ("2 << MET", "column 3: << takes conditions or whole numbers, MET is real"),
        ("Sum$(nMuon) > 1", "column 1: Sum$ goes over the objects of an event, nMuon is one value; write it alone"),
        ("any(Muon_pt[0] > 3)", "column 1: any goes over the objects of an event, Muon_pt[0] > 3 is one value"),
        ("InvariantMass(1, MET, MET, 0) > 1", "column 1: InvariantMass goes over the objects of an event; give"),
        ("Any(Take(Muon_pt, 1) > 3)", "column 5: Take goes over the objects of an event, 1 is one value"),
        (f"Muon_pt{' ' * 50} >\n\n20", "selection expression: Muon_pt > 20 is one value per object"),
        (f"Muon_pt > {'1 + ' * 50} 1", "Muon_pt > 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1…"),
    ],
)  # fmt: skip
def test_operands_that_do_not_fit_are_told_in_one_line(text, message):
    with pytest.raises(UsageError) as caught:
        which(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_branch_that_holds_no_numbers_is_refused():
    for values in (np.array(["a", "b"]), np.array([None, 1]), np.ones((2, 2)), np.array([1j, 2])):
        with pytest.raises(UsageError, match=r"column 5: branch x holds .* use branches of numbers"):
            parse_expression("1 < x", ["x"]).passes({"x": Column(values)}, 2)
    with pytest.raises(ValueError, match="column x does not have 3 events"):
        parse_expression("1 < x", ["x"]).passes({"x": scalars([1, 2], "int32")}, 3)


def test_the_columns_are_left_as_they_were():
    before = {name: column.values.copy() for name, column in MUONS.items()}
    which("Max$(abs(Muon_pt)) > 1 && Muon_pt[0] * 2 > 3 || MET < 0 && !flag && event % 2")
    for name, column in MUONS.items():
        assert column.values.tobytes() == before[name].tobytes(), name
    whole = parse_expression("flag", MUONS).passes(MUONS, COUNT)
    whole[:] = True
    assert MUONS["flag"].values.tolist() == [False, True, False, True]


def test_importing_the_package_imports_neither_lark_nor_other_arrays():
    heavy = "{'lark', 'awkward', 'uproot', 'pandas', 'scipy', 'pydantic', 'torch', 'yaml'}"
    code = f"import sys, hepfilter.events.expressions; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
