"""Closure of the set `lhco` against the research set of the LHC Olympics (arXiv:2101.08320).

Share of the events with 3.3 < mJJ < 3.7 TeV (published: 12.1 % of QCD, 77 % of the two-prong signal), and the
separation by gradient-boosted trees on mJ1 (lighter jet), ΔmJ and τ21 of both, 5-fold.

    python benchmarks/lhco.py lhco.root [--qcd 60000] [--signal 10000] [--workers 2]

makes the sample at `lhco.root` if there is none: the set's cards, conditions and seed with these numbers of events.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from hepfilter.config.card import load_card
from hepfilter.config.sample import load_sample
from hepfilter.simulation.sample import simulate
from hepfilter.statistics.intervals import clopper_pearson

SIGNAL_REGION = (3300.0, 3700.0)
PUBLISHED = {"lhco_qcd": 12.1, "wprime_xy": 77.0}


@dataclass(frozen=True)
class Features:
    """Of each event: mJJ in GeV, the four features of the trees, and the truth label."""

    mjj: NDArray[np.float64]
    trees: NDArray[np.float64]
    label: NDArray[np.int32]

    def where(self, mask: NDArray[np.bool_]) -> "Features":
        return Features(self.mjj[mask], self.trees[mask], self.label[mask])

    @property
    def in_region(self) -> NDArray[np.bool_]:
        return (self.mjj > SIGNAL_REGION[0]) & (self.mjj < SIGNAL_REGION[1])


def read_features(path: Path) -> Features:
    """From the two leading R = 1.0 jets, ordered by mass; events with fewer than two are left out."""
    names = ["pt", "eta", "phi", "mass", "tau1", "tau2"]
    with uproot.open({path: "Events"}) as tree:
        arrays = tree.arrays([f"AK10Jet_{name}" for name in names] + ["HepFilterTruth_label"])
    two = ak.num(arrays.AK10Jet_pt) >= 2
    pt, eta, phi, mass, tau1, tau2 = (
        ak.to_numpy(arrays[f"AK10Jet_{name}"][two][:, :2]).astype(np.float64) for name in names
    )
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    energy = np.sqrt((momentum**2).sum(axis=0) + mass**2)
    mjj = np.sqrt(energy.sum(axis=1) ** 2 - (momentum.sum(axis=2) ** 2).sum(axis=0))
    order = np.argsort(mass, axis=1)
    mass, tau21 = (np.take_along_axis(x, order, axis=1) for x in (mass, tau2 / np.maximum(tau1, 1e-9)))
    trees = np.stack([mass[:, 0], mass[:, 1] - mass[:, 0], tau21[:, 0], tau21[:, 1]], axis=1)
    return Features(mjj, trees, ak.to_numpy(arrays.HepFilterTruth_label[two]))


def print_shares(features: Features) -> None:
    for name in ("lhco_qcd", "wprime_xy", "wprime_xy_3prong"):
        region = features.in_region[features.label == load_card(name).label]
        share = region.mean()
        error = np.sqrt(share * (1 - share) / len(region))
        published = f"published {PUBLISHED[name]} %" if name in PUBLISHED else ""
        print(f"{name:18} {len(region):7} events, {100 * share:5.1f} ± {100 * error:.1f} % in the region {published}")


def print_separation(title: str, features: Features) -> None:
    """AUC, and signal efficiency at fixed background, of trees that have not seen the events they judge."""
    is_signal = features.label == load_card("wprime_xy").label
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    model = HistGradientBoostingClassifier(random_state=1)
    score = cross_val_predict(model, features.trees, is_signal, cv=folds, method="predict_proba")[:, 1]
    auc = roc_auc_score(is_signal, score)
    print(f"{title}: {np.sum(~is_signal)} background, {np.sum(is_signal)} signal, AUC {auc:.4f}")
    background = np.sort(score[~is_signal])[::-1]
    for fraction in (1e-2, 1e-3):
        above = round(fraction * len(background))
        if above < 10:
            print(f"  at {fraction:g}: fewer than 10 background events lie above")
            continue
        passed = int(np.sum(score[is_signal] > background[above]))
        low, high = clopper_pearson(passed, int(is_signal.sum()))
        efficiency = passed / is_signal.sum()
        sic = efficiency / np.sqrt(fraction)
        print(
            f"  at {fraction:g} background: signal efficiency {efficiency:.3f} [{low:.3f}, {high:.3f}], SIC {sic:.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--qcd", type=int, default=60_000)
    parser.add_argument("--signal", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not options.file.exists():
        lhco = load_sample("lhco")
        productions = [
            replace(p, events=options.qcd if not p.card.is_signal else options.signal) for p in lhco.productions("tiny")
        ]
        report = simulate(productions, seed=lhco.seed, output=options.file, workers=options.workers, particles=True)
        generator = sum(process.generator_seconds for process in report.processes)
        detector = sum(process.reconstruction_seconds for process in report.processes)
        rate = report.events / report.seconds
        print(f"made {report.events} events in {report.seconds:.0f} s, {rate:.0f} events/s")
        print(
            f"generator {generator:.0f} s, detector {detector:.0f} s of cores; writing {report.writing_seconds:.0f} s"
        )
    features = read_features(options.file)
    print_shares(features)
    two_prong = features.where(np.isin(features.label, [load_card(n).label for n in ("lhco_qcd", "wprime_xy")]))
    print_separation("all mJJ", two_prong)
    print_separation("signal region", two_prong.where(two_prong.in_region))


if __name__ == "__main__":
    main()
