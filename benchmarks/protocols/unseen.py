"""Signals that a model has never seen: whole groups of families, by final state, are left out of the training.

For each signal, on the same test events: the network trained without its group, the unsupervised baselines, HT, and
trees dedicated to it (trained on that very signal, on all observables). In two measures: the physical mix, and
background weighted to the signal's own hardness, where the threshold is taken too (`hepfilter.evaluation.families`).
The dedicated trees of the physical mix learn from background as nature weighs it, the others as our network does.
`combined` is Fisher's combination of its scores (`scoring.calibration`), with p-values from the background of the
training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from hepfilter.config.card import load_cards
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.groups import load_groups
from hepfilter.config.training import TrainingConfig
from hepfilter.evaluation.baselines import UNSUPERVISED, BaselineEvents, fit_baseline
from hepfilter.evaluation.families import MEASURES, Comparison, Measure, family_results
from hepfilter.evaluation.metrics import WorkingPoint
from hepfilter.evaluation.sample import BASELINES, ScoredEvents, SignalFamily, model_scores
from hepfilter.events.first_level import COLLECTIONS, first_level_objects
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.caching import cached_graphs
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.scoring.calibration import COMBINED, INTEREST, fit_calibration, uncombined_scores
from hepfilter.scoring.scorer import Scorer
from hepfilter.training.classes import training_classes
from hepfilter.training.run import train
from protocols.tables import number, print_table, write_json

TARGET = 1e-2
DEDICATED = "dedicated"
OURS = (INTEREST, COMBINED)
PHYSICAL = ", physical"
DEDICATED_OF: dict[Measure, str] = {"physical": DEDICATED + PHYSICAL, "matched": DEDICATED}
LEARNING = tuple(name for name in UNSUPERVISED if name not in BASELINES)
SIMPLE = (*UNSUPERVISED, *(name + PHYSICAL for name in LEARNING))
"""What our scores must beat; see `unsupervised`."""
SIGNIFICANT = 0.05
"""Two-sided p-value below which a difference is more than chance."""
VERDICTS = ("worse", "equal", "better")
RIVALS = (*SIMPLE, DEDICATED_OF["physical"])
_ENTRIES = 20_000
Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Signal:
    """One card, all its masses together."""

    name: str
    family: str
    group: str
    label: int


@dataclass(frozen=True)
class Duel:
    """Signal events that one score finds in the physical mix and the other does not, and the other way round."""

    won: int
    lost: int

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, by McNemar's exact test (Psychometrika 12 (1947) 153)."""
        decided = self.won + self.lost
        if decided == 0 or binomtest(self.won, decided).pvalue >= SIGNIFICANT:
            return "equal"
        return "better" if self.won > self.lost else "worse"


@dataclass(frozen=True)
class SignalResult:
    """One signal in both measures, by the model left without its group, the baselines and dedicated trees.

    `duels` are those of our scores with the rivals that have a working point.
    """

    signal: Signal
    by_measure: Mapping[Measure, Comparison]
    duels: Mapping[str, Mapping[str, "Duel"]]

    def efficiency(self, measure: Measure, score: str) -> float:
        """Signal efficiency at `TARGET`; NaN where background is too scarce."""
        point = self.by_measure[measure].by_score[score].working_points[TARGET]
        return float("nan") if point is None else point.signal.value


@dataclass(frozen=True)
class Data:
    """All events, as graphs and as simple methods see them, with masks of the training and of the test."""

    graphs: CachedGraphs
    events: BaselineEvents
    training: NDArray[np.bool_]
    test: NDArray[np.bool_]
    background: NDArray[np.bool_]


def run(
    config: TrainingConfig,
    sources: list[Source],
    *,
    only: Sequence[str],
    device: str,
    folder: Path,
    output: Path | None,
) -> None:
    data = read(config, sources, folder)
    signals = [signal for signal in signals_of(config) if not only or signal.group in only]
    seen = unsupervised(data)
    results: list[SignalResult] = []
    for group in dict.fromkeys(signal.group for signal in signals):
        members = [signal for signal in signals if signal.group == group]
        scores = seen | interest(config, data, members, device=device, folder=folder)
        results += [result_of(signal, data, scores | dedicated(data, signal)) for signal in members]
        write_json(output, {"training": config.model_dump(mode="json"), "target": TARGET, "signals": results})
    for measure in MEASURES:
        report(measure, results)
    report_duels(results)


