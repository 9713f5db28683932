"""Changed events: exactly what is said to change, and nothing else."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.events.record import Objects, build_record
from hepfilter.events.shifts import scale_energy, without


def objects(counts: list[int], pt: list[float], phi: list[float], **more: list[float]) -> Objects:
    columns = {"pt": pt, "eta": [0.5] * len(pt), "phi": phi, "mass": [10.0] * len(pt)} | more
    return Objects.from_counts(np.array(counts), {name: np.array(c, np.float32) for name, c in columns.items()})


RECORD = build_record(
    {
        "jet": objects([2, 0], [100.0, 50.0], [0.0, np.pi / 2], btag=[0.9, 0.1]),
        "muon": objects([1, 1], [40.0, 30.0], [1.0, 2.0], charge=[1, -1]),
        "met": objects([1, 1], [20.0, 60.0], [0.0, -1.0]),
        "particle": objects([1, 0], [7.0], [0.3]),
    },
    2,
)


def test_the_energy_scale_moves_jets_and_the_missing_momentum() -> None:
    found = scale_energy(1.1)(RECORD)
    assert found.fields == RECORD.fields
    assert found.jet.pt.tolist() == [pytest.approx([110, 55]), []]
    assert found.jet.mass.tolist() == [pytest.approx([11, 11]), []]
    assert found.particle.pt.tolist() == [pytest.approx([7.7]), []]
    assert found.jet.btag.tolist() == RECORD.jet.btag.tolist()
    # MET (20, 0) − 0.1 · (100, 50) = (10, −5); nothing changes without jets.
    assert found.met.pt.tolist() == [pytest.approx([np.hypot(10, 5)]), pytest.approx([60])]
    assert found.met.phi.tolist() == [pytest.approx([np.arctan2(-5, 10)]), pytest.approx([-1])]
    assert found.muon.tolist() == RECORD.muon.tolist()
    assert found.type == RECORD.type
    assert scale_energy(1.0)(RECORD).jet.tolist() == RECORD.jet.tolist()


def test_collections_that_a_file_lacks() -> None:
    found = without(["muon", "particle"])(RECORD)
    assert ak.num(found.muon).tolist() == [0, 0] == ak.num(found.particle).tolist()
    assert found.jet.tolist() == RECORD.jet.tolist()
    assert found.type == RECORD.type
