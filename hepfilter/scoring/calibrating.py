"""`hepfilter calibrate` as one call: background events → scores → p-values, into the model's checkpoint."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.card import load_cards
from hepfilter.config.training import Split
from hepfilter.errors import TrainingError, UsageError
from hepfilter.events.record import Events
from hepfilter.graphs.reading import Progress, refuse_faulty_weights
from hepfilter.io.checksum import file_facts, refuse_copy
from hepfilter.io.events import IS_SIGNAL, TRUTH_LABEL, find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.models.metadata import ModelMetadata, pretrained_models
from hepfilter.models.rewriting import refuse_checkpoint, write_calibration
from hepfilter.scoring.calibration import COMBINED, Calibration, fit_calibration, uncombined_scores
from hepfilter.scoring.scorer import Scorer
from hepfilter.shown import Shown
from hepfilter.statistics.pvalues import PValueTable
from hepfilter.trigger.hashing import event_hash

_ENTRIES: Final = 20_000


@dataclass(frozen=True)
class CalibratedScore:
    """One score, or their combination: where its p-values end to be measured, and how they go on.

    Above `extrapolated_above` (there p is `pvalue`) each unit of the score takes a factor exp(−`rate`) from p; the rate
    is known to `relative_error`. A rate of 0: p is bounded from below by `pvalue`.
    """

    name: str
    extrapolated_above: float
    pvalue: float
    rate: float
    relative_error: float


@dataclass(frozen=True)
class CalibrationReport(Shown):
    """What a calibration was made from, and how far it reaches.

    `events` background events were used, `effective` is their effective number; `left_out` are background events that
    the model may have been trained on, `not_background` all others.
    """

    model: str
    model_hash: str
    calibration_hash: str
    events: int
    effective: float
    left_out: int
    not_background: int
    scores: tuple[CalibratedScore, ...]


def calibrate(
    model: str | Path,
    sources: Sequence[Source],
    *,
    output: Path | None = None,
    background: Sequence[str] = (),
    trained_on: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> CalibrationReport:
    """Give the model `model` background p-values from the events of `sources`, and write it to `output`.

    Without `output` the model's own file is written anew. Background are the events of the cards `background`, or all
    that are not marked as signal; in files without truth all. Simulated events that the model may have been trained on
    (by their hash) are left out unless `trained_on`. Events count with their generator weights, of either sign.
    TrainingError if there is too little background, or weights are faulty or add up to less than 0;
    DifferentInputsError if a file is a copy of another; OutputError or UsageError if the output is there already and
    not `force`d, or is a model that ships.
    """
    scorer = Scorer(model, device=device)
    path = calibration_target(model, scorer.metadata, output, force=force)
    split = None if trained_on else scorer.metadata.origin.training.split
    labels = tuple(card.label for name in background for card in load_cards(name)) if background else None
    reader = _Background(scorer, labels, split)
    files = [reader.read(source, partial(progress, f"file {i + 1}")) for i, source in enumerate(sources)]
    said = {"files": files, "cards": list(background), "left_out": reader.left_out, "device_class": scorer.device_class}
    scores, weights = reader.gathered()
    calibration = fit_background(scores, weights, scorer.metadata, said, where=sources[0].path)
    write_calibration(model, path, calibration.plain())
    return calibration_report(path, calibration, left_out=reader.left_out, not_background=reader.not_background)


class _Background:
    """Reads background events, file by file, and keeps their scores and weights.

    `labels` are the truth labels of background (by the signal's mark without), `split` says which events the model may
    have been trained on.
    """

    def __init__(self, scorer: Scorer, labels: Sequence[int] | None, split: Split | None) -> None:
        self._scorer, self._labels, self._split = scorer, labels, split
        self._scores: list[dict[str, NDArray[np.float32]]] = []
        self._weights: list[NDArray[np.float64]] = []
        self._seen: dict[tuple[str, str], str] = {}
        self.left_out = 0
        self.not_background = 0

    def gathered(self) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float64]]:
        """Scores by name, without the p-values of an older calibration, and weights."""
        names = ("interest", *(head.name for head in self._scorer.metadata.definition.heads))
        scores = {
            name: np.concatenate([np.empty(0, np.float32), *(part[name] for part in self._scores)]) for name in names
        }
        return scores, np.concatenate([np.empty(0), *self._weights])

    def read(self, source: Source, progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Score the background of one file; who the file is. `progress` is called with (done, in all)."""
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, wanted=self._scorer.collections)
            tree = found.tree
            refuse_copy(file, tree.name, self._seen)
            truth = tuple(name for name in (TRUTH_LABEL, IS_SIGNAL) if name in tree.branch_names)
            if self._labels is not None and TRUTH_LABEL not in truth:
                raise TrainingError(f"{source.path}: tree {tree.name} has no {TRUTH_LABEL} to know the cards by")
            if self._labels is None and truth == (TRUTH_LABEL,):
                what = f"tree {tree.name} has truth labels, but no {IS_SIGNAL}"
                raise TrainingError(f"{source.path}: {what}; say what is background with --background CARD")
            for start in range(0, tree.num_entries, _ENTRIES):
                stop = min(start + _ENTRIES, tree.num_entries)
                events = found.read(start, stop)
                kept = self._choose(events, tree.arrays(truth, start, stop) if truth else {})
                weights = np.ones(len(events)) if events.weight is None else events.weight
                refuse_faulty_weights(weights, events.problems, f"{source.path}: tree {tree.name}")
                self._scores.append(self._scorer.score_heads(events.record[kept]))
                self._weights.append(np.asarray(weights[kept], np.float64))
                progress(stop, tree.num_entries)
            facts = file_facts(file)
        return {"path": Path(source.path).name, "uuid": facts.uuid, "size": facts.size}

    def _choose(self, events: Events, truth: Mapping[str, Any]) -> NDArray[np.bool_]:
        """[B] bool: background outside the training; what is left out is counted."""
        if self._labels is not None:
            background = np.isin(np.asarray(truth[TRUTH_LABEL]), self._labels)
        elif truth:
            background = ~np.asarray(truth[IS_SIGNAL]).astype(bool)
        else:
            background = np.ones(len(events), bool)
        kept = background
        if self._split is not None and truth:
            who = events.identity
            place = event_hash(who.run, who.luminosity_block, who.event, seed=self._split.seed, purpose="split")
            kept = background & (place >= self._split.training + self._split.validation)
        self.left_out += int(np.count_nonzero(background & ~kept))
        self.not_background += int(np.count_nonzero(~background))
        return kept


