"""A whole evaluation: read, score, and say what the scores are worth, in every way at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hepfilter.config.training import Split
from hepfilter.errors import TrainingError
from hepfilter.evaluation.calibration import CalibrationCheck, check_by_halves, check_calibrations
from hepfilter.evaluation.distributions import ScoreDistribution, score_distributions
from hepfilter.evaluation.families import FamilyResult, Summary, family_results, summaries
from hepfilter.evaluation.injection import DRAWS, InjectionScan, injection_scans
from hepfilter.evaluation.sample import (
    BASELINES,
    ScoredEvents,
    known_processes,
    model_scores,
    scored_events,
)
from hepfilter.evaluation.sculpting import ScoreCorrelation, Sculpting, correlations, sculpting
from hepfilter.evaluation.shifts import Shift, compare_shift
from hepfilter.events.shifts import EventShift
from hepfilter.graphs.labelled import LabelledGraphs, read_labelled, split_data
from hepfilter.graphs.reading import Progress
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.models.metadata import Process
from hepfilter.scoring.calibration import Calibration
from hepfilter.scoring.scorer import Scorer
from hepfilter.shown import Shown
from hepfilter.statistics.intervals import effective_number
from hepfilter.wording import counted

ENERGY_SCALES: Final = (0.95, 1.05)


@dataclass(frozen=True)
class EvaluationOptions:
    """What is done.

    cards: one's own cards, for truth labels that no card that ships has.    all_events: also those that the model may
    have been trained on; else only the test part of its training's split.    shifts: read the data again with other
    energy scales and without collections.    n_draws: of the injection scans.    seed: theirs.
    """

    cards: tuple[str, ...] = ()
    all_events: bool = False
    shifts: bool = True
    n_draws: int = DRAWS
    seed: int = 0


@dataclass(frozen=True)
class Evaluation(Shown):
    """All results. `part` tells which events were used: "test", or "all"; `heads` are the model's own scores.

    `calibrated_on` are those of the files that the model was calibrated with: where there is one, the calibration is
    checked by halves.
    """

    model: str
    model_hash: str
    part: str
    n_signal: int
    n_background: int
    n_effective_background: float
    heads: tuple[str, ...]
    families: tuple[FamilyResult, ...]
    summaries: tuple[Summary, ...]
    sculpting: tuple[Sculpting, ...]
    correlations: tuple[ScoreCorrelation, ...]
    injections: tuple[InjectionScan, ...]
    shifts: tuple[Shift, ...]
    calibration: tuple[CalibrationCheck, ...]
    calibrated_on: tuple[str, ...]
    distributions: tuple[ScoreDistribution, ...]


def evaluate(
    model: str | Path,
    sources: Sequence[Source],
    *,
    shifted: Sequence[Source] = (),
    options: EvaluationOptions = EvaluationOptions(),
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Evaluate a model on simulated `sources`; each file of `shifted` is a shift that they are compared with.

    TrainingError if the data lack background, signal, or the meaning of a truth label; the errors of reading, of
    schemas and of checkpoints pass through.
    """
    reader = _Reader(Scorer(model, device=device), options, progress)
    events = reader.scored(sources)
    _refuse_one_sided(events)
    heads, metadata, calibration = reader.heads(events), reader.scorer.metadata, reader.scorer.calibration
    families = family_results(events)
    known = () if calibration is None else _calibrated_on(calibration, sources)
    check = check_by_halves if known else check_calibrations
    return Evaluation(
        model=metadata.name,
        model_hash=metadata.model_hash,
        part="test" if reader.split is not None else "all",
        n_signal=int(np.count_nonzero(~events.background)),
        n_background=int(np.count_nonzero(events.background)),
        n_effective_background=effective_number(events.weights[events.background]),
        heads=heads,
        families=families,
        summaries=summaries(families),
        sculpting=sculpting(events),
        correlations=correlations(events),
        injections=injection_scans(events, heads, n_draws=options.n_draws, seed=options.seed),
        shifts=tuple(reader.shifts(events, sources, shifted, heads)),
        calibration=() if calibration is None else check(calibration, events),
        calibrated_on=known,
        distributions=score_distributions(events, heads),
    )


class _Reader:
    """Reads events, always in the same way, and scores them; keeps no graphs."""

    def __init__(self, scorer: Scorer, options: EvaluationOptions, progress: Progress) -> None:
        self.scorer, self._progress = scorer, progress
        origin = scorer.metadata.origin
        self._processes: tuple[Process, ...] = known_processes(origin, options.cards)
        self._wanted_shifts = options.shifts
        self.split = None if options.all_events else origin.training.split

    def scored(
        self, sources: Sequence[Source], *, shift: EventShift | None = None, all_events: bool = False
    ) -> ScoredEvents:
        """The events to be evaluated, or all."""
        graph = self.scorer.metadata.definition.graph
        seed = 0 if self.split is None else self.split.seed
        data = read_labelled(sources, graph, split_seed=seed, progress=self._progress, shift=shift)
        if self.split is not None and not all_events:
            data = _test_part(data, self.split)
        return scored_events(data, model_scores(self.scorer, data), self._processes)

    def heads(self, events: ScoredEvents) -> tuple[str, ...]:
        """The scores that are the model's own."""
        return tuple(name for name in events.scores if name not in BASELINES)

    def shifts(
        self, nominal: ScoredEvents, sources: Sequence[Source], shifted: Sequence[Source], heads: tuple[str, ...]
    ) -> Iterator[Shift]:
        """Every shift for every head: the same events changed, and other files, of which all events count."""
        for name, shift in self._in_memory().items():
            changed = self.scored(sources, shift=shift)
            yield from (compare_shift(name, nominal, changed, head) for head in heads)
        for source in shifted:
            other = self.scored([source], all_events=True)
            yield from (compare_shift(Path(source.path).name, nominal, other, head) for head in heads)

    def _in_memory(self) -> dict[str, EventShift]:
        """The shifts that need no other files, by name."""
        if not self._wanted_shifts:
            return {}
        found = {f"energy scale {scale - 1:+.0%}": EventShift(energy_scale=scale) for scale in ENERGY_SCALES}
        for name in self.scorer.collections:
            if len(self.scorer.collections) > 1:
                found[f"no {name}"] = EventShift(without=frozenset({name}))
        return found


def _refuse_one_sided(events: ScoredEvents) -> None:
    """TrainingError without signal or background."""
    for missing, kind in ((events.background.all(), "signal"), (not events.background.any(), "background")):
        if missing:
            raise TrainingError(f"no {kind} among the {counted(len(events.labels), 'event')} to evaluate; give both")


def _calibrated_on(calibration: Calibration, sources: Sequence[Source]) -> tuple[str, ...]:
    """The paths of the sources, told by UUID and size (some writers leave no UUID), that made the calibration."""
    known = {(file["uuid"], file["size"]) for file in calibration.background.get("files", ())}
    found = []
    for source in sources:
        with open_file(source) as file:
            if (file.uuid, file.directory.end) in known:
                found.append(source.path)
    return tuple(found)


def _test_part(data: LabelledGraphs, split: Split) -> LabelledGraphs:
    """The events that the training left for the test; TrainingError if there is none."""
    test = split_data(data, split).test
    if len(test) == 0:
        raise TrainingError(
            f"none of the {counted(len(data), 'event')} is in the test part of the model's split; "
            "if the model was not trained on these files, --all-events takes them all"
        )
    return test
