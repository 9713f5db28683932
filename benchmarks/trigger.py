"""The trigger on cached scores: how long a new menu takes, and whether what it predicts comes true.

    python benchmarks/trigger.py speed [--events 1000000 --events 10000000]
    python benchmarks/trigger.py coverage SCORES.parquet [--splits 400] [--fraction 1%]

`speed` generates scores, and times each step from the file of `hepfilter score` to the table of rates, in one process.
`coverage` takes the scores of a simulated sample, and cuts it at random into two halves, many times: the first tunes
the menu, and the other tells how often it lies within the interval that was predicted with 68 %.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from hepfilter.config.menu import Menu
from hepfilter.events.identity import Identity
from hepfilter.io.score_facts import ScoredFile, ScoreFacts
from hepfilter.io.score_file import StoredScores, create_scores, read_scores
from hepfilter.statistics.intervals import ONE_SIGMA, effective_number
from hepfilter.statistics.prediction import Prediction
from hepfilter.trigger.decisions import decide
from hepfilter.trigger.events import P_VALUES, TriggerEvents
from hepfilter.trigger.rates import rate_table
from hepfilter.trigger.thresholds import Resolution, resolve

NAMES = ("interest", "rarity")
FIVE = Menu.model_validate(
    {
        "name": "five",
        "paths": {
            "anomaly": {"score": "interest", "priority": 2},
            "atypical": {"score": "rarity"},
            "muons": {"score": "interest", "when": "nMuon > 0"},
            "jets": {"score": "rarity", "when": "nJet > 1"},
            "photons": {"score": "interest", "when": "nPhoton > 0", "prescale": 5},
        },
        "budget": {"fraction": "1%"},
        "control": {"probability": 0.001},
    }
)
SHARES = {"muons": 0.3, "jets": 0.7, "photons": 0.2}
"""Of generated events, those for which the condition of a path is true."""


def single(fraction: str) -> Menu:
    """One path, which takes this share of all events."""
    return Menu.model_validate({"name": "single", "paths": {"anomaly": {"score": "interest", "fraction": fraction}}})


def joint(fraction: str, head: str) -> Menu:
    """Two paths, one with a prescale, that share a budget; `head` is a score beside interest."""
    paths = {"anomaly": {"score": "interest"}, "atypical": {"score": head, "priority": 2, "prescale": 2}}
    return Menu.model_validate({"name": "joint", "paths": paths, "budget": {"fraction": fraction}})


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Print the seconds of what stands in the block."""
    started = time.perf_counter()
    yield
    print(f"  {step:46} {time.perf_counter() - started:8.2f} s", flush=True)


def generate(path: Path, count: int) -> None:
    """Scores of so many events of data, in steps of 1/1024 as the scorer has them, with a common part."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=count)
    scores = {name: (np.rint((common + rng.normal(size=count)) * 2048) / 1024).astype(np.float32) for name in NAMES}
    numbers = np.arange(count)
    identity = Identity(np.full(count, 1, np.uint32), (numbers // 2000).astype(np.uint32), numbers.astype(np.uint64))
    file = ScoredFile(
        path="generated.root", dataset=None, uuid="", size=0, checksum="0" * 32, tree="Events", entries=count,
        schema_name="nanoaod", schema_checksum="0" * 32, weighted=False, problems={}, absent=(), warnings=(),
    )  # fmt: skip
    facts = ScoreFacts(
        hepfilter="benchmark", model="generated", model_hash="0" * 32, calibration_hash=None,
        device_class="cpu-float32", names=NAMES, extrapolated_below={}, datasets={}, files=(file,),
    )  # fmt: skip
    with create_scores(path, NAMES) as writer:
        writer.begin_file(file.path, file.uuid, None)
        writer.append(identity, np.ones(count), np.ones(count, bool), scores)
        writer.finish(facts)


def trigger_events(scores: StoredScores, menu: Menu) -> TriggerEvents:
    """The events of a file of scores; conditions of a menu's paths are drawn at random, by SHARES."""
    assert scores.identity is not None
    assert scores.weights is not None
    count, rng = len(scores.weights), np.random.default_rng(2)
    when = {name: rng.random(count) < SHARES[name] if name in SHARES else np.ones(count, bool) for name in menu.paths}
    return TriggerEvents(
        run=scores.identity.run,
        luminosity_block=scores.identity.luminosity_block,
        event=scores.identity.event,
        weights=scores.weights,
        hertz=None,
        scores=dict(scores.scores),
        when=when,
        blind=np.zeros(count, bool),
    )


