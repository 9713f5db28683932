"""Closure of the simulation against the research set of the LHC Olympics (arXiv:2101.08320).

Share of the events with 3.3 < mJJ < 3.7 TeV, of QCD dijets and of W′(3500) → X(500) Y(100) → four quarks, after asking
for an anti-kT R = 1.0 jet with pT > 1.2 TeV and |η| < 2.5; no multiple interactions, as in that set. Published: 12.1 %
and 77 %.

    python benchmarks/simulation_closure.py [--qcd 5000] [--signal 2000] [--seed 1]
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np

from hepfilter.config.card import Card, load_card
from hepfilter.simulation.blocks import BLOCK_EVENTS, derived_seed, pythia_seed
from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.detector import detect
from hepfilter.simulation.flat import FlatObjects, Floats, rank_in_event
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.truth import read_truth


@dataclass(frozen=True)
class Dijets:
    """Of the selected events: mass of the two leading jets, the lighter's and the heavier's own mass, in GeV."""

    dijet: Floats
    lighter: Floats
    heavier: Floats


def dijets(candidates: FlatObjects) -> Dijets:
    """The two leading R = 1.0 jets of the events that have one with pT > 1.2 TeV and |η| < 2.5."""
    jets = cluster_jets(candidates, radius=1.0, minimum_pt=100.0).jets
    leading = jets[rank_in_event(jets.event) < 2]
    central = (leading.pt > 1200.0) & (np.abs(leading.eta) < 2.5)
    selected = (leading.counts == 2) & (np.bincount(leading.event, central, leading.n_events) > 0)
    pair = leading[selected[leading.event]]
    directions = np.stack([np.cos(pair.phi), np.sin(pair.phi), np.sinh(pair.eta)])
    momentum = (pair.pt * directions).reshape(3, -1, 2).sum(axis=2)
    energy = pair.energy.reshape(-1, 2).sum(axis=1)
    squared = energy**2 - (momentum**2).sum(axis=0)
    mass = np.sort(pair.mass.reshape(-1, 2), axis=1)
    return Dijets(np.sqrt(np.maximum(squared, 0.0)), mass[:, 0], mass[:, 1])


def measure(card: Card, *, events: int, seed: int, published: float) -> None:
    """Generate, reconstruct, print one row."""
    start = time.perf_counter()
    found = []
    generating = 0.0
    for block, first in enumerate(range(0, events, BLOCK_EVENTS)):
        before = time.perf_counter()
        size = min(BLOCK_EVENTS, events - first)
        made = generate(card, events=size, seed=pythia_seed(card.name, seed, block))
        generating += time.perf_counter() - before
        rng = np.random.default_rng(derived_seed(card.name, seed, block, purpose="detector"))
        found.append(dijets(detect(read_truth(made.events, made.generator.particleData).visible, rng)))
    masses = {name: np.concatenate([getattr(part, name) for part in found]) for name in ("dijet", "lighter", "heavier")}
    total = len(masses["dijet"])
    share = np.mean((masses["dijet"] > 3300.0) & (masses["dijet"] < 3700.0))
    error = np.sqrt(share * (1.0 - share) / total)
    medians = [f"{np.median(values):.0f}" for values in masses.values()]
    seconds = time.perf_counter() - start
    print(
        f"{card.name:12} {events:7} made {total:7} selected   in signal region {100 * share:5.1f} ± {100 * error:.1f} %"
        f" (published {published} %)   median mJJ, light, heavy: {', '.join(medians)} GeV"
        f"   {events / seconds:.0f} events/s, generator {100 * generating / seconds:.0f} % of the time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qcd", type=int, default=5000)
    parser.add_argument("--signal", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lines = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 900")
    hard = {"name": "qcd_900", "settings": lines, "multiple_interactions": False}
    measure(load_card("qcd_1000").model_copy(update=hard), events=options.qcd, seed=options.seed, published=12.1)
    signal = load_card("wprime_xy").model_copy(update={"multiple_interactions": False})
    measure(signal, events=options.signal, seed=options.seed, published=77.0)


if __name__ == "__main__":
    main()
