"""Supervised, on the set `lhco`: our network on particles, and trees on the four standard features of two fat jets.

The same events, divided by their hash, for all methods: what trains a network trains the trees; all are asked of the
same test. W′ → X Y → qq qq against QCD, in all of mJJ and in the signal region.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from hepfilter.config.card import load_card
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
from hepfilter.config.training import Fit, Split
from hepfilter.evaluation.metrics import BackgroundScores, Separation, separation
from hepfilter.evaluation.sample import model_scores
from hepfilter.events.dijet import DijetEvents
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.caching import cached_graphs
from hepfilter.io.dijets import read_dijets
from hepfilter.io.sources import Source
from hepfilter.models.checkpoint import save
from hepfilter.scoring.scorer import Scorer
from hepfilter.training.fitting import fit
from hepfilter.training.references import MassWindow
from protocols import peers
from protocols.tables import cell, print_table, write_json

BACKGROUND, SIGNAL = "lhco_qcd", "wprime_xy"
REGION = MassWindow(low=3300.0, high=3700.0, lower=2900.0, upper=4300.0)
PUBLISHED_SHARES = {"lhco_qcd": 12.1, "wprime_xy": 77.0}
TARGETS = (1e-2, 1e-3)
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class LhcoOptions:
    """share: of all events that is used.    weaver: of `peers.NAMES`, those of weaver-core to train too."""

    graph: str
    architecture: str
    share: float
    fit: Fit
    weaver: tuple[str, ...]
    device: str
    folder: Path


@dataclass(frozen=True)
class Sample:
    """The events of both classes with two fat jets: graphs, features [B, 4], masses [B], and who is signal [B]."""

    graphs: CachedGraphs
    features: Scores
    mass: Scores
    is_signal: NDArray[np.bool_]

    def where(self, events: NDArray[np.bool_]) -> "Sample":
        return Sample(self.graphs.select(events), self.features[events], self.mass[events], self.is_signal[events])


def run(sources: list[Source], options: LhcoOptions, output: Path | None) -> None:
    dijets = read_dijets(sources)
    if dijets.labels is None:
        raise SystemExit("the sample has no truth labels")
    shares = print_shares(dijets.events, dijets.labels)
    sample = read_sample(sources, dijets.events, options)
    split = Split()
    edge = split.training + split.validation
    training, validation, test = (
        sample.where((sample.graphs.split_hash >= low) & (sample.graphs.split_hash < high))
        for low, high in ((0.0, split.training), (split.training, edge), (edge, 1.0))
    )
    scores = {
        "trees, 4 features": trees(training, validation, test),
        f"{options.architecture} on {options.graph}": network(training, validation, test, options),
    }
    for name in options.weaver:
        scores[f"weaver {name} on {options.graph}"] = peers.train_and_score(
            name, *(part.graphs for part in (training, validation, test)),
            *(part.is_signal for part in (training, validation)), options.fit, options.device,
        )  # fmt: skip
    reduced = "" if options.share == 1 else f"reduced to {options.share:g} of the events, "
    title = f"{reduced}{options.fit.epochs} epochs, {len(training.mass)} training events"
    results = {place: separations(scores, test, events) for place, events in places(test).items()}
    print_table(f"supervised: {title}", ["events", "method", "AUC", *(f"at {t:g}" for t in TARGETS)], rows(results))
    write_json(output, {"shares": shares, "options": options, "events": len(sample.mass), "results": results})


def read_sample(sources: list[Source], dijets: DijetEvents, options: LhcoOptions) -> Sample:
    """Graphs from the cache beside the features, event by event."""
    graph = load_graph_specification(options.graph)
    data = cached_graphs(sources, graph, options.folder / "graphs", split_seed=Split().seed, progress=lambda *_: None)
    labels = [load_card(name).label for name in (BACKGROUND, SIGNAL)]
    used = np.random.default_rng(1).random(len(data)) < options.share
    used &= dijets.chosen & np.isin(data.labels, labels)
    within = used[dijets.chosen]
    graphs = data.select(used)
    return Sample(graphs, dijets.features[within], dijets.mass[within], graphs.labels == labels[1])


def trees(training: Sample, validation: Sample, test: Sample) -> Scores:
    table = np.concatenate([training.features, validation.features])
    model = HistGradientBoostingClassifier(early_stopping=True, random_state=1)
    model.fit(table, np.concatenate([training.is_signal, validation.is_signal]))
    scores: Scores = model.decision_function(test.features)
    return scores


def network(training: Sample, validation: Sample, test: Sample, options: LhcoOptions) -> Scores:
    definition = ModelDefinition(
        graph=training.graphs.specification,
        architecture=load_architecture(options.architecture),
        classes=(EventClass(name="qcd", is_signal=False), EventClass(name="resonance", is_signal=True)),
    )
    wanted = (training.is_signal.astype(np.int64), validation.is_signal.astype(np.int64))
    fitted = fit(
        definition, training.graphs, validation.graphs, targets=wanted, options=options.fit, device=options.device
    )
    model = options.folder / f"{options.architecture}.safetensors"
    save(fitted.network, model, provenance={"benchmark": "lhco"})
    return np.asarray(model_scores(Scorer(model, device=options.device), test.graphs)["interest"], np.float64)


def places(test: Sample) -> dict[str, NDArray[np.bool_]]:
    return {"all mJJ": np.ones(len(test.mass), np.bool_), "signal region": REGION.region(test.mass)}


def separations(scores: Mapping[str, Scores], test: Sample, events: NDArray[np.bool_]) -> dict[str, Separation]:
    signal, background = events & test.is_signal, events & ~test.is_signal
    return {
        name: separation(values[signal], BackgroundScores(values[background]), targets=TARGETS)
        for name, values in scores.items()
    }


def rows(results: Mapping[str, Mapping[str, Separation]]) -> list[list[str]]:
    return [
        [place, name, f"{found.auc:.4f}", *(cell(found.working_points[target]) for target in TARGETS)]
        for place, by_method in results.items()
        for name, found in by_method.items()
    ]


def print_shares(events: DijetEvents, labels: NDArray[np.int32]) -> dict[str, dict[str, float]]:
    """Closure: the share of each process in the signal region, beside the published one (arXiv:2101.08320)."""
    shares = {}
    for name in (BACKGROUND, SIGNAL, "wprime_xy_3prong"):
        inside = REGION.region(events.mass[labels == load_card(name).label])
        if len(inside):
            share = float(inside.mean())
            shares[name] = {"events": len(inside), "share": share, "error": np.sqrt(share * (1 - share) / len(inside))}
    table = [
        [name, f"{found['events']:,}", f"{100 * found['share']:.1f} ± {100 * found['error']:.1f}",
         str(PUBLISHED_SHARES.get(name, "–"))]
        for name, found in shares.items()
    ]  # fmt: skip
    print_table("share with 3.3 < mJJ < 3.7 TeV in %", ["process", "events", "here", "published"], table)
    return shares
