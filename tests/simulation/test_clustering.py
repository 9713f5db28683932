from collections.abc import Callable

import numpy as np
import pytest

from hepfilter.simulation.clustering import cluster_jets, fastjet_module, substructure
from hepfilter.simulation.flat import Candidates, FlatObjects

Maker = Callable[..., FlatObjects]


def test_jets_equal_fastjets_own_one_event_at_a_time(top_candidates: Candidates) -> None:
    fastjet = fastjet_module()
    found = cluster_jets(top_candidates.objects, radius=0.4, minimum_pt=15.0).jets
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.4)
    for event in range(10):
        part = top_candidates.objects[top_candidates.objects.event == event]
        x, y, z = part.pt * np.cos(part.phi), part.pt * np.sin(part.phi), part.pt * np.sinh(part.eta)
        rows = np.stack([x, y, z, part.energy], axis=1).tolist()
        sequence = fastjet.ClusterSequence([fastjet.PseudoJet(*row) for row in rows], definition)
        expected = fastjet.sorted_by_pt(sequence.inclusive_jets(15.0))
        ours = found[found.event == event]
        assert ours.pt == pytest.approx([jet.pt() for jet in expected], rel=1e-9)
        assert ours.mass == pytest.approx([jet.m() for jet in expected], rel=1e-5, abs=1e-3)


def test_a_jet_is_the_sum_of_what_is_inside(top_candidates: Candidates) -> None:
    clustered = cluster_jets(top_candidates.objects, radius=0.8, minimum_pt=100.0)
    inside = top_candidates.objects[clustered.constituent]
    count = len(clustered.jets)
    assert count > 50
    assert np.all(np.diff(clustered.owner) >= 0)
    assert np.all(inside.event == clustered.jets.event[clustered.owner])
    x = np.bincount(clustered.owner, inside.pt * np.cos(inside.phi), count)
    z = np.bincount(clustered.owner, inside.pt * np.sinh(inside.eta), count)
    energy = np.bincount(clustered.owner, inside.energy, count)
    assert x == pytest.approx(clustered.jets.pt * np.cos(clustered.jets.phi), rel=1e-6, abs=1e-6)
    assert z == pytest.approx(clustered.jets.pt * np.sinh(clustered.jets.eta), rel=1e-6, abs=1e-6)
    assert energy == pytest.approx(clustered.jets.energy, rel=1e-6)
    assert clustered.sizes.sum() == len(clustered.constituent)
    assert len(np.unique(clustered.constituent)) == len(clustered.constituent)


def test_jets_stand_by_falling_pt_and_above_the_cut(top_candidates: Candidates) -> None:
    found = cluster_jets(top_candidates.objects, radius=0.4, minimum_pt=15.0).jets
    same = np.diff(found.event) == 0
    assert np.all(np.diff(found.event) >= 0)
    assert np.all(np.diff(found.pt)[same] <= 0)
    assert found.pt.min() >= 15.0


def test_near_particles_make_one_jet_and_far_ones_two(objects: Maker) -> None:
    rows = [(0, 50.0, 0.0, 0.0), (0, 40.0, 0.3, 0.0), (2, 50.0, 0.0, 3.1), (2, 40.0, 0.0, -2.3)]
    found = cluster_jets(objects(rows, n_events=4), radius=0.4, minimum_pt=15.0).jets
    assert found.counts.tolist() == [1, 0, 2, 0]
    assert found.pt[1:].tolist() == pytest.approx([50.0, 40.0])


def test_no_candidates_no_jets(objects: Maker) -> None:
    nothing = objects([], n_events=3)
    clustered = cluster_jets(nothing, radius=0.4, minimum_pt=15.0)
    assert clustered.jets.counts.tolist() == [0, 0, 0]
    inside = substructure(nothing, clustered, radius=0.4)
    assert (inside.soft_drop_mass.shape, inside.tau.shape) == ((0,), (0, 3))


def test_substructure_of_jets_made_by_hand(objects: Maker) -> None:
    two_prongs = [(0, 200.0, -0.2, 0.0), (0, 200.0, 0.2, 0.0), (0, 3.0, 0.0, 0.7)]
    soft_halo = [(1, 400.0, 0.0, 0.0), (1, 10.0, 0.6, 0.0)]
    alone = [(2, 300.0, 0.0, 0.0)]
    candidates = objects(two_prongs + soft_halo + alone, n_events=3)
    clustered = cluster_jets(candidates, radius=0.8, minimum_pt=170.0)
    inside = substructure(candidates, clustered, radius=0.8)
    pair_mass = np.sqrt(2 * 200.0**2 * (np.cosh(0.4) - 1.0))
    # The third particle of the two-prong jet and the halo of the second carry less than 0.1: both are groomed away.
    assert inside.soft_drop_mass == pytest.approx([pair_mass, 0.0, 0.0], rel=1e-3, abs=0.1)
    assert clustered.jets.mass[0] > inside.soft_drop_mass[0] + 2.0
    assert clustered.jets.mass[1] > 30.0
    tau_1, tau_2, tau_3 = inside.tau.T
    # τ1 with the axis between the prongs, or on one of them: about half the pT at ΔR = 0.4.
    assert tau_1[0] == pytest.approx(0.25, abs=0.03)
    assert tau_2[0] < 0.1 * tau_1[0]
    assert tau_3[0] == pytest.approx(0.0, abs=1e-6)
    assert inside.tau[2] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert np.all(np.isfinite(inside.tau))
