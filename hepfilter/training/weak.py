"""Weak supervision: a search for a resonance without a model of the signal, by trees that learn from data alone.

Trees learn to tell the events of a signal region in mass from a reference made of the sidebands. If both hold the same
background, all that they can learn is signal (E. M. Metodiev, B. Nachman, J. Thaler, JHEP 10 (2017) 174). The events
are divided into folds, and each is scored by trees that were trained on the other folds. Ensembles of boosted trees are
the strong simple choice on high-level features (T. Finke et al., Phys. Rev. D 109 (2024) 034033).

Scores of different folds come from different trees, so that their scales differ. What compares between folds is the
share of its fold's reference that scores at least as high as an event: events are selected by it, so that every fold
has a threshold of its own, at one of its own reference events.

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
from hepfilter.shown import Shown
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
    """The events of the signal region that pass when at most the share `selection` of the reference does.

    threshold: the largest share of the reference of its own fold with which an event passes.    Where fewer than ten
    (effective) reference events of all folds together pass, threshold and excess are None; the number of the passing
    ones follows from ranks in the reference alone, so that this says nothing of what the signal region holds.
    """

    selection: float
    threshold: float | None
    excess: Excess | None


@dataclass(frozen=True)
class WeakResult(Shown):
    """B events, searched.

    scores: [B] float64, mean log-odds of the members, to be compared within a fold; no event was seen in training by
    the trees that score it.    shares: [B] `reference_shares` of the events, to be compared between folds.
    fold: [B] int8.    in_region: [B] bool.    reference_shares, reference_weights: [R], of the reference, out of fold
    too.    excesses: one for each selection.    chosen: the options of each fold.    merit: `figure_of_merit` at the
    first selection, NaN where too few events pass.
    """

    scores: NDArray[np.float64]
    shares: NDArray[np.float64]
    fold: NDArray[np.int8]
    in_region: NDArray[np.bool_]
    reference_shares: NDArray[np.float64]
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
    task = _task(np.asarray(features, np.float64), mass, window, options)
    scores, shares, reference_shares = np.empty(len(mass)), np.empty(len(mass)), np.empty(len(task.reference.weights))
    chosen = []
    for number in range(options.folds):
        held, held_reference = task.fold == number, task.fold[task.reference.origin] == number
        trees = task.choose(number)
        ensemble = task.train(trees, without=(number,), members=options.members)
        of_reference = ensemble(task.reference.features[held_reference]), task.reference.weights[held_reference]
        scores[held] = ensemble(task.features[held])
        shares[held] = shares_above(scores[held], *of_reference)
        reference_shares[held_reference] = shares_above(of_reference[0], *of_reference)
        chosen.append(trees)
        progress("folds", number + 1, options.folds)
    background, found = BackgroundScores(-reference_shares, task.reference.weights), -shares[task.region]
    return WeakResult(
        scores=scores,
        shares=shares,
        fold=task.fold,
        in_region=task.region,
        reference_shares=reference_shares,
        reference_weights=task.reference.weights,
        excesses=tuple(region_excess(found, background, share) for share in options.selections),
        chosen=tuple(chosen),
        merit=figure_of_merit(found, background, options.selections[0]),
    )


def shares_above(scores: Floats, reference: Floats, weights: Floats) -> NDArray[np.float64]:
    """[n] weighted shares of the reference [R] at or above the highest reference score that is not above the event's.

    In (0, 1]; all that is below the reference has 1 and all above it the share of its highest event: that an event of
    the background has at most the share of the i-th highest of R has the probability i/(R + 1), without a bias.
    """
    order = np.argsort(reference, kind="stable")
    ordered = reference[order]
    above = np.cumsum(weights[order][::-1])[::-1]
    nearest = np.maximum(np.searchsorted(ordered, scores, side="right") - 1, 0)
    first_equal = np.searchsorted(ordered, ordered[nearest])
    shares: NDArray[np.float64] = above[first_equal] / above[0]
    return shares


def region_excess(region: Floats, reference: BackgroundScores, selection: float) -> RegionExcess:
    """The excess of the signal region, of events ordered by minus their share of the reference."""
    threshold = reference.threshold(selection)
    if threshold is None:
        return RegionExcess(selection, None, None)
    passed = np.ones(np.count_nonzero(region >= threshold))
    ratio = len(region) / reference.total
    excess = on_off_excess(passed, reference.weights_above(threshold), ratio=ratio, ends_with_off=True)
    return RegionExcess(selection, -threshold, excess)


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


def _task(table: NDArray[np.float64], mass: Floats, window: MassWindow, options: WeakOptions) -> _Task:
    """The regions, the reference and the folds; TrainingError for what is not finite, or too few events."""
    if table.ndim != 2 or not np.isfinite(table).all() or not np.isfinite(mass).all():
        raise TrainingError("features must be a finite table [events, features], and every mass finite")
    reference, region = references(table, mass, window, method=options.method, seed=options.seed), window.region(mass)
    return _Task(table, region, reference, _folds(region, reference, options), options)


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
