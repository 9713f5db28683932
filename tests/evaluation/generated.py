"""Scored events without files or networks: a falling spectrum of background, and families that differ from it."""

import numpy as np
import torch

from hepfilter.evaluation.sample import BASELINES, ScoredEvents, SignalFamily
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.graphs.padded import PaddedGraphs


def make_events(
    n_background: int = 20_000,
    n_signal: int = 1_000,
    *,
    families: dict[str, bool] | None = None,
    seed: int = 1,
    weighted: bool = False,
    separation: float = 2.5,
) -> ScoredEvents:
    """Hardness is exponential for background, harder for signals; `interest` knows the signals and hardness a little.

    Weighted: half of the background is made hard, with weights that give the same spectrum.
    """
    rng = np.random.default_rng(seed)
    families = {"dijet": True, "dilepton": False} if families is None else families
    counts = [n_background, *[n_signal] * len(families)]
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    scale = np.repeat([100.0, *np.linspace(150, 400, len(families))], counts)
    weights = np.ones(len(labels))
    if weighted:
        hard = (labels == 0) & (rng.random(len(labels)) < 0.5)
        scale[hard] = 300.0
    hardness = 30 + rng.exponential(scale)
    if weighted:  # true density over the density generated
        x, soft = hardness - 30, labels == 0
        generated = 0.5 * np.exp(-x / 100) / 100 + 0.5 * np.exp(-x / 300) / 300
        weights[soft] = (np.exp(-x / 100) / 100 / generated)[soft]
    score = rng.normal(size=len(labels)) + 0.5 * np.log(hardness) + separation * (labels > 0)
    ht = hardness * rng.uniform(0.6, 1.0, len(labels))
    columns = {"hardness": hardness, "ht": ht, "met": hardness - ht, "dijet_mass": 1.5 * ht}
    columns |= {"multiplicity": rng.poisson(np.log(hardness))}
    observables = np.zeros((len(labels), len(OBSERVABLES)), np.float32)
    for name, values in columns.items():
        observables[:, OBSERVABLES.index(name)] = values
    scores = {"interest": score.astype(np.float32)}
    scores |= {name: observables[:, OBSERVABLES.index(name)] for name in BASELINES}
    signals = [SignalFamily(name, seen, frozenset({1 + i})) for i, (name, seen) in enumerate(families.items())]
    return ScoredEvents(labels, weights, observables, labels == 0, scores, tuple(signals))


def labelled(*labels: int) -> LabelledGraphs:
    """Events without nodes, all in the training part of any split."""
    n = len(labels)
    graphs = PaddedGraphs(torch.zeros(n, 1, 2), torch.zeros(n, 1, 4), torch.zeros(n, 1, dtype=torch.bool))
    observables = np.arange(n * len(OBSERVABLES), dtype=np.float32).reshape(n, -1)
    return LabelledGraphs(np.array(labels, np.int32), np.ones(n), np.zeros(n), observables, graphs=graphs)
