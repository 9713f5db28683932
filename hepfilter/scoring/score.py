"""`hepfilter score` as one call: the scores of all events, in a file that rates and skims start from."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter import __version__
from hepfilter.events.identity import Identity
from hepfilter.io.checksum import file_facts, refuse_copy
from hepfilter.io.events import find_tree
from hepfilter.io.own_branches import own_names
from hepfilter.io.publishing import refuse_output
from hepfilter.io.reading import open_file
from hepfilter.io.score_facts import ScoredFile, ScoreFacts
from hepfilter.io.score_file import create_scores, refuse_suffix
from hepfilter.io.sources import Inputs, Source, expand_inputs, refuse_inputs
from hepfilter.scoring.files import have_objects
from hepfilter.scoring.scorer import Scorer
from hepfilter.shown import Shown
from hepfilter.work.units import cut_units

_UNIT_ENTRIES: Final = 20_000
_Scores = Mapping[str, NDArray[np.float32]]

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class ScoreReport(Shown):
    """What was scored, as the file at `path` says it too; `size` is that file's, in bytes."""

    path: str
    size: int
    facts: ScoreFacts
    seconds: float

    @property
    def events(self) -> int:
        """Events read, scored and written."""
        return self.facts.entries

    @property
    def problems(self) -> dict[str, int]:
        """How many objects and weights of all files were treated by which rule."""
        problems: Counter[str] = Counter()
        for file in self.facts.files:
            problems.update(file.problems)
        return dict(sorted(problems.items()))


def score_files(
    inputs: str | Path | Sequence[str | Path],
    output: Path | str,
    *,
    model: str = "interest-objects",
    schema: str | None = None,
    device: str = "auto",
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> ScoreReport:
    """Score all events of `inputs` by `model`, and write them to `output` (``.parquet`` or ``.root``), chunk by chunk.

    `inputs` are what `expand_inputs` takes; `schema` is one that ships, or a file, found from the branches if None.
    What exists is replaced only with `force`. Any of hepfilter's errors leaves no output behind.
    """
    started = time.perf_counter()
    output = Path(output)
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    found = expand_inputs([str(one) for one in given])
    _check(output, found.sources, force=force)
    scorer = Scorer(model, device=device)
    facts = _facts(scorer, model, found)
    files: list[ScoredFile] = []
    seen: dict[tuple[str, str], str] = {}

    def report(now: int, total: int) -> None:
        before = sum(file.entries for file in files)
        progress("scoring", before + now, before + total)

    with create_scores(output, scorer.names) as writer:
        for source in found.sources:
            files.append(_score_file(source, scorer, writer, seen, schema=schema, progress=report))
        facts = facts.model_copy(update={"files": tuple(files)})
        writer.finish(facts)
    return ScoreReport(str(output), output.stat().st_size, facts, time.perf_counter() - started)


def collect_scores(
    sources: Sequence[Source], scorer: Scorer, *, schema: str | None = None, progress: Progress = lambda *_: None
) -> ak.Array:
    """The scores of all events of `sources`, in order, as records of float32 by the scorer's names; errors as above."""
    gathered = _Gathered(scorer.names)
    files: list[ScoredFile] = []
    seen: dict[tuple[str, str], str] = {}

    def report(now: int, total: int) -> None:
        before = sum(file.entries for file in files)
        progress("scoring", before + now, before + total)

    for source in sources:
        files.append(_score_file(source, scorer, gathered, seen, schema=schema, progress=report))
    return ak.zip({name: np.concatenate([np.empty(0, np.float32), *parts]) for name, parts in gathered.parts.items()})


class _Writer(Protocol):
    """What takes the scores of files, chunk by chunk: see `ScoreWriter`."""

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None: ...

    def append(
        self, identity: Identity, weights: NDArray[np.float64], has_objects: NDArray[np.bool_], scores: _Scores
    ) -> None: ...


class _Gathered:
    """Keeps the scores in memory, and nothing else."""

    def __init__(self, names: Sequence[str]) -> None:
        self.parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None:
        """Files are told apart by nothing."""

    def append(
        self, identity: Identity, weights: NDArray[np.float64], has_objects: NDArray[np.bool_], scores: _Scores
    ) -> None:
        """The scores of a chunk."""
        for name, values in scores.items():
            self.parts[name].append(values)


def _check(output: Path, sources: Sequence[Source], *, force: bool) -> None:
    """What can be told before any work."""
    refuse_suffix(output)
    refuse_inputs([output], sources)
    refuse_output(output, force=force)


def _facts(scorer: Scorer, model: str, found: Inputs) -> ScoreFacts:
    """What is known before a file is opened."""
    return ScoreFacts(
        hepfilter=__version__,
        model=model,
        model_hash=scorer.model_hash,
        calibration_hash=scorer.calibration_hash,
        device_class=scorer.device_class,
        names=scorer.names,
        extrapolated_below={} if scorer.calibration is None else scorer.calibration.extrapolated_below,
        datasets={name: dataset.facts() for name, dataset in found.datasets.items()},
        files=(),
    )


def _score_file(
    source: Source,
    scorer: Scorer,
    writer: _Writer,
    seen: dict[tuple[str, str], str],
    *,
    schema: str | None,
    progress: Callable[[int, int], None],
) -> ScoredFile:
    """Score one file that is no copy of those `seen`; `progress` is called with (done, in all)."""
    problems: Counter[str] = Counter()
    with open_file(source) as file:
        found = find_tree(file, tree=source.tree, schema=schema)
        refuse_copy(file, found.tree.name, seen)
        events = found.bind(hidden=own_names(found.tree.branch_names), wanted=scorer.collections)
        tree, binding, facts = events.tree, events.binding, file_facts(file)
        writer.begin_file(source.path, facts.uuid, source.dataset)
        for unit in cut_units(0, tree.cluster_edges(binding.branches), target=_UNIT_ENTRIES):
            chunk = events.read(unit.start, unit.stop)
            weights = np.ones(len(chunk)) if chunk.weight is None else np.asarray(chunk.weight, np.float64)
            scores = scorer.score_heads(chunk.record)
            writer.append(chunk.identity, weights, have_objects(chunk, scorer.collections), scores)
            problems.update(chunk.problems)
            progress(unit.stop, tree.num_entries)
    return ScoredFile(
        path=source.path,
        dataset=source.dataset,
        uuid=facts.uuid,
        size=facts.size,
        checksum=facts.checksum,
        tree=tree.name,
        entries=tree.num_entries,
        schema_name=binding.schema.name,
        schema_checksum=binding.schema.checksum,
        weighted=binding.books.weight is not None,
        problems={what: count for what, count in sorted(problems.items()) if count},
        absent=tuple(name for name in scorer.collections if name in binding.absent),
        warnings=binding.warnings,
    )
