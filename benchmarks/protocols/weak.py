"""Weak supervision on the set `lhco`: signal injected into QCD, found without labels, beside trees that know them.

Each injection draws signal events until the wanted number lies in the signal region; those outside come along. The
background is all QCD of the sample. Efficiencies are those in the signal region, of events scored out of fold; the
supervised trees learn from all signal of the sample, out of fold too. With nothing injected, only the seeds differ.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from hepfilter.config.card import load_card
from hepfilter.evaluation.metrics import BackgroundScores, WorkingPoint, working_point
from hepfilter.io.dijets import read_dijets
from hepfilter.io.sources import Source
from hepfilter.training.references import METHODS, Method
from hepfilter.training.weak import WeakOptions, WeakResult, weak_search
from protocols.lhco import BACKGROUND, REGION, SIGNAL
from protocols.tables import number, print_table, write_json

TARGET = 1e-3


@dataclass(frozen=True)
class WeakProtocol:
    """injected: signal events in the signal region.    injections: how often signal is drawn."""

    injected: int
    injections: int
    options: WeakOptions


@dataclass(frozen=True)
class Injection:
    """One search. The working point is None without signal, or where background is too scarce."""

    method: Method
    n_signal: int
    n_background: int
    point: WorkingPoint | None
    merit: float
    significances: tuple[float, ...]
    p_values: tuple[float, ...]


@dataclass(frozen=True)
class Pool:
    """Features [n, 4] and masses [n] of QCD and of all signal."""

    features: NDArray[np.float64]
    mass: NDArray[np.float64]
    signal_features: NDArray[np.float64]
    signal_mass: NDArray[np.float64]


def run(sources: list[Source], protocol: WeakProtocol, output: Path | None) -> None:
    pool = read_pool(sources)
    ideal = supervised(pool, protocol.options)
    found = [
        search(pool, n, replace(protocol.options, method=method, seed=protocol.options.seed + number_of))
        for method in METHODS
        for n in (protocol.injected, 0)
        for number_of in range(protocol.injections)
    ]
    report(pool, protocol, ideal, found)
    write_json(output, {"protocol": protocol, "window": REGION, "supervised": ideal, "injections": found})


def read_pool(sources: list[Source]) -> Pool:
    sample = read_dijets(sources)
    if sample.labels is None:
        raise SystemExit("the sample has no truth labels")
    qcd, signal = (sample.labels == load_card(name).label for name in (BACKGROUND, SIGNAL))
    features, mass = sample.events.features, sample.events.mass
    return Pool(features[qcd], mass[qcd], features[signal], mass[signal])


def search(pool: Pool, n_signal: int, options: WeakOptions) -> Injection:
    """One injection and its search."""
    drawn = draw(pool, n_signal, options.seed)
    features = np.concatenate([pool.features, pool.signal_features[drawn]])
    mass = np.concatenate([pool.mass, pool.signal_mass[drawn]])
    result = weak_search(features, mass, REGION, options=options)
    is_signal = np.arange(len(mass)) >= len(pool.mass)
    excesses = [found.excess for found in result.excesses]
    return Injection(
        method=options.method,
        n_signal=int(np.count_nonzero(is_signal & result.in_region)),
        n_background=int(np.count_nonzero(~is_signal & result.in_region)),
        point=point_of(result, is_signal) if n_signal else None,
        merit=result.merit,
        significances=tuple(float("nan") if excess is None else excess.significance for excess in excesses),
        p_values=tuple(float("nan") if excess is None else excess.p_value for excess in excesses),
    )


def draw(pool: Pool, n_signal: int, seed: int) -> NDArray[np.int64]:
    """Signal events in random order, up to the one that is the last wanted in the signal region."""
    order = np.random.default_rng(seed).permutation(len(pool.signal_mass))
    inside = np.cumsum(REGION.region(pool.signal_mass[order]))
    if n_signal > inside[-1]:
        raise SystemExit(f"the sample has {inside[-1]} signal events in the signal region, not {n_signal}")
    return order[: int(np.searchsorted(inside, n_signal)) + 1] if n_signal else order[:0]


def point_of(result: WeakResult, is_signal: NDArray[np.bool_]) -> WorkingPoint | None:
    """Folds are joined by the share of the reference that scores as high: that needs no labels."""
    signal, background = (-result.shares[result.in_region & part] for part in (is_signal, ~is_signal))
    return working_point(signal, BackgroundScores(background), target=TARGET)


def supervised(pool: Pool, options: WeakOptions) -> WorkingPoint | None:
    """Trees that know the labels, on all events of the signal region."""
    inside, signal_inside = REGION.region(pool.mass), REGION.region(pool.signal_mass)
    table = np.concatenate([pool.features[inside], pool.signal_features[signal_inside]])
    is_signal = np.arange(len(table)) >= inside.sum()
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    model = HistGradientBoostingClassifier(early_stopping=True, random_state=options.seed)
    scores = cross_val_predict(model, table, is_signal, cv=folds, method="decision_function")
    return working_point(scores[is_signal], BackgroundScores(scores[~is_signal]), target=TARGET)


def report(pool: Pool, protocol: WeakProtocol, ideal: WorkingPoint | None, found: list[Injection]) -> None:
    best = float("nan") if ideal is None else ideal.sic.value
    n_background = int(np.count_nonzero(REGION.region(pool.mass)))
    columns = ["method", "injected", "S/√B", f"SIC at {TARGET:g}", "of supervised"]
    columns += [f"significance at {share:g}, mean [lowest, highest]" for share in protocol.options.selections]
    rows = [["supervised", "–", "–", number(best, 1), "1.00", *["–"] * len(protocol.options.selections)]]
    for method in METHODS:
        for n_signal in (protocol.injected, 0):
            those = [each for each in found if each.method == method and each.n_signal == n_signal]
            sics = [each.point.sic.value for each in those if each.point is not None]
            mean = float(np.mean(sics)) if sics else float("nan")
            injected = [str(n_signal), number(n_signal / np.sqrt(n_background))]
            shown = [spread(np.array(values)) for values in zip(*(e.significances for e in those), strict=True)]
            rows.append([method, *injected, number(mean, 1), number(mean / best), *shown])
    title = f"weak: {n_background:,} background events in the signal region, {protocol.injections} injections, "
    print_table(title + f"{protocol.options.members} members, {protocol.options.folds} folds", columns, rows)


def spread(values: NDArray[np.float64]) -> str:
    return "–" if np.isnan(values).any() else f"{values.mean():.1f} [{values.min():.1f}, {values.max():.1f}]"
