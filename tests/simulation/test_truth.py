from typing import Any, ClassVar

import awkward as ak
import numpy as np
import pytest

from hepfilter.simulation.flat import matched
from hepfilter.simulation.truth import Truth, read_truth


class _Table:
    """Charges in thirds and visibility, as Pythia's particle data give them."""

    CHARGES: ClassVar = {11: -3, 13: -3, 15: -3, 211: 3, 24: 3, 1: -1, 5: -1, 6: 2, 4122: 3}

    def chargeType(self, pdg_id: int) -> int:  # noqa: N802 - Pythia's name
        return int(np.sign(pdg_id)) * self.CHARGES.get(abs(pdg_id), 0)

    def isVisible(self, pdg_id: int) -> bool:  # noqa: N802 - Pythia's name
        return pdg_id not in (4900111,)


def _read(*events: list[tuple[int, int, int, float, float, float]]) -> Truth:
    """Events of rows (id, status, mother, px, py, pz); row 0 of each is the system, as in Pythia."""
    prt = [
        [{"id": 90, "status": -11, "mother1": 0, "m": 0.0, "p": {"px": 0.0, "py": 0.0, "pz": 0.0, "e": 0.0}}]
        + [
            {"id": pdg_id, "status": status, "mother1": mother, "m": 0.0, "p": {"px": x, "py": y, "pz": z, "e": 0.0}}
            for pdg_id, status, mother, x, y, z in rows
        ]
        for rows in events
    ]
    batch: Any = ak.Array({"prt": prt})
    return read_truth(batch, _Table())


def test_visible_are_the_stable_ones_that_leave_a_trace() -> None:
    truth = _read(
        [
            (211, 1, 0, 3.0, 4.0, 0.0),
            (12, 1, 0, 1.0, 0.0, 0.0),
            (-14, 1, 0, 1.0, 0.0, 0.0),
            (22, -51, 0, 9.0, 0.0, 0.0),
        ],
        [],
        [
            (52, 1, 0, 1.0, 0.0, 0.0),
            (1000022, 1, 0, 1.0, 0.0, 0.0),
            (4900111, 1, 0, 1.0, 0.0, 0.0),
            (130, 1, 0, 0.0, 2.0, 2.0),
        ],
    )
    assert truth.visible.pdg_id.tolist() == [211, 130]
    assert truth.visible.event.tolist() == [0, 2]
    assert truth.visible.counts.tolist() == [1, 0, 1]
    assert truth.visible.pt == pytest.approx([5.0, 2.0])
    assert truth.visible.phi == pytest.approx([np.arctan2(4, 3), np.pi / 2])
    assert truth.visible.eta == pytest.approx([0.0, np.arcsinh(1.0)])
    assert truth.visible.charge.tolist() == [1, 0]


def test_hadrons_are_sorted_by_their_heaviest_quark() -> None:
    bottom = [511, -521, 531, 541, 5122, -5332, 553, 513, 10511, 20513, 100553]
    charm = [411, -421, 431, 4122, 4332, 443, 413, 10411, 100443]
    neither = [310, 211, 3122, 2212, 5503, 4203, 5, 4, 21, 3334, 9_900_041]
    truth = _read([(pdg_id, -83, 0, 10.0, 0.0, 0.0) for pdg_id in bottom + charm + neither])
    assert truth.bottom.pdg_id.tolist() == bottom
    assert truth.charm.pdg_id.tolist() == charm


def test_soft_heavy_hadrons_are_left_out() -> None:
    assert len(_read([(511, -83, 0, 4.9, 0.0, 50.0)]).bottom) == 0


def test_taus_that_decay_to_hadrons_are_found_with_their_visible_momentum() -> None:
    truth = _read(
        [(211, 1, 0, 1.0, 0.0, 0.0)],
        [
            (15, -23, 0, 40.0, 0.0, 0.0),  # row 1: the τ⁻, which radiates
            (15, -52, 1, 39.0, 0.0, 0.0),  # row 2: its last copy, to π⁻ ν
            (-15, -23, 0, -50.0, 0.0, 0.0),  # row 3: the τ⁺, to e⁺ ν ν
            (16, 1, 2, 9.0, 0.0, 0.0),
            (-211, 1, 2, 30.0, 0.0, 0.0),
            (-16, 1, 3, -20.0, 0.0, 0.0),
            (-11, 1, 3, -20.0, 0.0, 0.0),
            (12, 1, 3, -10.0, 0.0, 0.0),
        ],
    )
    assert truth.taus.event.tolist() == [1]
    assert truth.taus.pt == pytest.approx([30.0])
    assert truth.taus.charge.tolist() == [-1]


def test_the_mothers_of_the_hard_process_are_found_through_the_showers_copies() -> None:
    rows = [
        (21, -21, 0, 0.0, 0.0, 9.0),  # 1
        (21, -21, 0, 0.0, 0.0, -9.0),  # 2
        (6, -22, 1, 5.0, 0.0, 0.0),  # 3: the top of the hard process
        (6, -44, 3, 5.0, 0.0, 0.0),  # 4, 5: its copies in the shower
        (6, -62, 4, 5.0, 0.0, 0.0),
        (24, -22, 5, 3.0, 0.0, 0.0),  # 6
        (5, -23, 5, 2.0, 0.0, 0.0),  # 7
        (24, -52, 6, 3.0, 0.0, 0.0),  # 8
        (1, -23, 8, 1.0, 0.0, 0.0),  # 9
    ]
    truth = _read(rows, rows)
    assert truth.hard.pdg_id.tolist() == [21, 21, 6, 24, 5, 1] * 2
    assert truth.hard_mother.tolist() == [-1, -1, 0, 2, 2, 3] * 2
    assert truth.hard_status.tolist() == [21, 21, 22, 22, 23, 23] * 2
    assert np.all(np.abs(truth.hard.eta) <= 20.0)


def test_no_event_has_anything() -> None:
    truth = _read([], [])
    assert truth.visible.n_events == 2
    assert [len(part) for part in (truth.visible, truth.bottom, truth.charm, truth.taus, truth.hard)] == [0] * 5


def test_top_pairs_in_the_real_record(top_truth: Truth) -> None:
    hard = top_truth.hard
    tops = np.bincount(hard.event, np.abs(hard.pdg_id) == 6, hard.n_events)
    assert np.all(tops == 2)
    start = np.cumsum(hard.counts) - hard.counts
    bosons = np.flatnonzero(np.abs(hard.pdg_id) == 24)
    mothers = top_truth.hard_mother[bosons] + start[hard.event[bosons]]
    assert len(bosons) == 240
    assert np.all(hard.pdg_id[mothers] == np.sign(hard.pdg_id[bosons]) * 6)
    assert np.median(hard.mass[np.abs(hard.pdg_id) == 6]) == pytest.approx(172.5, abs=1.5)
    assert np.mean(np.bincount(top_truth.bottom.event, minlength=120) >= 2) > 0.95
    # 65 % of the taus from W decay to hadrons.
    promised = hard[np.abs(hard.pdg_id) == 15]
    hadronic = int(np.sum(matched(promised, top_truth.taus, radius=0.3)))
    assert abs(hadronic - 0.648 * len(promised)) < 3 * np.sqrt(0.648 * 0.352 * len(promised))
