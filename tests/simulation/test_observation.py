from collections.abc import Callable

import numpy as np
import pytest

from hepfilter.simulation.flat import Candidates, FlatObjects, Particles, prompt
from hepfilter.simulation.observation import Observation, observe, without_pile_up
from hepfilter.simulation.pileup import PileUp, density, scaled_by_puppi
from hepfilter.simulation.truth import Truth

Maker = Callable[..., FlatObjects]


def _shifted(particles: Particles) -> PileUp:
    """Top pairs as pile-up, three an event: a pool that costs nothing."""
    return PileUp(particles, 3.0)


@pytest.fixture(scope="module")
def crowded(top_truth: Truth) -> Observation:
    return observe(top_truth.visible, np.random.default_rng(5), pile_up=_shifted(top_truth.visible))


def test_without_pile_up_the_three_are_one(top_truth: Truth) -> None:
    seen = observe(top_truth.visible, np.random.default_rng(5))
    assert seen.cleaned is seen.candidates and seen.weighted is seen.candidates
    assert np.all(seen.candidates.puppi == 1.0) and not seen.candidates.is_pileup.any()
    assert seen.collisions.tolist() == [0] * 120
    assert (seen.pileup, seen.rho) == (0.0, None)


def test_the_named_detector_looks(gun: Maker) -> None:
    shots = gun(130, 0, pt=100.0, eta=0.43, shots=500)
    widths = {
        name: observe(prompt(shots), np.random.default_rng(1), detector=name).candidates.objects.energy.std()
        for name in ("cms", "atlas")
    }
    # √(5.5² + 225·1.09) against √(3.3² + 5.2²·1.09 + 1.6²) GeV.
    assert widths["cms"] > 2 * widths["atlas"]
    with pytest.raises(KeyError):
        observe(prompt(shots), np.random.default_rng(1), detector="lhcb")


def test_each_way_against_pile_up_works_on_all_candidates(crowded: Observation) -> None:
    seen = crowded.candidates
    assert 0.1 < seen.is_pileup.mean() < 0.9
    assert np.array_equal(crowded.cleaned.objects.pt, seen.objects.pt[~seen.is_pileup])
    assert np.array_equal(crowded.weighted.objects.pt, scaled_by_puppi(seen).objects.pt)
    assert len(crowded.weighted) < len(crowded.cleaned) < len(seen)
    assert crowded.rho is not None
    assert np.array_equal(crowded.rho, density(crowded.cleaned.objects))
    assert not np.array_equal(crowded.rho, density(seen.objects))
    assert abs(crowded.collisions.mean() - 3.0) < 4 * np.sqrt(3.0 / 120)
    assert crowded.pileup == 3.0


def _same(one: Candidates, other: Candidates) -> bool:
    names = ("d0", "d0_error", "dz", "dz_error", "is_pileup", "puppi")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names) and all(
        np.array_equal(getattr(one.objects, name), getattr(other.objects, name))
        for name in ("event", "pt", "eta", "phi")
    )


def test_some_events_are_what_they_were(crowded: Observation) -> None:
    mask = np.arange(120) % 4 == 1
    part = crowded.of_events(mask)
    assert crowded.rho is not None and part.rho is not None
    assert np.array_equal(part.rho, crowded.rho[mask])
    assert np.array_equal(part.collisions, crowded.collisions[mask])
    assert part.pileup == 3.0
    for name in ("candidates", "cleaned", "weighted"):
        assert _same(getattr(part, name), getattr(crowded, name).of_events(mask)), name
        assert getattr(part, name).objects.n_events == 30
    # What is made of the kept candidates is what was kept of the made ones.
    assert np.array_equal(density(part.cleaned.objects), part.rho)


def test_some_events_without_pile_up_are_still_one(top_candidates: Candidates) -> None:
    part = without_pile_up(top_candidates).of_events(np.arange(120) < 7)
    assert part.cleaned is part.candidates and part.weighted is part.candidates
    assert part.rho is None
    assert part.collisions.tolist() == [0] * 7
    assert len(without_pile_up(top_candidates).of_events(np.zeros(120, dtype=bool)).collisions) == 0


def test_pile_up_is_seen_in_events_that_have_nothing_else(objects: Maker, top_truth: Truth) -> None:
    nothing = prompt(objects([], n_events=40))
    seen = observe(nothing, np.random.default_rng(5), pile_up=_shifted(top_truth.visible))
    assert np.array_equal(seen.candidates.objects.counts > 0, seen.collisions > 0)
    # There is no track to be near to: in the centre nothing is kept.
    kept = seen.weighted.objects
    hard = seen.candidates[~seen.candidates.is_pileup & (seen.candidates.objects.charge != 0)]
    assert len(hard) == 0
    assert np.all(np.abs(kept.eta) >= 2.5)


def test_events_without_anything_are_seen_as_such(objects: Maker, top_truth: Truth) -> None:
    nothing = prompt(objects([], n_events=4))
    for pile_up in (None, PileUp(top_truth.visible, 1e-12)):
        seen = observe(nothing, np.random.default_rng(5), pile_up=pile_up)
        assert seen.candidates.objects.counts.tolist() == [0] * 4
        assert seen.weighted.objects.n_events == 4
        assert seen.collisions.tolist() == [0] * 4
    assert seen.rho is not None and seen.rho.tolist() == [0.0] * 4


def test_same_seed_same_observation(top_truth: Truth) -> None:
    pile_up = _shifted(top_truth.visible)
    one, two = (observe(top_truth.visible, np.random.default_rng(5), pile_up=pile_up) for _ in range(2))
    assert _same(one.weighted, two.weighted)
