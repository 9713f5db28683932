"""Physical rules and the order of objects."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.events.cleaning import drop_unphysical, sort_by_pt
from hepfilter.events.record import Objects
from tests.events.generated_events import flat_objects

KINEMATICS = ("pt", "eta", "phi", "mass")


def one_event(**columns: list[float]) -> Objects:
    length = len(next(iter(columns.values())))
    defaults = {"pt": 30.0, "eta": 0.5, "phi": 0.1, "mass": 1.0}
    full = {name: np.full(length, value, np.float32) for name, value in defaults.items()}
    return Objects.from_counts(np.array([length]), full | {name: np.array(v) for name, v in columns.items()})


@given(flat_objects(n_events=3, sick=True))
def test_what_stays_is_physical_and_what_goes_is_counted(objects: Objects) -> None:
    kept, problems = drop_unphysical(objects)
    pt, eta, phi, mass = (kept.columns[name] for name in KINEMATICS)
    assert all(np.isfinite(kept.columns[name]).all() for name in KINEMATICS)
    assert ((pt > 0) & (pt <= 7e3) & (np.abs(eta) <= 10) & (np.abs(phi) <= np.float32(np.pi)) & (mass >= 0)).all()
    repaired = problems.pop("negative mass", 0)
    assert len(objects) - len(kept) == sum(problems.values())
    assert 0 <= repaired <= len(kept)
    assert kept.n_events == objects.n_events


def test_every_reason_is_counted_once_per_object() -> None:
    objects = one_event(
        pt=[np.nan, 30, 30, 30, np.inf, -5, 0, 2e5, 30, 30, 30],
        eta=[0, np.nan, 0, 0, np.nan, 0, 0, 0, 11, 0, -4],
        phi=[0, 0, -np.inf, 0, 0, 0, 0, 0, 0, -999, 6.0],
        mass=[1, 1, 1, np.nan, 1, 1, 1, 1, 1, 1, -0.01],
    )
    kept, problems = drop_unphysical(objects)
    assert problems == {
        "non-finite kinematics": 5,
        "pt <= 0": 2,
        "pt or mass > 7 TeV": 1,
        "abs(eta) > 10": 1,
        "abs(phi) > 2 pi": 1,
        "negative mass": 1,
    }
    assert len(kept) == 1
    assert kept.columns["mass"][0] == 0
    assert not np.signbit(kept.columns["mass"][0])
    np.testing.assert_allclose(kept.columns["phi"], 6.0 - 2 * np.pi, rtol=1e-6)


def test_a_value_that_float32_cannot_hold_is_not_finite() -> None:
    kept, problems = drop_unphysical(one_event(pt=[30.0, 1e300], mass=[1.0, 1.0]))
    assert len(kept) == 1
    assert problems == {"non-finite kinematics": 1}


def test_optional_fields_are_repaired_and_the_object_stays() -> None:
    kept, problems = drop_unphysical(one_event(charge=[np.nan, 1.0, -1.0], btag=[np.inf, -10.0, 0.7]))
    assert problems == {"non-finite charge": 1, "non-finite btag": 1}
    assert kept.columns["charge"].tolist() == [0, 1, -1]
    np.testing.assert_array_equal(kept.columns["btag"], np.array([0, 0, 0.7], np.float32))


def test_particle_codes_written_as_floats() -> None:
    kept, _ = drop_unphysical(one_event(pdg_id=[-211.0, np.nan, np.inf]))
    assert kept.columns["pdg_id"].tolist() == [-211, 0, 0]
    assert kept.columns["pdg_id"].dtype == np.int32


def test_healthy_objects_come_back_bit_for_bit() -> None:
    objects = one_event(pt=[30.0, 20.0], phi=[np.float32(np.pi), -3.0])
    kept, problems = drop_unphysical(objects)
    assert problems == {}
    for name in KINEMATICS:
        np.testing.assert_array_equal(kept.columns[name], objects.columns[name].astype(np.float32))


def rows(objects: Objects) -> list[list[tuple[float, ...]]]:
    """The objects of each event, as tuples in their order."""
    table = list(zip(*(objects.columns[name].tolist() for name in (*KINEMATICS, "charge")), strict=True))
    return [table[low:high] for low, high in zip(objects.offsets[:-1], objects.offsets[1:], strict=True)]


@given(flat_objects(n_events=4))
def test_sorted_by_pt_with_ties_by_eta_and_phi(objects: Objects) -> None:
    ordered = rows(sort_by_pt(objects))
    for before, after in zip(rows(objects), ordered, strict=True):
        assert sorted(before) == sorted(after)
        keys = [(-pt, eta, phi) for pt, eta, phi, *_ in after]
        assert keys == sorted(keys)


@given(flat_objects(n_events=3), st.integers(0, 2**30))
def test_the_order_in_the_file_never_matters(objects: Objects, seed: int) -> None:
    shuffle = np.random.default_rng(seed).permutation(len(objects))
    shuffled = objects.take(shuffle[np.argsort(objects.event[shuffle], kind="stable")])
    assert rows(sort_by_pt(shuffled)) == rows(sort_by_pt(objects))


def test_sorted_objects_are_not_copied() -> None:
    objects = one_event(pt=[50.0, 40.0, 30.0])
    assert sort_by_pt(objects) is objects
