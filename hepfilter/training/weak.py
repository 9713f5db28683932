"""Weak supervision: a search for a resonance without a model of the signal, by trees that learn from data alone.

Trees learn to tell the events of a signal region in mass from a reference made of the sidebands. If both hold the same
background, all that they can learn is signal (E. M. Metodiev, B. Nachman, J. Thaler, JHEP 10 (2017) 174). The events
are divided into folds, and each is scored by trees that were trained on the other folds. Ensembles of boosted trees are
the strong simple choice on high-level features (T. Finke et al., Phys. Rev. D 109 (2024) 034033).

Without signal the excess is on average slightly below zero: what fluctuates up in one fold fluctuates down in the
others, from which its trees learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from hepfilter.errors import TrainingError, UsageError
from hepfilter.evaluation.metrics import BackgroundScores
from hepfilter.statistics.significance import Excess, on_off_excess
from hepfilter.training.references import MassWindow, Method, References, references

SELECTIONS: Final = (1e-1, 1e-2, 1e-3)
_SELECTION_MEMBERS: Final = 3
Floats = NDArray[np.floating[Any]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trees:
    """Options of scikit-learn's HistGradientBoostingClassifier; it stops early on half of its events."""

    learning_rate: float = 0.1
    max_leaf_nodes: int = 31
    l2_regularization: float = 0.0
    iterations: int = 100


@dataclass(frozen=True)
class WeakOptions:
    """How a search is made.

    folds: at least 2.    members: boosted trees averaged for each fold.    selections: shares of the reference that
    pass.    candidates: options among which each fold chooses without labels (see `figure_of_merit`), on events that it
    does not score.    UsageError for what makes no sense.
    """

    method: Method = "cwola"
    folds: int = 5
    members: int = 10
    selections: tuple[float, ...] = SELECTIONS
    candidates: tuple[Trees, ...] = (Trees(),)
    seed: int = 1

    def __post_init__(self) -> None:
        least = 2 if len(self.candidates) == 1 else 3
        if self.folds < least or self.members < 1 or not self.candidates:
            raise UsageError(f"a weak search needs at least {least} folds, one member and one candidate")
        if not all(0 < share < 1 for share in self.selections) or not self.selections:
            raise UsageError("selections are shares of the background between 0 and 1")


@dataclass(frozen=True)
class RegionExcess:
    """The signal region above one threshold, of which the share `selection` of the reference was to pass.

    Where fewer than ten (effective) reference events pass, threshold and excess are None.
    """

    selection: float
    threshold: float | None
    excess: Excess | None


@dataclass(frozen=True)
class WeakResult:
    """B events, searched.

    scores: [B] float64, mean log-odds of the members; no event was seen in training by the trees that score it.
    fold: [B] int8.    in_region: [B] bool.    reference_scores, reference_weights: [R], of the reference, out of fold
    too.    excesses: one for each selection.    chosen: the options of each fold.    merit: `figure_of_merit` at the
    first selection, NaN where too few events pass.
    """

    scores: NDArray[np.float64]
    fold: NDArray[np.int8]
    in_region: NDArray[np.bool_]
    reference_scores: NDArray[np.float64]
    reference_weights: NDArray[np.float64]
    excesses: tuple[RegionExcess, ...]
    chosen: tuple[Trees, ...]
    merit: float


def weak_search(
    features: Floats,
    mass: Floats,
    window: MassWindow,
    *,
    options: WeakOptions = WeakOptions(),
    progress: Progress = lambda *_: None,
) -> WeakResult:
    """Search B events for an excess in the signal region of `window`.

    `features` [B, F] are finite, of any kind: observables, features of jets, a network's latent vectors; the mass [B]
    in GeV should not follow from them. Events have no weights: data have none. TrainingError if a feature is not finite
    or if a region has too few events.
    """
    table = np.asarray(features, np.float64)
    if table.ndim != 2 or not np.isfinite(table).all() or not np.isfinite(mass).all():
        raise TrainingError("features must be a finite table [events, features], and every mass finite")
    reference = references(table, mass, window, method=options.method, seed=options.seed)
    region = window.region(mass)
    fold = _folds(region, reference, options)
    task = _Task(table, region, reference, fold, options)
    scores, reference_scores, chosen = np.empty(len(mass)), np.empty(len(reference.weights)), []
    for number in range(options.folds):
        held, held_reference = fold == number, fold[reference.origin] == number
        trees = task.choose(number)
        ensemble = task.train(trees, without=(number,), members=options.members)
        scores[held] = ensemble(table[held])
        reference_scores[held_reference] = ensemble(reference.features[held_reference])
        chosen.append(trees)
        progress("folds", number + 1, options.folds)
    background = BackgroundScores(reference_scores, reference.weights)
    return WeakResult(
        scores=scores,
        fold=fold,
        in_region=region,
        reference_scores=reference_scores,
        reference_weights=reference.weights,
        excesses=tuple(region_excess(scores[region], background, share) for share in options.selections),
        chosen=tuple(chosen),
        merit=figure_of_merit(scores[region], background, options.selections[0]),
    )


