"""What the scores of a run are compared with: the sample that its lock was made from, or the model's background."""

from collections.abc import Mapping

import numpy as np

from hepfilter.errors import CheckpointError
from hepfilter.models.metadata import read_metadata
from hepfilter.scoring.calibration import COMBINED, INTEREST, PVALUE, model_calibration
from hepfilter.skim.parts import Part
from hepfilter.skim.reporting.containers import ReferenceScores, Values
from hepfilter.skim.summary import SCORE_EDGES
from hepfilter.trigger.drift import ScoreReference
from hepfilter.wording import counted


def find_references(part: Part, names: tuple[str, ...]) -> tuple[Mapping[str, ReferenceScores], str]:
    """(the references of the scores `names`, why there are none), those of the lock where it has them."""
    if not names:
        return {}, "no score decided"
    frozen = None if part.recipe.trigger is None else part.recipe.trigger.frozen
    if frozen is not None and frozen.reference is not None:
        source = f"the {counted(frozen.reference.events, 'event')} that the menu was locked with"
        found = {name: _of_lock(one, source) for name, one in frozen.reference.scores.items() if name in names}
        if found:
            return found, ""
    return _of_model(part, names)


def _of_lock(reference: ScoreReference, source: str) -> ReferenceScores:
    """The bins of the lock; the outer two, which have no end, end where the bins of a summary do."""
    edges = np.array([SCORE_EDGES[0], *reference.edges, SCORE_EDGES[-1]])
    counts = np.array(reference.counts, np.float64)
    return ReferenceScores(source, edges, counts / counts.sum())


def _of_model(part: Part, names: tuple[str, ...]) -> tuple[Mapping[str, ReferenceScores], str]:
    """The background that the model was calibrated with: what its p-values say of every bin."""
    try:
        metadata = read_metadata(part.recipe.model)
        calibration = model_calibration(metadata)
    except CheckpointError as error:
        return {}, f"the model cannot be read: {error}"
    if metadata.model_hash != part.model_hash:
        return {}, f"{part.recipe.model} is another model now"
    if calibration is None or calibration.hash != part.calibration_hash:
        return {}, "the model is not calibrated, or by another background than it was"
    source = "the background that the model was calibrated with"
    found = {}
    for name in names:
        if name in (PVALUE, COMBINED):
            above = np.exp(-np.maximum(SCORE_EDGES, 0.0))
        elif name in calibration.tables:
            above = calibration.pvalues(name, SCORE_EDGES).values
        else:
            continue
        found[name] = ReferenceScores(source, SCORE_EDGES, _between(above))
    return found, "" if INTEREST in found else "the model's calibration has no such score"


def _between(above: Values) -> Values:
    """The share of each bin, from what lies at or above its edges; all of the rest in the outer two."""
    ends = above.copy()
    ends[0], ends[-1] = 1.0, 0.0
    return ends[:-1] - ends[1:]
