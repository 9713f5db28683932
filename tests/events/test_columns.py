"""From branches to flat columns."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.config.schema import Cut
from hepfilter.errors import SchemaError
from hepfilter.events.columns import BoundCollection, flatten, joined
from hepfilter.events.record import Objects


def bound(fields: dict[str, tuple[str, ...]], **changes: object) -> BoundCollection:
    values = {"per_object": False, "mass": None, "cuts": (), "missing": {}, "pt_min": 0.0, "eta_max": 10.0}
    return BoundCollection("jet", fields, **(values | changes))  # type: ignore[arg-type]


PT, ETA, PHI = (
    ak.Array([[50.0, 30.0], [], [20.0]]),
    ak.Array([[1.0, 2.0], [], [-1.0]]),
    ak.Array([[0.1, 0.2], [], [0.3]]),
)
ARRAYS = {"pt": PT, "eta": ETA, "phi": PHI}
NAMES = {name: (name,) for name in ARRAYS}


@pytest.mark.parametrize(
    "array",
    [
        ak.Array([[1.0, 2.0], [], [3.0]]),
        ak.Array([[9.0], [1.0, 2.0], [], [3.0]])[1:],
        ak.Array([[3.0], [], [1.0, 2.0]])[[2, 1, 0]],
    ],
)
def test_flatten_lists_however_they_are_laid_out(array: ak.Array) -> None:
    counts, values = flatten(array, "x")
    assert counts.tolist() == [2, 0, 1]
    assert values.tolist() == [1, 2, 3]


def test_flatten_scalars_fixed_sizes_and_nothing() -> None:
    assert [part.tolist() for part in flatten(ak.Array([4, 5]), "x")] == [[1, 1], [4, 5]]
    assert [part.tolist() for part in flatten(ak.Array(np.array([[1, 2], [3, 4]])), "x")] == [[2, 2], [1, 2, 3, 4]]
    assert [part.tolist() for part in flatten(ak.Array([]), "x")] == [[], []]
    assert [part.tolist() for part in flatten(ak.Array([[], []]), "x")] == [[0, 0], []]


@pytest.mark.parametrize(
    "array", [ak.Array([[[1.0]], []]), ak.Array(["a", "b"]), ak.Array([{"x": 1}]), ak.Array([1, None])]
)
def test_flatten_refuses_what_is_no_list_of_numbers(array: ak.Array) -> None:
    with pytest.raises(SchemaError, match=r"branch Jet_pt: holds .*; the schema needs numbers or one list of numbers"):
        flatten(array, "Jet_pt")


def test_flatten_scalar_refuses_lists() -> None:
    with pytest.raises(SchemaError, match="one number an event"):
        flatten(PT, "run", scalar=True)


def test_branches_that_disagree_are_named_with_the_entry() -> None:
    arrays = ARRAYS | {"phi": ak.Array([[0.1, 0.2], [0.0], [0.3]])}
    with pytest.raises(SchemaError, match=r"jet: branches pt and phi disagree .* \(0 and 1 in entry 1 of the chunk\)"):
        bound(NAMES).objects(arrays, to_gev=1.0)


def test_mass_from_number_branch_energy_or_nothing() -> None:
    energy = np.hypot(PT * np.cosh(ETA), 12.0)
    arrays = ARRAYS | {"m": PT / 10, "E": energy}
    for fields, mass, expected in (
        ({}, 0.5, [0.5] * 3),
        ({"mass": ("m",)}, None, [5, 3, 2]),
        ({"energy": ("E",)}, None, [12] * 3),
        ({}, None, [0] * 3),
    ):
        objects, _ = bound(NAMES | fields, mass=mass).objects(arrays, to_gev=1.0)
        np.testing.assert_allclose(objects.columns["mass"], expected, rtol=1e-6)


def test_mev_becomes_gev_and_a_constant_mass_is_gev_already() -> None:
    arrays = {"px": PT * 1000, "py": PT * 0, "pz": PT * 0, "E": PT * 2000}
    fields = {name: (name,) for name in ("px", "py", "pz")}
    objects, _ = bound(fields | {"energy": ("E",)}).objects(arrays, to_gev=1e-3)
    np.testing.assert_allclose(objects.columns["pt"], [50, 30, 20])
    np.testing.assert_allclose(objects.columns["mass"], np.sqrt(3) * np.array([50, 30, 20]))
    objects, _ = bound(fields, mass=0.105).objects(arrays, to_gev=1e-3)
    np.testing.assert_allclose(objects.columns["mass"], 0.105, rtol=1e-6)


def test_scalar_branches_one_per_object() -> None:
    arrays = {
        name: ak.Array(values) for name, values in {"pt1": [9, 8], "pt2": [7, 6], "a": [0, 1], "b": [2, 3]}.items()
    }
    fields = {"pt": ("pt1", "pt2"), "eta": ("a", "b"), "phi": ("a", "a")}
    objects, _ = bound(fields, per_object=True).objects(arrays, to_gev=1.0)
    assert objects.counts.tolist() == [2, 2]
    assert objects.columns["pt"].tolist() == [9, 7, 8, 6]
    assert objects.columns["eta"].tolist() == [0, 2, 1, 3]


def test_cuts_and_their_bounds() -> None:
    arrays = ARRAYS | {"id": ak.Array([[1, 2], [], [3]]), "iso": ak.Array([[np.nan, 0.1], [], [-999.0]])}
    for cuts, expected, faults in (
        ([Cut(branch="id", min=2)], [False, True, True], {}),
        ([Cut(branch="id", max=2)], [True, True, False], {}),
        ([Cut(branch="id", min=2, pt_below=50)], [True, True, True], {}),
        ([Cut(branch="iso", min=0, max=0.25)], [False, True, False], {"NaN in iso": 1}),
        ([Cut(branch="id", min=2), Cut(branch="id", max=2)], [False, True, False], {}),
    ):
        objects, found = bound(NAMES, cuts=tuple(cuts)).objects(arrays, to_gev=1.0)
        assert objects.columns["passed"].tolist() == expected
        assert found == faults


def test_scale_multiplies_what_passes_and_a_weight_of_zero_is_no_fault() -> None:
    arrays = ARRAYS | {"w": ak.Array([[0.5, 0.0], [], [1.0]])}
    cut = (Cut(branch="w", min=0.001),)
    objects, _ = bound(NAMES | {"scale": ("w",)}, mass=2.0, cuts=cut).objects(arrays, to_gev=1.0)
    assert objects.columns["pt"].tolist() == [25, 30, 20]
    assert objects.columns["mass"].tolist() == [1, 2, 2]
    assert objects.columns["passed"].tolist() == [True, False, True]


def test_a_relative_cut_is_on_the_branch_over_pt_in_the_same_unit() -> None:
    arrays = ARRAYS | {"pt": PT * 1000, "iso": ak.Array([[4900.0, 3100.0], [], [np.nan]])}
    cut = (Cut(branch="iso", relative=True, max=0.1),)
    objects, faults = bound(NAMES, cuts=cut).objects(arrays, to_gev=1e-3)
    assert objects.columns["passed"].tolist() == [True, False, False]
    assert faults == {"NaN in iso": 1}


def test_a_relative_cut_where_pt_is_zero_warns_of_nothing() -> None:
    arrays = ARRAYS | {"pt": PT * 0, "iso": ak.Array([[0.0, 1.0], [], [-1.0]])}
    cut = (Cut(branch="iso", relative=True, max=0.1),)
    objects, _ = bound(NAMES, cuts=cut).objects(arrays, to_gev=1.0)
    assert objects.columns["passed"].tolist() == [False, False, True]


@pytest.mark.parametrize("dtype", ["u1", "i4", "u8"])
def test_a_mask_compares_some_bits(dtype: str) -> None:
    arrays = ARRAYS | {"id": ak.values_astype(ak.Array([[8, 26], [], [25]]), dtype)}
    cut = (Cut(branch="id", mask=0x103, max=1),)
    assert bound(NAMES, cuts=cut).objects(arrays, to_gev=1.0)[0].columns["passed"].tolist() == [True, False, True]


def test_a_mask_needs_integers() -> None:
    cut = (Cut(branch="pt", mask=3, max=1),)
    with pytest.raises(SchemaError, match="branch pt: holds float64; a cut with a mask needs integers"):
        bound(NAMES, cuts=cut).objects(ARRAYS, to_gev=1.0)


def test_sources_are_joined_event_by_event() -> None:
    more = {"x": ak.Array([[7.0], [8.0, 9.0], []]), "w": ak.Array([[1], [0, 1], []])}
    fields = {"pt": ("x",), "eta": ("x",), "phi": ("x",)}
    constants = {"charge": -1.0, "pdg_id": 11.0}
    other = bound(fields, mass=0.5, constants=constants, cuts=(Cut(branch="w", min=1),))
    collection = bound(NAMES, also=(other,))
    assert collection.branches == ("pt", "eta", "phi", "x", "w")
    objects, _ = collection.objects(ARRAYS | more, to_gev=1.0)
    assert objects.counts.tolist() == [3, 2, 1]
    assert objects.columns["pt"].tolist() == [50, 30, 7, 8, 9, 20]
    assert objects.columns["mass"].tolist() == [0, 0, 0.5, 0.5, 0.5, 0]
    assert objects.columns["charge"].tolist() == [0, 0, -1, -1, -1, 0]
    assert objects.columns["pdg_id"].tolist() == [0, 0, 11, 11, 11, 0]
    assert objects.columns["passed"].tolist() == [True, True, True, False, True, True]


def test_faults_of_all_sources_are_counted() -> None:
    arrays = ARRAYS | {"w": ak.Array([[np.nan, 1.0], [], [1.0]])}
    cut = (Cut(branch="w", min=1),)
    _, faults = bound(NAMES, cuts=cut, also=(bound(NAMES, cuts=cut),)).objects(arrays, to_gev=1.0)
    assert faults == {"NaN in w": 2}


def test_joining_no_events() -> None:
    none = Objects.from_counts(np.zeros(0, np.int64), {"pt": np.zeros(0)})
    assert joined([none, none]).n_events == 0


def met(fields: dict[str, tuple[str, ...]], *cuts: Cut, minus: tuple[str, ...] = ()) -> BoundCollection:
    return BoundCollection("met", fields, False, None, cuts, {}, pt_min=0, eta_max=10, minus=minus)


def test_two_met_in_an_event_are_refused() -> None:
    both = met({"pt": ("pt",), "phi": ("phi",)})
    with pytest.raises(SchemaError, match=r"met: branch pt has more than one value in an event; .* cut on it"):
        both.objects(ARRAYS, to_gev=1.0)


def test_a_cut_chooses_among_several_met() -> None:
    arrays = {
        "x": ak.Array([[3.0, 0.0], [5.0, 6.0]]),
        "y": ak.Array([[4.0, 0.0], [5.0, 8.0]]),
        "n": ak.Array([[1, 2]] * 2),
    }
    fields = {"px": ("x",), "py": ("y",)}
    first, second = (Cut(branch="n", min=n, max=n) for n in (1, 2))
    assert met(fields, first).objects(arrays, to_gev=1.0)[0].columns["pt"].tolist() == [5, pytest.approx(50**0.5)]
    assert met(fields, second).objects(arrays, to_gev=1.0)[0].columns["pt"].tolist() == [0, 10]
    soft, _ = met(fields, second, minus=("jet",)).objects(arrays, to_gev=1.0)
    assert soft.counts.tolist() == [0, 1]  # a soft term of 0 is none, and no fault