def region_excess(region: Floats, reference: BackgroundScores, selection: float) -> RegionExcess:
    """Events of the signal region with scores above the threshold that the share `selection` of the reference passes,
    against what the reference makes expect."""
    threshold = reference.threshold(selection)
    if threshold is None:
        return RegionExcess(selection, None, None)
    passed = np.ones(np.count_nonzero(region >= threshold))
    excess = on_off_excess(passed, reference.weights_above(threshold), ratio=len(region) / reference.total)
    return RegionExcess(selection, threshold, excess)


def figure_of_merit(region: Floats, reference: BackgroundScores, selection: float) -> float:
    """ε_SR/√ε_B − √ε_B where the share ε_B of the reference passes, ε_SR of the signal region.

    That is ∝ S/√B above threshold, whatever the signal: a choice that needs no labels. NaN where fewer than ten
    (effective) reference events pass.
    """
    threshold = reference.threshold(selection)
    if threshold is None:
        return float("nan")
    passed = reference.share_above(threshold)
    return float((np.mean(region >= threshold) - passed) / np.sqrt(passed))


@dataclass(frozen=True)
class _Task:
    """What every training of a search shares."""

    features: NDArray[np.float64]
    region: NDArray[np.bool_]
    reference: References
    fold: NDArray[np.int8]
    options: WeakOptions

    def train(self, trees: Trees, *, without: tuple[int, ...], members: int) -> Callable[[Floats], Floats]:
        """An ensemble that has not seen these folds; it maps features [n, F] to mean log-odds [n]."""
        used = self.region & ~np.isin(self.fold, without)
        used_reference = ~np.isin(self.fold[self.reference.origin], without)
        table = np.concatenate([self.features[used], self.reference.features[used_reference]])
        is_region = np.arange(len(table)) < np.count_nonzero(used)
        weights = np.concatenate([np.ones(np.count_nonzero(used)), self.reference.weights[used_reference]])
        weights /= np.where(is_region, weights[is_region].sum(), weights[~is_region].sum()) / len(table) * 2
        seeds = np.random.SeedSequence([self.options.seed, *without]).generate_state(members)
        fitted = [_classifier(trees, int(seed)).fit(table, is_region, sample_weight=weights) for seed in seeds]
        return lambda rows: np.mean([member.decision_function(rows) for member in fitted], axis=0)

    def choose(self, held: int) -> Trees:
        """The candidate with the best figure of merit on the fold after `held`, trained without either."""
        candidates = self.options.candidates
        if len(candidates) == 1:
            return candidates[0]
        judge = (held + 1) % self.options.folds
        region = self.features[self.region & (self.fold == judge)]
        there = self.fold[self.reference.origin] == judge
        merits = []
        for trees in candidates:
            ensemble = self.train(trees, without=(held, judge), members=min(self.options.members, _SELECTION_MEMBERS))
            background = BackgroundScores(ensemble(self.reference.features[there]), self.reference.weights[there])
            merits.append(figure_of_merit(ensemble(region), background, self.options.selections[0]))
        return candidates[int(np.argmax(np.nan_to_num(merits, nan=-np.inf)))]


def _classifier(trees: Trees, seed: int) -> Any:
    """Fresh trees that stop early on a random half of their events."""
    return HistGradientBoostingClassifier(
        learning_rate=trees.learning_rate,
        max_leaf_nodes=trees.max_leaf_nodes,
        l2_regularization=trees.l2_regularization,
        max_iter=trees.iterations,
        early_stopping=True,
        validation_fraction=0.5,
        n_iter_no_change=10,
        random_state=seed % 2**31,
    )


def _folds(region: NDArray[np.bool_], reference: References, options: WeakOptions) -> NDArray[np.int8]:
    """[B] the fold of each event: equal shares of the signal region, of the sidebands and of the rest."""
    kind = region.astype(np.int8)
    kind[reference.origin] = 2
    fold = np.empty(len(region), np.int8)
    splitter = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    for number, (_, held) in enumerate(splitter.split(kind, kind)):
        fold[held] = number
    return fold
