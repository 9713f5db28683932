"""What a selection made of the spectra: of all events, as the run remembers them, and of those that it took."""

from collections.abc import Mapping, Sequence

import numpy as np

from hepfilter.events.spectra import SPECTRA, SPECTRUM_EDGES
from hepfilter.skim.reporting.containers import Sculpted, Shape
from hepfilter.skim.reporting.shown import Mask, ShownEvents
from hepfilter.statistics.divergence import jensen_shannon, random_divergence
from hepfilter.statistics.histograms import Histogram

WRITTEN = "all that is written"


def sculpted(before: Mapping[str, Histogram], events: ShownEvents, paths: Sequence[str]) -> tuple[Sculpted, ...]:
    """Each spectrum that both have, for all shown events and for those of each path after its prescale."""
    masks = {path: events.passed[path] for path in paths if path in events.passed}
    masks = {WRITTEN: np.ones(len(events), bool)} | masks
    return tuple(
        Sculpted(name, before[name], tuple(_shape(which, before[name], events, name, masks[which]) for which in masks))
        for name in SPECTRA
        if name in before and name in events.observables
    )


def _shape(selection: str, before: Histogram, events: ShownEvents, name: str, mask: Mask) -> Shape:
    """One selection; negative weights have no divergence."""
    weights = events.weights[mask]
    spectrum = Histogram.of(events.observables[name][mask], SPECTRUM_EDGES, weights)
    squares = float(spectrum.squares.sum())
    n_effective = float(spectrum.weights.sum()) ** 2 / squares if squares > 0 else 0.0
    if (spectrum.weights < 0).any() or (before.weights < 0).any():
        return Shape(selection, spectrum, float("nan"), float("nan"), float("nan"), n_effective)
    divergence = jensen_shannon(spectrum.weights, before.weights)
    return Shape(selection, spectrum, divergence, *random_divergence(before.weights, n_effective), n_effective)
