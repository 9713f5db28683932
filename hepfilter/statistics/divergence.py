"""How different two spectra are, and how different they would be by chance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

Spectrum = NDArray[np.floating[Any]]


def jensen_shannon(first: Spectrum, second: Spectrum) -> float:
    """The Jensen–Shannon divergence of two histograms [n], in bits: 0 if they are alike, 1 if they never overlap.

    (J. Lin, IEEE Trans. Inf. Theory 37 (1991) 145.) Each is normalised; NaN if one is empty.
    """
    if not (first.sum() > 0 and second.sum() > 0):
        return float("nan")
    return float(jensenshannon(np.asarray(first, np.float64), np.asarray(second, np.float64), base=2) ** 2)


def random_divergence(spectrum: Spectrum, n_events: float, *, draws: int = 300, seed: int = 0) -> tuple[float, float]:
    """Mean and 95 % quantile of the divergence between `spectrum` and random samples of `n_events` events of it.

    What a selection that knows nothing of the observable gives. (NaN, NaN) if the spectrum or the sample is empty.
    """
    total, n_drawn = float(spectrum.sum()), round(n_events)
    if not total > 0 or n_drawn < 1:
        return float("nan"), float("nan")
    samples = np.random.default_rng(seed).multinomial(n_drawn, spectrum / total, size=draws)
    found = [jensen_shannon(sample, spectrum) for sample in samples]
    return float(np.mean(found)), float(np.quantile(found, 0.95))
