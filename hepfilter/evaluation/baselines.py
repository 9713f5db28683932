"""The simple methods that a model has to beat, all fitted and asked in one way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest

from hepfilter.errors import TrainingError, nearest
from hepfilter.evaluation.autoencoder import fit_autoencoder
from hepfilter.evaluation.sample import BASELINES
from hepfilter.events.observables import OBSERVABLES, relative_to_hardness

FOREST_EVENTS: Final = 50_000
"""Background events that the isolation forest draws its samples from."""


@dataclass(frozen=True)
class BaselineEvents:
    """B events as simple methods see them.

    observables: [B, O] of `events.observables`.    objects: [B, 19, 3] of `events.first_level`.    weights: [B], ≥ 0,
    what an event counts in a fit.
    """

    observables: NDArray[np.float32]
    objects: NDArray[np.float32]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weights)

    def select(self, events: NDArray[np.bool_]) -> Self:
        """The events where `events` is true."""
        return type(self)(self.observables[events], self.objects[events], self.weights[events])

    @property
    def features(self) -> NDArray[np.float32]:
        """[B, F] the observables, as they are and relative to the event's hardness."""
        return np.concatenate([self.observables, relative_to_hardness(self.observables)], axis=1)


Score = Callable[[BaselineEvents], NDArray[np.float32]]
"""One finite number an event, larger is more interesting."""
Fit = Callable[[BaselineEvents, BaselineEvents | None, int], Score]


def fit_baseline(
    name: str, background: BaselineEvents, signal: BaselineEvents | None = None, *, seed: int = 1
) -> Score:
    """The baseline of that name of `FITS`, fitted: `trees` to background and signal, all others to background alone.

    TrainingError for an unknown name, without background, or if trees get no signal.
    """
    if name not in FITS:
        close = nearest(name, FITS) or f"; known: {', '.join(FITS)}"
        raise TrainingError(f"no baseline {name!r}{close}")
    if not background.weights.sum() > 0:
        raise TrainingError(f"baseline {name}: no background events of weight to fit to")
    return FITS[name](background, signal, seed)


def _observable(name: str) -> Fit:
    """An observable by itself; nothing to fit."""
    column = OBSERVABLES.index(name)
    return lambda background, signal, seed: lambda events: events.observables[:, column]


def _fit_trees(background: BaselineEvents, signal: BaselineEvents | None, seed: int) -> Score:
    """Gradient-boosted trees on all features, signal and background counting equally; the score is the log-odds."""
    if signal is None or not signal.weights.sum() > 0:
        raise TrainingError("baseline trees: no signal events of weight to fit to")
    table = np.concatenate([background.features, signal.features])
    is_signal = np.arange(len(table)) >= len(background)
    weights = np.concatenate([part.weights / part.weights.sum() for part in (background, signal)]) * len(table) / 2
    trees = HistGradientBoostingClassifier(max_iter=200, max_leaf_nodes=16, early_stopping=True, random_state=seed)
    trees.fit(table, is_signal, sample_weight=weights)
    return lambda events: _as_scores(trees.decision_function(events.features) if len(events) else np.empty(0))


def _fit_forest(background: BaselineEvents, _: BaselineEvents | None, seed: int) -> Score:
    """Isolation forest (F. T. Liu, K. M. Ting, Z.-H. Zhou, ICDM 2008) on all features of events drawn by weight."""
    chance = background.weights / background.weights.sum()
    drawn = np.random.default_rng(seed).choice(len(background), min(len(background), FOREST_EVENTS), p=chance)
    forest = IsolationForest(n_estimators=200, max_samples=1024, random_state=seed)
    forest.set_params(max_samples=min(1024, len(drawn))).fit(background.features[drawn])
    return lambda events: _as_scores(-forest.score_samples(events.features) if len(events) else np.empty(0))


def _fit_autoencoder(background: BaselineEvents, _: BaselineEvents | None, seed: int) -> Score:
    """The autoencoder of the first trigger level."""
    network = fit_autoencoder(background.objects, background.weights, seed=seed)
    return lambda events: network.score(events.objects)


def _as_scores(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


FITS: Final[Mapping[str, Fit]] = {
    **{name: _observable(name) for name in BASELINES},
    "isolation_forest": _fit_forest,
    "autoencoder": _fit_autoencoder,
    "trees": _fit_trees,
}
"""Name → how to fit it."""
UNSUPERVISED: Final = tuple(name for name in FITS if name != "trees")
"""Those that see no signal."""