def fit_background(
    scores: Mapping[str, NDArray[np.float32]],
    weights: NDArray[np.float64],
    model: ModelMetadata,
    said: Mapping[str, Any],
    *,
    where: str,
) -> Calibration:
    """`fit_calibration` of `model` by the background that is `said`; TrainingError, begun by `where`: too little."""
    try:
        return fit_calibration(
            scores, weights, model_hash=model.model_hash, background=said, uncombined=uncombined_scores(model)
        )
    except ValueError as error:
        more = f"; {said['left_out']:,} that the model may have seen were left out" if said["left_out"] else ""
        raise TrainingError(f"{where}: {error}{more}; give more background events") from error


def calibration_target(model: str | Path, metadata: ModelMetadata, output: Path | None, *, force: bool) -> Path:
    """Where the model goes, if it may go there."""
    if output is not None:
        refuse_checkpoint(output, force=force)
        return output
    if metadata.path in pretrained_models().values():
        raise UsageError(f"{model}: ships with the package and stays as it is; say where the calibrated one goes: -o")
    if metadata.calibration is not None and not force:
        raise UsageError(f"{model}: is calibrated already; --force does it anew, -o FILE writes another file")
    return metadata.path


def calibration_report(
    path: Path, calibration: Calibration, *, left_out: int, not_background: int
) -> CalibrationReport:
    """What is told of a calibration that was written to `path`."""
    return CalibrationReport(
        model=str(path),
        model_hash=calibration.model_hash,
        calibration_hash=calibration.hash,
        events=calibration.background["events"],
        effective=calibration.background["effective"],
        left_out=left_out,
        not_background=not_background,
        scores=tuple(_calibrated(calibration)),
    )


def _calibrated(calibration: Calibration) -> Iterator[CalibratedScore]:
    combined = {} if calibration.combined is None else {COMBINED: calibration.combined}
    tables: Mapping[str, PValueTable] = {**calibration.tables, **combined}
    for name, table in tables.items():
        tail = table.tail
        yield CalibratedScore(name, tail.start, tail.pvalue, tail.rate, tail.relative_error)