def speed(counts: list[int]) -> None:
    """Seconds from scores to the table of rates."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scores.parquet"
            generate(path, count)
            print(f"{count:,} events, {path.stat().st_size / 1e6:.0f} MB of scores")
            with timed("reading the scores, all checked"):
                scores = read_scores(path)
        events = trigger_events(scores, FIVE)
        with timed("a fraction for one path, with its prediction"):
            resolve(single("1%"), events)
        with timed("a budget for five paths, with predictions"):
            paths = resolve(FIVE, events).paths
        with timed("decisions: bits, prescales, control stream"):
            decisions = decide(events, paths, control=FIVE.control, seed=FIVE.seed)
        with timed("rates and overlaps, by run and section too"):
            rate_table(events, decisions, paths)


def coverage(path: Path, splits: int, fraction: str) -> None:
    """How often the other half lies within what was predicted, weighted and not."""
    scores = read_scores(path)
    head = next(name for name in scores.facts.names if name not in ("interest", *P_VALUES))
    for weighted in (False, True):
        for menu in (single(fraction), joint(fraction, head)):
            events = trigger_events(scores, menu)
            events = events if weighted else replace(events, weights=np.ones(len(events)))
            hits, least = zip(*(_split(events, menu, seed) for seed in range(splits)), strict=True)
            share, error = np.mean(hits), np.std(hits) / np.sqrt(splits)
            what = f"{menu.name}, {'weighted' if weighted else 'unweighted'}"
            passing = f"at least {min(least):,.0f} effective events passed in each half"
            print(f"{what:22} {100 * share:5.1f} ± {100 * error:.1f} % of {splits} splits; {passing}", flush=True)
    print(f"stated: {100 * ONE_SIGMA:.1f} %")


def _split(events: TriggerEvents, menu: Menu, seed: int) -> tuple[bool, float]:
    """Whether the prediction of one half held in the other; the smaller effective number of events that passed."""
    shuffled = np.random.default_rng(seed).permutation(len(events))
    here, there = (events[half] for half in np.array_split(shuffled, 2))
    found = resolve(menu, here, future=len(there))
    predicted = _predicted(found, menu)
    passed = decide(there, found.paths, control=None, seed=seed).passed.any(axis=1)
    achieved = float(there.weights @ passed / there.weights.sum())
    least = min(predicted.n_effective, effective_number(there.weights[passed]))
    return predicted.lower <= achieved <= predicted.upper, least


def _predicted(found: Resolution, menu: Menu) -> Prediction:
    """That of the shared budget, or of the one path."""
    (asked,) = found.predictions.values() if menu.budget is None else (found.budget,)
    assert asked is not None
    return asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    fast = parts.add_parser("speed")
    fast.add_argument("--events", type=int, action="append", help="10⁶ and 10⁷ if not given; repeatable")
    true = parts.add_parser("coverage")
    true.add_argument("scores", type=Path, help="what `hepfilter score` wrote of a simulated sample")
    true.add_argument("--splits", type=int, default=400)
    true.add_argument("--fraction", default="1%", help="of all events, for the one path and for the budget of two")
    options = parser.parse_args()
    if options.part == "speed":
        speed(options.events or [10**6, 10**7])
    else:
        coverage(options.scores, options.splits, options.fraction)


if __name__ == "__main__":
    main()
