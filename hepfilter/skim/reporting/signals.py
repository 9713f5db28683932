"""Signals that a report scores by the run's own model, to say what a threshold keeps of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import UsageError
from hepfilter.io.events import find_tree
from hepfilter.io.own_branches import own_names
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources
from hepfilter.skim.parts import Part
from hepfilter.skim.reporting.scans import SignalScores
from hepfilter.skim.summary import SCORE_EDGES
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.events import interesting
from hepfilter.work.units import cut_units

if TYPE_CHECKING:
    from hepfilter.scoring.scorer import Scorer

Progress = Callable[[str, int, int], None]
_UNIT_ENTRIES = 20_000


def parse_signals(texts: Sequence[str]) -> dict[str, tuple[Source, ...]]:
    """The files of each ``NAME=FILE``; UsageError for anything else, SourceError as `expand_sources`."""
    found: dict[str, tuple[Source, ...]] = {}
    for text in texts:
        name, sign, files = text.partition("=")
        if not (name.strip() and sign and files.strip()):
            raise UsageError(f"--signal {text!r}: give NAME=FILE, such as zprime=signal.root")
        found[name.strip()] = found.get(name.strip(), ()) + tuple(expand_sources([files.strip()]))
    return found


def score_signals(
    signals: Mapping[str, Sequence[Source]], part: Part, *, device: str, progress: Progress
) -> dict[str, dict[str, SignalScores]]:
    """The scores of each signal by the model of a skim: by score, then by signal.

    UsageError if no model decided, or it is another one here; SourceError and SchemaError for faults of the files.
    """
    if not signals:
        return {}
    if not part.recipe.needs_scores:
        raise UsageError("--signal: no score decided here, so that there is no threshold to look at")
    from hepfilter.scoring.scorer import Scorer  # which needs torch

    scorer = Scorer(part.recipe.model, device=device)
    if scorer.model_hash != part.model_hash:
        what = f"{part.recipe.model} is model {scorer.model_hash[:12]}, and {(part.model_hash or '')[:12]} decided"
        raise UsageError(f"--signal: {what}; give --signal where that model is")
    found: dict[str, dict[str, SignalScores]] = {}
    for signal, sources in signals.items():
        for name, (values, weights) in _score(sources, scorer, progress).items():
            ordered = interesting(name, values)
            found.setdefault(name, {})[signal] = SignalScores(
                Histogram.of(ordered, SCORE_EDGES, weights), ordered, weights
            )
    return found


def _score(
    sources: Sequence[Source], scorer: "Scorer", progress: Progress
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """By score (its values [n], the events' weights [n]), of all files together."""
    scores: list[Mapping[str, NDArray[np.float32]]] = []
    weights: list[NDArray[np.float64]] = []
    for source in sources:
        with open_file(source) as file:
            found = find_tree(file, tree=source.tree)
            events = found.bind(hidden=own_names(found.tree.branch_names), wanted=scorer.collections)
            for unit in cut_units(0, events.tree.cluster_edges(events.binding.branches), target=_UNIT_ENTRIES):
                chunk = events.read(unit.start, unit.stop)
                scores.append(scorer.score_heads(chunk.record))
                weights.append(np.ones(len(chunk)) if chunk.weight is None else np.asarray(chunk.weight, np.float64))
                progress("scoring signals", unit.stop, events.tree.num_entries)
    every = np.concatenate(weights) if weights else np.empty(0)
    return {
        name: (np.concatenate([chunk[name] for chunk in scores]) if scores else np.empty(0, np.float32), every)
        for name in scorer.names
    }
