"""What a detector makes of events: candidates as seen, and as they are after each way to be rid of pile-up."""

from dataclasses import dataclass, replace

import numpy as np

from hepfilter.simulation.detector import DETECTORS, detect
from hepfilter.simulation.flat import Candidates, Floats, Ints, Mask, Particles
from hepfilter.simulation.pileup import PileUp, density, overlay, scaled_by_puppi, with_puppi


@dataclass(frozen=True)
class Observation:
    """All `candidates`; those `cleaned` of the tracks of other collisions; those `weighted` by PUPPI. Without pile-up
    the three are one.

    `collisions` is the number of further collisions in each event, `pileup` their mean, `rho` the density of the
    cleaned candidates in GeV per unit of η · φ, None without pile-up.
    """

    candidates: Candidates
    cleaned: Candidates
    weighted: Candidates
    collisions: Ints
    pileup: float
    rho: Floats | None

    def of_events(self, events: Mask) -> "Observation":
        """The events under a mask, numbered anew."""
        if self.rho is None:
            return without_pile_up(self.candidates.of_events(events))
        return replace(
            self,
            candidates=self.candidates.of_events(events),
            cleaned=self.cleaned.of_events(events),
            weighted=self.weighted.of_events(events),
            collisions=self.collisions[events],
            rho=self.rho[events],
        )


def observe(
    particles: Particles, rng: np.random.Generator, *, detector: str = "cms", pile_up: PileUp | None = None
) -> Observation:
    """What the detector ("cms" or "atlas") sees of stable, visible particles, with pile-up laid over them if given."""
    if pile_up is None:
        return without_pile_up(detect(particles, rng, detector=DETECTORS[detector]))
    crowded, collisions = overlay(particles, pile_up, rng)
    candidates = with_puppi(detect(crowded, rng, detector=DETECTORS[detector]), collisions)
    cleaned = candidates[~candidates.is_pileup]
    rho = density(cleaned.objects)
    return Observation(candidates, cleaned, scaled_by_puppi(candidates), collisions, pile_up.mean, rho)


def without_pile_up(candidates: Candidates) -> Observation:
    """Candidates of events with one collision each."""
    collisions = np.zeros(candidates.objects.n_events, dtype=np.int64)
    return Observation(candidates, candidates, candidates, collisions, 0.0, None)