def read(config: TrainingConfig, sources: list[Source], folder: Path) -> Data:
    """Graphs by the cache, objects by the same files in the same order."""
    graph = load_graph_specification(config.graph)
    graphs = cached_graphs(sources, graph, folder / "graphs", split_seed=config.split.seed, progress=lambda *_: None)
    events = BaselineEvents(
        graphs.observables, np.concatenate(list(objects(sources))), np.power(graphs.weights, config.fit.weight_power)
    )
    labels = [label for c in training_classes(config) if not c.is_signal for label in c.labels]
    hashes, edge = graphs.split_hash, config.split.training + config.split.validation
    return Data(graphs, events, hashes < edge, hashes >= edge, np.isin(graphs.labels, labels))


def unsupervised(data: Data) -> dict[str, Scores]:
    """The scores of all test events by the baselines `SIMPLE`.

    Those that learn do so twice, from background weighted as in our training and as in nature: which of them is better
    depends on the measure. What learns from much hard background gives its highest scores to soft events, too few of
    which are there for a threshold in the physical mix; where background is as hard as signal it is the better one.
    """
    test, background = data.events.select(data.test), data.training & data.background
    events = dict.fromkeys(UNSUPERVISED, data.events)
    events |= {name + PHYSICAL: replace(data.events, weights=data.graphs.weights) for name in LEARNING}
    return {
        name: fit_baseline(name.removesuffix(PHYSICAL), those.select(background))(test)
        for name, those in events.items()
    }


def objects(sources: list[Source]) -> Iterator[NDArray[np.float32]]:
    for source in sources:
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, wanted=COLLECTIONS)
            for start in range(0, found.tree.num_entries, _ENTRIES):
                yield first_level_objects(found.read(start, min(start + _ENTRIES, found.tree.num_entries)).record)


def signals_of(config: TrainingConfig) -> list[Signal]:
    """The signals of the configuration, one for each truth label, with their groups."""
    groups, found = load_groups(), {}
    for name in (name for names in config.classes.values() for name in names):
        for card in load_cards(name):
            if card.is_signal:
                group = next(iter(groups.grouped([card.family])))
                found[card.label] = Signal(card.name.split("@")[0], card.family, group, card.label)
    return list(found.values())


def interest(
    config: TrainingConfig, data: Data, members: list[Signal], *, device: str, folder: Path
) -> dict[str, Scores]:
    """The scores of all heads of a network trained without a group; one of the same training in the folder is taken."""
    model = folder / f"without-{members[0].group}.safetensors"
    families = {signal.family for signal in members}
    if not model.exists():
        train(config, [Source(str(folder / "graphs"))], model, exclude=sorted(families), device=device)
    scorer = Scorer(model, device=device)
    told = scorer.metadata.provenance
    if TrainingConfig.model_validate(told["training"]) != config or not families <= {*told["excluded_families"]}:
        raise SystemExit(f"{model}: is of another training; remove it, or give another --folder")
    seen = data.graphs.select(data.training & data.background)
    calibration = fit_calibration(
        model_scores(scorer, seen),
        seen.weights,
        model_hash=scorer.model_hash,
        background={"part": "training"},
        uncombined=uncombined_scores(scorer.metadata),
    )
    scores = model_scores(scorer, data.graphs.select(data.test))
    return dict(scores) | {COMBINED: -np.log(calibration.combine(scores).values)}


def dedicated(data: Data, signal: Signal) -> dict[str, Scores]:
    """By the names `DEDICATED_OF`: NaN-free scores of all test events by trees trained on this signal."""
    test, is_signal = data.events.select(data.test), data.training & (data.graphs.labels == signal.label)
    own = replace(data.events, weights=np.ones(len(data.events))).select(is_signal)
    natural = replace(data.events, weights=data.graphs.weights)
    return {
        name: fit_baseline("trees", events.select(data.training & data.background), own)(test)
        for name, events in {DEDICATED: data.events, DEDICATED + PHYSICAL: natural}.items()
    }


