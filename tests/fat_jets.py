"""Files with fat jets as `hepfilter simulate --set lhco` makes them, without Pythia."""

from pathlib import Path

import numpy as np

from hepfilter.io.writing import Column, create_root

SIGNAL = 100
_FIELDS = ("pt", "eta", "phi", "mass", "tau1", "tau2")


def write_fat_jets(
    path: Path, n_background: int, n_signal: int, *, seed: int = 1, n_lonely: int = 0, truth: bool = True,
    weight: tuple[float, float, float] | None = None,
) -> Path:  # fmt: skip
    """Pairs of jets back to back with a falling mass of the pair; signal (label 100) at 3.5 TeV with 500 and 100 GeV.

    `weight` gives generator weights: the first and the last of background, which rise in between, and that of signal.
    The first `n_lonely` events have one jet only. The background's jet masses rise with the mass of the pair a little,
    as those of QCD do.
    """
    rng = np.random.default_rng(seed)
    n_events = n_background + n_signal
    is_signal = np.arange(n_events) >= n_background
    pair_mass = np.where(is_signal, rng.normal(3500, 80, n_events), 2400 + rng.exponential(700, n_events))
    masses = rng.gamma(3.0, 40 + pair_mass[:, None] / 100, (n_events, 2))
    masses = np.where(is_signal[:, None], rng.normal([500, 100], [25, 8], (n_events, 2)), masses)
    ratio = np.where(is_signal[:, None], rng.beta(4, 9, (n_events, 2)), rng.beta(7, 5, (n_events, 2)))
    phi = rng.uniform(-1.5, 1.5, n_events)
    values = {
        "pt": np.repeat(pair_mass / 2, 2).reshape(-1, 2),
        "eta": np.zeros((n_events, 2)),
        "phi": np.stack([phi, phi + np.pi], axis=1),
        "mass": masses,
        "tau1": np.ones((n_events, 2)),
        "tau2": ratio,
    }
    counts = np.where(np.arange(n_events) < n_lonely, 1, 2)
    kept = np.arange(2) < counts[:, None]
    order = rng.permutation(n_events)
    arrays = {f"AK10Jet_{name}": (columns[order][kept].astype(np.float32), counts) for name, columns in values.items()}
    columns = [Column(f"AK10Jet_{name}", "float32", counter="nAK10Jet") for name in _FIELDS]
    if truth:
        columns += [Column("HepFilterTruth_label", "int32"), Column("HepFilterTruth_isSignal", "bool")]
        arrays["HepFilterTruth_label"] = np.where(is_signal, SIGNAL, 0)[order]
        arrays["HepFilterTruth_isSignal"] = is_signal[order]
    if weight is not None:
        columns.append(Column("genWeight", "float32"))
        weights = np.r_[np.linspace(*weight[:2], n_background), np.full(n_signal, weight[2])]
        arrays["genWeight"] = weights[order].astype(np.float32)
    with create_root(path) as out, out.new_tree("Events", columns) as tree:
        tree.extend(arrays)
    return path
