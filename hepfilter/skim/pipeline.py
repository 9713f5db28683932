"""The main job: read, build graphs, score, decide, fetch, write. Only chosen events cost their payload."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np

from hepfilter import __version__
from hepfilter.errors import OutputError, UsageError
from hepfilter.io.compression import parse_compression
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
    selection = _decide(scored, keep)
    report = _books(scored, selection, output=str(output), model=model, model_hash=scorer.model_hash)
    skipped = write_selected(report, scored, selection, compression=compression, progress=progress)
    notes = report.warnings + tuple(f"not copied: {name}" for name in skipped)
    return SkimReport(**{**vars(report), "warnings": notes, "seconds": time.perf_counter() - started})


def _check_output(output: Path, sources: Sequence[Source], *, force: bool, compression: str | None) -> None:
    """What can be told before any work: an output that is an input or exists, a folder that does not."""
    if compression is not None:
        parse_compression(compression)
    if any(Path(source.path).resolve() == output.resolve() for source in sources):
        raise UsageError(f"{output}: is one of the inputs; give another name with -o")
    if output.is_dir() or (output.exists() and not force):
        raise OutputError(f"{output}: exists; give another name with -o, or --force to replace it")
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first")


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
) -> list[str]:
    """The second pass: fetch all branches of the events that passed, and write them. Returns what was left out."""
    with open_file(scored[0].source) as first:
        settings = first.compression if compression is None else parse_compression(compression)
    with SkimOutput(Path(report.output), scored[0].tree, (INTEREST, PASSED), compression=settings) as out:
        for file, kept in zip(scored, _split(selection, scored), strict=True):
            columns = {INTEREST.name: file.scores[kept], PASSED.name: np.ones(np.count_nonzero(kept), bool)}
            with open_file(file.source) as source:
                out.add_source(source, kept, columns)
            progress("writing", out.num_entries, report.passed)
        if out.num_entries != report.passed:
            raise OutputError(f"{report.output}: {out.num_entries} events were written of {report.passed} that passed")
        out.write_string(PROVENANCE, json.dumps({"hepfilter": __version__, **asdict(report)}))
    return out.skipped


def _split(selection: Selection, scored: Sequence[ScoredFile]) -> list[np.ndarray]:
    """The decisions of each file."""
    return np.split(selection.passed, np.cumsum([len(file.scores) for file in scored])[:-1])


def _books(
    scored: Sequence[ScoredFile], selection: Selection, *, output: str, model: str, model_hash: str
) -> SkimReport:
    """Events and weights in and out of each file; the sums are checked against what was decided."""
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
    passed = sum(count.passed for count in files)
    return SkimReport(
        output, model, model_hash, tuple(files), passed, selection.threshold, selection.ties_dropped, 0.0,
        problems=dict(sorted(problems.items())), warnings=_warnings(scored),
    )  # fmt: skip


def _warnings(scored: Sequence[ScoredFile]) -> tuple[str, ...]:
    """What a reader of the report should know, each once, with the number of files that it holds for."""
    notes: Counter[str] = Counter()
    for file in scored:
        notes.update(file.warnings)
        notes.update(f"no {name} in the file: the model sees none" for name in file.absent)
    return tuple(
        note if len(scored) == 1 else f"{note} ({count} of {len(scored)} files)" for note, count in notes.items()
    )
