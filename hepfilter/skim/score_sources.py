"""What gives a skim its scores: a model that runs, or a file that `hepfilter score` wrote."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SchemaError, UsageError
from hepfilter.io.checksum import file_facts
from hepfilter.io.events import EventTree, FoundTree
from hepfilter.io.reading import OpenFile
from hepfilter.models.metadata import read_metadata
from hepfilter.skim.recipe import Recipe

if TYPE_CHECKING:
    from hepfilter.io import score_file
    from hepfilter.scoring.scorer import Scorer

Mask = npt.NDArray[np.bool_]
Scores = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class ChunkScores:
    """The `scores` of the chosen events of a chunk, by name.

    `problems` counts objects treated by rule in all of the chunk, `empty` chosen events without any object that the
    model looks at. `spectra` are the values of the chosen events, by the names of `events.spectra.SPECTRA`: of those
    that were read with the objects.
    """

    scores: Scores
    problems: Counter[str]
    empty: int
    spectra: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


class FileScores(Protocol):
    """The scores of one input's events.

    `branches` are read of every event that is scored. `problems` counts objects treated by rule in all of the file,
    None where chunks tell of theirs. `absent` are the
    collections that the model uses and the file lacks; `warnings` say what else is not as it should be.
    """

    branches: tuple[str, ...]
    warnings: tuple[str, ...]
    absent: tuple[str, ...]
    problems: Counter[str] | None

    def read(self, start: int, stop: int, chosen: Mask) -> ChunkScores:
        """The scores of those of the entries [start, stop) that are `chosen` (bool, one an entry)."""


class ScoreSource(Protocol):
    """What gives the scores of all inputs."""

    @property
    def names(self) -> tuple[str, ...]:
        """What is said of every event, ``interest`` first."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a `SkimReport` says of the model."""

    def of_file(self, file: OpenFile, found: FoundTree, *, hidden: Collection[str]) -> FileScores:
        """The scores of one file, without its `hidden` branches. One of hepfilter's errors if it has none."""


def open_scores(recipe: Recipe, device: str, threads: int | None = None) -> ScoreSource | None:
    """What gives a recipe's scores, None where none decides: nothing but a model that runs needs torch."""
    if not recipe.needs_scores:
        return None
    if recipe.scores is not None:
        return StoredSource(recipe.scores, model=recipe.model or None)
    from hepfilter.scoring.scorer import Scorer

    return ModelSource(Scorer(recipe.model, device=device, threads=threads), recipe.model)


class ModelSource:
    """A model that runs, and the name under which it was asked for."""

    def __init__(self, scorer: "Scorer", name: str) -> None:
        self._scorer = scorer
        self.names = scorer.names
        self.facts: Mapping[str, Any] = {"model": name} | scorer.facts

    def of_file(self, file: OpenFile, found: FoundTree, *, hidden: Collection[str]) -> "_ModelFile":
        """SchemaError if the file has nothing that the model looks at."""
        return _ModelFile(found.bind(hidden=hidden, wanted=self._scorer.collections), self._scorer)


class _ModelFile:
    def __init__(self, events: EventTree, scorer: "Scorer") -> None:
        self._events, self._scorer = events, scorer
        self.branches = tuple(events.binding.branches)
        self.warnings = events.binding.warnings
        self.absent = tuple(name for name in scorer.collections if name in events.binding.absent)
        self.problems: Counter[str] | None = None

    def read(self, start: int, stop: int, chosen: Mask) -> ChunkScores:
        from hepfilter.scoring.files import score_entries

        scored = score_entries(self._events, self._scorer, start, stop, chosen)
        return ChunkScores(scored.scores, _of_objects(scored.problems), scored.empty, scored.spectra)


class StoredSource:
    """A file of scores. UsageError if they are of another model, or another calibration of it, than that `model`."""

    def __init__(self, path: str, *, model: str | None) -> None:
        from hepfilter.io.score_file import read_scores

        self._stored = read_scores(path, identified=False)
        said = self._stored.facts
        if model is not None:
            metadata = read_metadata(model)
            calibration = None if metadata.calibration is None else metadata.calibration.get("hash")
            for what, there, wanted in (
                ("model", said.model_hash, metadata.model_hash),
                ("calibration", said.calibration_hash, calibration),
            ):
                if there != wanted:
                    hashes = f"{what} {(there or 'none')[:12]}, {model} is {(wanted or 'none')[:12]}"
                    raise UsageError(f"{path}: its scores are of {hashes}; score the files anew, or leave --model out")
        self.names = said.names
        self.facts: Mapping[str, Any] = {
            "model": said.model,
            "model_hash": said.model_hash,
            "device_class": said.device_class,
            "scores": said.names,
            "calibration_hash": said.calibration_hash,
            "extrapolated_below": said.extrapolated_below,
        }

    def of_file(self, file: OpenFile, found: FoundTree, *, hidden: Collection[str]) -> "_StoredFile":
        """SourceError if it was not scored, or changed since; SchemaError if it was scored by another schema."""
        facts, tree = file_facts(file), found.tree
        scores = self._stored.for_file(facts.uuid, tree.name, tree.num_entries, path=file.path, checksum=facts.checksum)
        if found.schema is None or found.schema.checksum != scores.file.schema_checksum:
            here = "none fits it here" if found.schema is None else f"here it is read by {found.schema.name}"
            what = f"was scored by the schema {scores.file.schema_name} of then, {here}"
            raise SchemaError(f"{file.path}: {what}; give the same --schema, or score it anew")
        return _StoredFile(scores)


class _StoredFile:
    def __init__(self, stored: "score_file.FileScores") -> None:
        self._stored = stored
        self.branches: tuple[str, ...] = ()
        self.warnings, self.absent = stored.file.warnings, stored.file.absent
        self.problems: Counter[str] | None = _of_objects(stored.file.problems)

    def read(self, start: int, stop: int, chosen: Mask) -> ChunkScores:
        scores = {name: values[start:stop][chosen] for name, values in self._stored.scores.items()}
        empty = int(np.count_nonzero(~self._stored.has_objects[start:stop][chosen]))
        return ChunkScores(scores, Counter(), empty)


def _of_objects(problems: Mapping[str, int]) -> Counter[str]:
    """Without those of weights, which a skim counts by itself."""
    return Counter({what: count for what, count in problems.items() if not what.startswith("weight: ")})
