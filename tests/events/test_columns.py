"""From branches to flat columns."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.config.schema import Cut
from hepfilter.errors import SchemaError
from hepfilter.events.columns import BoundCollection, flatten


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


def test_two_met_in_an_event_are_refused() -> None:
    met = BoundCollection("met", {"pt": ("pt",), "phi": ("phi",)}, False, None, (), {}, pt_min=0, eta_max=10)
    with pytest.raises(SchemaError, match="met: branch pt has more than one value in an event"):
        met.objects(ARRAYS, to_gev=1.0)
