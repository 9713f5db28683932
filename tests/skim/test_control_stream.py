"""The output of a skim by a menu, alone, gives back what all events of its input were."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from scipy import stats

from hepfilter.config.menu import Menu
from hepfilter.io.score_file import read_scores
from hepfilter.io.sources import Source
from hepfilter.scoring.score import score_files
from hepfilter.skim.merging import merge
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger
from tests.nano import make_nano

EVENTS = 4_000
SEEDS = range(1, 6)
EDGES = np.array([-np.inf, 10, 20, 30, 42, 56, 75, 100, np.inf])
PRESCALES = {"anomaly": 1.0, "energetic": 3.5, "missing": 8.0}
CONTROL = (0.08, 0.2, 0.5)
HIGHEST, OTHER = 0.97, 0.6
"""Quantiles of the score from which on the path `anomaly` takes events: of most skims, and of one part of a merged."""


@dataclass(frozen=True)
class Input:
    """Two files of EVENTS each, their scores, and what a menu must make of them, told without the trigger's code."""

    folder: Path
    model: str
    weighted: bool

    @property
    def files(self) -> list[Path]:
        return [self.folder / "0.root", self.folder / "1.root"]

    @cached_property
    def events(self) -> dict[str, np.ndarray]:
        """[2 · EVENTS] each: ``met``, ``jets``, ``weight``, ``interest``, in the order of the files."""
        names = ["MET_pt", "nJet", *(["genWeight"] if self.weighted else [])]
        trees = [uproot.open({path: "Events"}).arrays(names, library="np") for path in self.files]
        met, jets, *weights = (np.concatenate([tree[name] for tree in trees]) for name in names)
        interest = read_scores(self.folder / "scores.parquet").scores["interest"]
        return {"met": met, "jets": jets, "weight": weights[0] if weights else np.ones(len(met)), "interest": interest}

    @cached_property
    def steps(self) -> np.ndarray:
        """[2] scores from which on the control stream takes more."""
        return np.quantile(self.events["interest"], [0.5, 0.85]).astype(float)

    def threshold(self, quantile: float) -> float:
        """The score from which on the path `anomaly` takes events."""
        return float(np.quantile(self.events["interest"], quantile))

    def raw(self, quantile: float = HIGHEST) -> dict[str, np.ndarray]:
        """[2 · EVENTS] by path: whether an event passes before the prescale."""
        each = self.events
        return {
            "anomaly": each["interest"] >= self.threshold(quantile),
            "energetic": each["jets"] >= 6,
            "missing": each["met"] > 30,
        }

    def probability(self, quantile: float = HIGHEST) -> np.ndarray:
        """[2 · EVENTS] that an event survives: 1 − (1 − q) Π (1 − 1/d) over the paths that it passes."""
        lost = 1 - np.array(CONTROL)[np.searchsorted(self.steps, self.events["interest"], side="right")]
        for name, passed in self.raw(quantile).items():
            lost = np.where(passed, lost * (1 - 1 / PRESCALES[name]), lost)
        return 1 - lost

    def skim(self, files: list[Path], output: Path, *, seed: int, quantile: float = HIGHEST) -> Path:
        """The skim of some of the files by the menu, with a threshold as a lock would bring it."""
        low, high = self.steps.tolist()
        menu = {
            "name": "closure",
            "seed": seed,
            "model": self.model,
            "paths": {
                "anomaly": {"score": "interest", "fraction": "3%"},
                "energetic": {"when": "nJet >= 6", "prescale": PRESCALES["energetic"]},
                "missing": {"when": "MET_pt > 30", "prescale": PRESCALES["missing"], "stream": "monitoring"},
            },
            "control": {
                "probability": CONTROL[0],
                "score": "interest",
                "rising": [{"above": low, "probability": CONTROL[1]}, {"above": high, "probability": CONTROL[2]}],
            },
        }
        scores = str(self.folder / "scores.parquet")
        trigger = Trigger(Menu.model_validate(menu), {"anomaly": self.threshold(quantile)})
        skim(files, output, Recipe(trigger=trigger, scores=scores))
        return output

    def read(self, output: Path) -> dict[str, Any]:
        """From an output alone: of each event `met`, `raw` by path, `probability`, and `weight`, that of all events."""
        with uproot.open({output: "Events"}) as tree:
            found = tree.arrays(library="np")
        generator = found["genWeight"] if self.weighted else 1.0
        return {
            "met": found["MET_pt"],
            "raw": {name: found[f"HepFilter_{name}_raw"] for name in PRESCALES},
            "probability": found["HepFilter_probability"],
            "weight": found["HepFilter_weight"].astype(float) * generator,
            "event": found["event"],
        }