def result_of(signal: Signal, data: Data, scores: Mapping[str, Scores]) -> SignalResult:
    test = data.graphs.select(data.test)
    family = SignalFamily(signal.name, seen=False, labels=frozenset({signal.label}))
    background = data.background[data.test]
    scored = ScoredEvents(test.labels, test.weights, test.observables, background, scores, (family,))
    (found,) = family_results(scored)
    points = {name: separation.working_points[TARGET] for name, separation in found.physical.by_score.items()}
    passed = {
        name: scores[name][scored.signal(family)] >= point.threshold
        for name, point in points.items()
        if point is not None
    }
    if not passed.keys() >= {*OURS}:
        raise SystemExit(f"{signal.name}: too little background for {TARGET:g}; simulate more")
    duels = {ours: {other: duel(passed[ours], passed[other]) for other in RIVALS if other in passed} for ours in OURS}
    return SignalResult(signal, {measure: found.comparison(measure) for measure in MEASURES}, duels)


def duel(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> Duel:
    return Duel(int(np.count_nonzero(ours & ~other)), int(np.count_nonzero(other & ~ours)))


def report(measure: Measure, results: list[SignalResult]) -> None:
    """A row for each signal, then means, medians and what they come to."""
    scores = list(results[0].by_measure[measure].by_score)
    rows = [
        [result.signal.group, result.signal.name, *(point_of(result, measure, score) for score in scores)]
        for result in results
    ]
    table = {score: np.array([result.efficiency(measure, score) for result in results]) for score in scores}
    for name, average in (("mean", np.nanmean), ("median", np.nanmedian)):
        rows.append(["", name, *(number(_average(average, values), 3) for values in table.values())])
        ideal = table[DEDICATED_OF[measure]]
        ratios = [number(_average(average, ratio(values, ideal)), 3) for values in table.values()]
        rows.append(["", f"{name} of score / dedicated", *ratios])
    rows.append(["", "signals known", *(str(np.count_nonzero(~np.isnan(values))) for values in table.values())])
    print_table(f"unseen signals, efficiency at {TARGET:g} background, {measure}", ["group", "signal", *scores], rows)


def report_duels(results: list[SignalResult]) -> None:
    """In how many signals our scores find more than a simple method, as many within statistics, or fewer."""
    rows = []
    for ours in OURS:
        simple = [
            {other: found for other, found in result.duels[ours].items() if other in SIMPLE} for result in results
        ]
        against = {
            other: [[result.duels[ours][other]] for result in results if other in result.duels[ours]]
            for other in RIVALS
        }
        for other, fought in {**against, "every simple method": [list(found.values()) for found in simple]}.items():
            worst = [min((duel.verdict for duel in duels), key=VERDICTS.index) for duels in fought]
            higher = sum(all(duel.won > duel.lost for duel in duels) for duels in fought)
            verdicts = (str(worst.count(verdict)) for verdict in reversed(VERDICTS))
            rows.append([ours, other, str(len(fought)), str(higher), *verdicts])
    title = f"where a score finds more signal than another at {TARGET:g} background, physical"
    print_table(title, ["score", "against", "signals known", "more events", *reversed(VERDICTS)], rows)


def ratio(values: NDArray[np.float64], ideal: NDArray[np.float64]) -> NDArray[np.float64]:
    """[signals] efficiencies over those of the dedicated trees; NaN where these find nothing."""
    return np.divide(values, ideal, out=np.full_like(ideal, np.nan), where=ideal > 0)


def point_of(result: SignalResult, measure: Measure, score: str) -> str:
    point: WorkingPoint | None = result.by_measure[measure].by_score[score].working_points[TARGET]
    return "–" if point is None else f"{point.signal.value:.3f}"


def _average(average: Any, values: NDArray[np.float64]) -> float:
    return float("nan") if np.isnan(values).all() else float(average(values))
