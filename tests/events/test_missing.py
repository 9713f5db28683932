"""Missing momentum from objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepfilter.events.missing import missing_momentum
from hepfilter.events.record import Objects
from tests.events.generated_events import flat_objects


def objects(*events: list[tuple[float, float]]) -> Objects:
    """Events of (pt, φ)."""
    counts = np.array([len(event) for event in events], np.int64)
    pt, phi = np.array([pair for event in events for pair in event], np.float32).reshape(-1, 2).T
    return Objects.from_counts(counts, {"pt": pt, "eta": np.zeros_like(pt), "phi": phi, "mass": np.zeros_like(pt)})


def test_soft_term_minus_objects() -> None:
    soft = objects([(10, 0)], [], [(5, np.pi)], [])
    jets = objects([(40, np.pi)], [(30, 0), (40, np.pi / 2)], [], [])
    photons = objects([(8, np.pi / 2)], [], [], [])
    met = missing_momentum(soft, {"jet": jets, "photon": photons, "tau": jets}, ("jet", "photon", "muon"))
    assert met.counts.tolist() == [1, 1, 1, 0]
    assert met.columns["pt"].tolist() == pytest.approx([np.hypot(50, 8), 50, 5])
    assert np.abs(met.columns["phi"]).tolist() == pytest.approx([np.arctan2(8, 50), np.pi - np.arctan2(4, 3), np.pi])
    assert {name: column.dtype.name for name, column in met.columns.items()} == dict.fromkeys(met.columns, "float32")
    assert not met.columns["eta"].any()
    assert not met.columns["mass"].any()


@pytest.mark.parametrize(("lepton", "pt"), [("electron", 30), ("photon", 30), ("muon", 80)])
def test_an_electron_is_not_counted_again_as_its_jet_but_a_muon_is_not_in_its_jet(lepton: str, pt: float) -> None:
    collections = {"jet": objects([(50, 0)]), lepton: objects([(30, 0)])}
    met = missing_momentum(objects([]), collections, ("jet", lepton))
    assert met.columns["pt"].tolist() == pytest.approx([pt])


def test_no_events() -> None:
    assert missing_momentum(objects(), {"jet": objects()}, ["jet"]).n_events == 0


@settings(max_examples=30)
@given(st.data())
def test_it_balances_all_objects(data: st.DataObject) -> None:
    soft = data.draw(flat_objects(n_events=3, max_count=1))
    parts = [data.draw(flat_objects(n_events=3)) for _ in range(2)]
    met = missing_momentum(soft, {"muon": parts[0], "jet": parts[1]}, ("muon", "jet"))
    total = np.zeros((3, 2))
    for sign, part in [(1, met), (-1, soft), *((1, part) for part in parts)]:
        pt, phi = part.columns["pt"].astype(np.float64), part.columns["phi"].astype(np.float64)
        np.add.at(total, part.event, sign * (pt * [np.cos(phi), np.sin(phi)]).T)
    np.testing.assert_allclose(total, 0, atol=1e-3)