def spectrum(met: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """[bins] the sum of `amounts` in each bin of the missing momentum."""
    return np.histogram(met, EDGES, weights=amounts.astype(float))[0]


@pytest.fixture(scope="module", params=[False, True], ids=["unweighted", "weighted"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, untrained_model: Path) -> Input:
    """Generator weights, if there are any, vary by a factor of 10 or so, and one in ten is negative."""
    folder, rng = tmp_path_factory.mktemp("control"), np.random.default_rng(7)
    for number in range(2):
        weights = rng.gamma(4.0, 0.25, EVENTS) * np.where(rng.random(EVENTS) < 0.1, -1, 1)
        how = {"plant": {"genWeight": weights.astype(np.float32)}} if request.param else {"drop": ("genWeight",)}
        first = number * EVENTS
        make_nano(folder / f"{number}.root", EVENTS, seed=5 + number, first_event=first, basket=EVENTS, **how)
    given = Input(folder, str(untrained_model), weighted=request.param)
    score_files(given.files, folder / "scores.parquet", model=given.model, device="cpu")
    return given


@pytest.fixture(scope="module")
def outputs(sample: Input) -> list[dict[str, Any]]:
    """What skims by each of the SEEDS wrote."""
    paths = [sample.skim(sample.files, sample.folder / f"all_{seed}.root", seed=seed) for seed in SEEDS]
    return [sample.read(path) for path in paths]


def assert_closes(found: np.ndarray, truth: np.ndarray, variance: np.ndarray) -> None:
    """χ² of [seeds, numbers] against what they should be is neither too large nor too small."""
    chi2 = float(((found - truth) ** 2 / variance).sum())
    assert 1e-3 < stats.chi2.sf(chi2, found.size) < 1 - 1e-3


def assert_spectra_close(sample: Input, outputs: list[dict[str, Any]], p: np.ndarray) -> None:
    """The weighted spectra of what was written are that of all events, which survive with `p` [2 · EVENTS]."""
    met, weight = sample.events["met"], sample.events["weight"]
    assert spectrum(met, p).min() >= 25
    assert max(len(each["met"]) for each in outputs) < 0.6 * len(p)
    found = np.array([spectrum(each["met"], each["weight"]) for each in outputs])
    assert_closes(found, spectrum(met, weight), spectrum(met, weight**2 * (1 - p) / p))


def test_weighted_spectra_of_the_output_are_those_of_all_events(sample: Input, outputs: list[dict[str, Any]]) -> None:
    assert_spectra_close(sample, outputs, sample.probability())


def test_efficiencies_of_paths_over_all_events_come_from_the_output(
    sample: Input, outputs: list[dict[str, Any]]
) -> None:  # fmt: skip
    """The variance is that of a ratio of sums, to first order."""
    weight, p = sample.events["weight"], sample.probability()
    for name, passed in sample.raw().items():
        truth = float(weight @ passed / weight.sum())
        found = [each["weight"] @ each["raw"][name] / each["weight"].sum() for each in outputs]
        variance = np.sum((weight * (passed - truth)) ** 2 * (1 - p) / p) / weight.sum() ** 2
        assert_closes(np.array(found), np.array(truth), variance)


def test_the_probability_beside_an_event_is_that_of_its_menu(sample: Input, outputs: list[dict[str, Any]]) -> None:
    p = sample.probability()
    assert len(np.unique(p)) > 8
    for each in outputs:
        np.testing.assert_allclose(each["probability"], p[each["event"]], rtol=1e-6)


def test_merged_skims_of_different_thresholds_close_too(sample: Input, tmp_path: Path) -> None:
    """Probabilities stand beside the events, so that nothing else need be known of them."""
    outputs = []
    for seed in SEEDS:
        parts = [
            sample.skim([path], tmp_path / f"{seed}_{path.name}", seed=seed, quantile=quantile)
            for path, quantile in zip(sample.files, (HIGHEST, OTHER), strict=True)
        ]
        merge([Source(str(path)) for path in parts], tmp_path / f"whole_{seed}.root")
        outputs.append(sample.read(tmp_path / f"whole_{seed}.root"))
    p = np.concatenate([sample.probability()[:EVENTS], sample.probability(OTHER)[EVENTS:]])
    assert_spectra_close(sample, outputs, p)
    np.testing.assert_allclose(outputs[0]["probability"], p[outputs[0]["event"]], rtol=1e-6)
