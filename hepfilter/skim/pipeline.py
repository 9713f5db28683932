"""The main job: read, build graphs, score, decide, fetch, write. Only chosen events cost their payload."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from hepfilter import __version__
from hepfilter.errors import OutputError, SourceError, UsageError
from hepfilter.io.compression import parse_compression
from hepfilter.io.container import refuse_output
from hepfilter.io.output import SkimOutput
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources
from hepfilter.io.writing import Column
from hepfilter.scoring.files import Progress, ScoredFile, score_files
from hepfilter.skim.report import FileCount, SkimReport
from hepfilter.trigger.selection import Selection, keep_fraction

INTEREST = Column("HepFilter_interest", "float32", "hepfilter: log-odds that the event is interesting")
PASSED = Column("HepFilter_passed", "bool", "hepfilter: the event passed the selection")
PROVENANCE = "HepFilter_provenance"
_NO_UUID = "00000000-0000"


def skim(
    inputs: Sequence[str],
    output: Path | str,
    *,
    keep: Fraction,
    model: str = "interest-objects",
    schema: str | None = None,
    device: str = "auto",
    compression: str | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> SkimReport:
    """Keep the most interesting share `keep` of all events of `inputs`, each event with all its branches, bit for bit.

    `inputs` are paths, globs, folders, ``@list.txt``, ``file.root:tree``; `model` is the name of one that ships or a
    checkpoint's path; `schema` likewise (found from the branches if None); `compression` is ``ALGORITHM:LEVEL`` or None
    for the first source's own. An existing `output` is replaced only with `force`. Any of hepfilter's errors leaves no
    output behind.
    """
    from hepfilter.scoring.scorer import Scorer

    started = time.perf_counter()
    output = Path(output)
    sources = expand_sources(inputs)
    _check_output(output, sources, force=force, compression=compression)
    scorer = Scorer(model, device=device)
    scored = score_files(sources, scorer, schema=schema, progress=progress)
    _refuse_mixture(scored)
    selection = _decide(scored, keep)
    report = replace(_books(scored, selection, output), keep=str(keep), model=model)
    report = replace(report, model_hash=scorer.model_hash, device_class=scorer.device_class)
    report = write_selected(report, scored, selection, compression=compression, progress=progress)
    return replace(report, seconds=time.perf_counter() - started)


def _check_output(output: Path, sources: Sequence[Source], *, force: bool, compression: str | None) -> None:
    """What can be told before any work."""
    if compression is not None:
        parse_compression(compression)
    if any(Path(source.path).resolve() == output.resolve() for source in sources):
        raise UsageError(f"{output}: is one of the inputs; give another name with -o")
    refuse_output(output, force=force)


def _refuse_mixture(scored: Sequence[ScoredFile]) -> None:
    """SourceError if the events of the inputs stand in trees of other names, or one input is a copy of another."""
    seen: dict[str, str] = {}
    for file in scored:
        if file.tree != scored[0].tree:
            what = f"{file.source.path}: its events are in tree {file.tree}, those of {scored[0].source.path} in"
            raise SourceError(f"{what} {scored[0].tree}; skim them apart")
        if file.uuid in seen and not file.uuid.startswith(_NO_UUID):
            raise SourceError(f"{file.source.path}: is a copy of {seen[file.uuid]}, its events would count twice")
        seen[file.uuid] = file.source.path


def _decide(scored: Sequence[ScoredFile], keep: Fraction) -> Selection:
    """The cut over all events of all inputs."""
    scores = np.concatenate([file.scores for file in scored])
    return keep_fraction(scores, np.concatenate([file.ties for file in scored]), keep)


def write_selected(
    report: SkimReport,
    scored: Sequence[ScoredFile],
    selection: Selection,
    *,
    compression: str | None,
    progress: Progress,
) -> SkimReport:
    """The second pass: fetch all branches of the events that passed, and write them; the report, completed."""
    with open_file(scored[0].source) as first:
        settings = first.compression if compression is None else parse_compression(compression)
    with SkimOutput(Path(report.output), scored[0].tree, (INTEREST, PASSED), compression=settings) as out:
        for file, kept in zip(scored, _split(selection, scored), strict=True):
            columns = {INTEREST.name: file.scores[kept], PASSED.name: np.ones(np.count_nonzero(kept), bool)}
            with open_file(file.source) as source:
                out.add_source(source, kept, columns)
            progress("writing", out.num_entries, report.passed)
        notes = report.warnings + tuple(f"not copied: {name}" for name in out.skipped)
        report = replace(report, written=out.num_entries, warnings=notes)
        if report.written != report.passed:
            raise OutputError(f"{report.output}: {report.written} events were written of {report.passed} that passed")
        facts = {name: value for name, value in asdict(report).items() if name != "seconds"}  # not known before the end
        out.write_string(PROVENANCE, json.dumps({"hepfilter": __version__, **facts}))
    return report


def _split(selection: Selection, scored: Sequence[ScoredFile]) -> list[np.ndarray]:
    """The decisions of each file."""
    return np.split(selection.passed, np.cumsum([len(file.scores) for file in scored])[:-1])


def _books(scored: Sequence[ScoredFile], selection: Selection, output: Path) -> SkimReport:
    """Events and weights in and out of each file."""
    files = []
    problems: Counter[str] = Counter()
    for file, kept in zip(scored, _split(selection, scored), strict=True):
        weights = file.weights
        files.append(
            FileCount(
                path=file.source.path,
                schema=file.schema,
                read=len(kept),
                passed=int(np.count_nonzero(kept)),
                weight_read=None if weights is None else float(weights.sum()),
                weight_passed=None if weights is None else float(weights[kept].sum()),
                absent=file.absent,
            )
        )
        problems.update(file.problems)
    return SkimReport(
        output=str(output),
        files=tuple(files),
        threshold=selection.threshold,
        ties_dropped=selection.ties_dropped,
        problems=dict(sorted(problems.items())),
        warnings=_warnings(scored),
    )


def _warnings(scored: Sequence[ScoredFile]) -> tuple[str, ...]:
    """What a reader of the report should know, each once, with the number of files that it holds for."""
    notes: Counter[str] = Counter()
    for file in scored:
        notes.update(file.warnings)
        if file.absent:
            lacking = ", ".join(file.absent)
            notes[f"no {lacking} in the file: scores compare its events with one another, not with other files"] += 1
        if file.already_skimmed:
            notes["the file is a skim already; its older score is replaced"] += 1
    texts = [note if len(scored) == 1 else f"{note} ({count} of {len(scored)} files)" for note, count in notes.items()]
    empty = sum(file.empty for file in scored)
    if empty:
        texts.append(f"{empty:,} events have no object that the model looks at, and all get the same score")
    identified = [file.ties for file in scored]
    repeated = sum(map(len, identified)) - len(np.unique(np.concatenate(identified)))
    if repeated:
        texts.append(f"{repeated:,} events have the run, luminosityBlock and event of another one: counted twice?")
    return tuple(texts)
