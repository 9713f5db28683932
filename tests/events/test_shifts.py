"""Changed events: exactly what is said to change, and nothing else."""

from collections.abc import Mapping

import awkward as ak
import numpy as np
import pytest

from hepfilter.events.binding import bind
from hepfilter.events.record import Events, Objects
from hepfilter.events.schemas import load_schema
from hepfilter.events.shifts import EventShift
from tests.events.generated_events import nanoaod_arrays


def arrays_of(jets: list[list[tuple[float, float]]], met: list[tuple[float, float]]) -> dict[str, ak.Array]:
    """NanoAOD columns of events with jets and MET of these pt and φ, and a muon of 40 GeV in each."""
    n_events = len(met)
    columns = {name: ak.Array(np.arange(n_events, dtype=dtype)) for name, dtype in
               {"run": np.uint32, "luminosityBlock": np.uint32, "event": np.uint64}.items()}  # fmt: skip
    counts, flat = [len(each) for each in jets], np.array([jet for each in jets for jet in each], np.float32)
    values = {"pt": flat[:, 0], "phi": flat[:, 1], "eta": np.full(len(flat), 0.5), "mass": np.full(len(flat), 10.0)}
    columns |= {f"Jet_{name}": ak.unflatten(column.astype(np.float32), counts) for name, column in values.items()}
    muon = {"pt": 40.0, "eta": 2.0, "phi": 2.0}
    columns |= {f"Muon_{name}": ak.Array(np.full((n_events, 1), value, np.float32)) for name, value in muon.items()}
    columns["Muon_charge"] = ak.Array(np.ones((n_events, 1), np.int32))
    return columns | {f"MET_{name}": ak.Array(np.float32([m[i] for m in met])) for i, name in enumerate(("pt", "phi"))}


def read(arrays: Mapping[str, ak.Array], shift: EventShift | None) -> Events:
    return bind(load_schema("nanoaod"), arrays).events(arrays, shift=shift)


ARRAYS = arrays_of([[(100, 0), (50, np.pi / 2)], []], [(20, 0), (60, -1)])


def test_the_energy_scale_moves_jets_and_the_missing_momentum() -> None:
    found, nominal = read(ARRAYS, EventShift(energy_scale=1.1)).record, read(ARRAYS, None).record
    assert found.jet.pt.tolist() == [pytest.approx([110, 55]), []]
    assert found.jet.mass.tolist() == [pytest.approx([11, 11]), []]
    assert found.jet.eta.tolist() == nominal.jet.eta.tolist()
    # MET (20, 0) − 0.1 · (100, 50) = (10, −5); nothing changes without jets.
    assert found.met.pt.tolist() == [pytest.approx([np.hypot(10, 5)]), pytest.approx([60])]
    assert found.met.phi.tolist() == [pytest.approx([np.arctan2(-5, 10)]), pytest.approx([-1])]
    assert found.muon.tolist() == nominal.muon.tolist()
    assert found.type == nominal.type


def test_jets_rise_above_the_cut_and_fall_below_it() -> None:
    """The schema asks for 20 GeV. What a jet had before counts in the missing momentum if it is there in the end."""
    arrays = arrays_of([[(19.5, 0)], [(20.5, 0)]], [(30, 0), (30, 0)])
    nominal, up, down = (read(arrays, shift) for shift in (None, EventShift(1.05), EventShift(0.95)))
    assert ak.num(nominal.record.jet).tolist() == [0, 1]
    assert ak.num(up.record.jet).tolist() == [1, 1]
    assert ak.num(down.record.jet).tolist() == [0, 0]
    assert up.record.met.pt.tolist() == [pytest.approx([30 - 0.05 * 19.5]), pytest.approx([30 - 0.05 * 20.5])]
    assert down.record.met.pt.tolist() == [[30], [30]]
    assert up.objects_read == nominal.objects_read


def test_a_scale_of_one_changes_nothing() -> None:
    arrays = nanoaod_arrays(50)
    nominal, same = (read(arrays, shift).record for shift in (None, EventShift()))
    assert same.jet.tolist() == nominal.jet.tolist()
    assert ak.flatten(same.met.pt).tolist() == pytest.approx(ak.flatten(nominal.met.pt).tolist(), rel=1e-6)


def test_collections_that_a_file_lacks() -> None:
    found, nominal = read(ARRAYS, EventShift(without=frozenset({"muon", "met"}))), read(ARRAYS, None)
    assert ak.num(found.record.muon).tolist() == [0, 0] == ak.num(found.record.met).tolist()
    assert found.record.jet.tolist() == nominal.record.jet.tolist()
    assert found.record.type == nominal.record.type


def test_missing_momentum_that_is_built_of_jets_moves_with_them_alone() -> None:
    """A soft term minus jets has been built of the scaled ones: it is not moved a second time."""
    one = Objects.from_counts(
        np.array([1]), {name: np.array([30.0], np.float32) for name in ("pt", "eta", "phi", "mass")}
    )
    shift = EventShift(energy_scale=1.1)
    built = shift.after_cuts({"met": one, "jet": one}, met_of=("muon", "jet"))["met"]
    assert built.columns["pt"].tolist() == [30]
    held = shift.after_cuts({"met": one, "jet": one}, met_of=())["met"]
    assert held.columns["pt"].tolist() == pytest.approx([30 * (1 - (1 - 1 / 1.1))])
