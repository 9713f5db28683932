"""Supersymmetric spectra."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.config.card import card_names, load_card
from hepfilter.config.process import Slha
from hepfilter.simulation.pythia import generate, make_generator
from hepfilter.simulation.slha import OUT_OF_REACH, slha_text

SPECTRUM = Slha.model_validate(
    {
        "masses": {1000021: 1500.0, 1000022: 200.0},
        "decays": {
            1000021: [{"ratio": 0.75, "to": [1, -1, 1000022]}, {"ratio": 0.25, "to": [5, -5, 1000022]}],
            1000022: [],
        },
    }
)


def _blocks(text: str) -> dict[str, list[list[str]]]:
    """The lines below each BLOCK or DECAY, cut into words."""
    found: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[0] in ("BLOCK", "DECAY"):
            found[f"{words[0]} {words[1]}"] = [words[2:]]
        else:
            assert line.startswith("  ")
            found[list(found)[-1]].append(words)
    return found


def test_masses_are_those_given_and_all_else_is_out_of_reach() -> None:
    masses = {int(code): float(mass) for code, mass in _blocks(slha_text(SPECTRUM))["BLOCK MASS"][1:]}
    assert (masses[1000021], masses[1000022]) == (1500.0, 200.0)
    assert (masses[6], masses[24], masses[25]) == (173.0, 80.4, 125.0)
    others = {code: mass for code, mass in masses.items() if code > 1000000 and code not in SPECTRUM.masses}
    assert set(others.values()) == {OUT_OF_REACH}
    assert {1000001, 1000006, 2000006, 1000011, 2000015, 1000023, 1000024, 1000037} <= others.keys()


def test_every_mixing_is_a_unit_matrix() -> None:
    blocks = _blocks(slha_text(SPECTRUM))
    for name, size in {"NMIX": 4, "UMIX": 2, "VMIX": 2, "STOPMIX": 2, "SBOTMIX": 2, "STAUMIX": 2}.items():
        matrix = np.zeros((size, size))
        for i, j, value in blocks[f"BLOCK {name}"][1:]:
            matrix[int(i) - 1, int(j) - 1] = float(value)
        assert np.array_equal(matrix, np.eye(size)), name
        assert len(blocks[f"BLOCK {name}"]) == 1 + size * size


def test_decays_have_ratio_number_and_products() -> None:
    blocks = _blocks(slha_text(SPECTRUM))
    assert blocks["DECAY 1000021"] == [
        ["1.0"],
        ["0.75", "3", "1", "-1", "1000022"],
        ["0.25", "3", "5", "-5", "1000022"],
    ]
    assert blocks["DECAY 1000022"] == [["0.0"]]


def test_pythia_takes_masses_decays_and_stable_partners() -> None:
    card = load_card("gluino_qq@1500")
    made = generate(card.model_copy(update={"multiple_interactions": False}), events=20, seed=3)
    table = make_generator(card, seed=1).particleData
    assert table.m0(1000021) == pytest.approx(1500.0)
    assert table.m0(1000022) == pytest.approx(100.0)
    assert table.m0(1000001) == pytest.approx(OUT_OF_REACH)
    assert not table.mayDecay(1000022)
    particles = made.events.prt
    assert ak.all(ak.sum((particles.id == 1000022) & (particles.status > 0), axis=1) == 2)
    assert not ak.any((abs(particles.id) == 1000021) & (particles.status > 0))
    hard = particles[(particles.id == 1000021) & (abs(particles.status) == 22)]
    assert np.all(ak.num(hard) == 2)
    assert ak.to_numpy(ak.flatten(hard.m)) == pytest.approx(1500.0, rel=0.02)


def test_a_partner_with_an_empty_list_of_decays_is_stable() -> None:
    made = generate(load_card("r_hadron@800").model_copy(update={"multiple_interactions": False}), events=10, seed=3)
    particles = made.events.prt
    stable = (particles.status > 0) & (abs(particles.id) > 1000600) & (abs(particles.id) < 1100000)
    assert ak.all(ak.sum(stable, axis=1) == 2)  # R-hadrons, one around each gluino


def test_spectra_that_ship_have_ratios_that_sum_to_one_and_masses_within_reach() -> None:
    spectra = {name: card.slha for name in card_names() if (card := load_card(name)).slha is not None}
    assert len(spectra) >= 3
    for name, spectrum in spectra.items():
        assert spectrum is not None
        assert all(0.0 < mass <= OUT_OF_REACH for mass in spectrum.masses.values()), name
        for channels in spectrum.decays.values():
            assert sum(channel.ratio for channel in channels) == pytest.approx(float(bool(channels)), abs=1e-3), name
