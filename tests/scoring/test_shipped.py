"""What a model that ships says of events of our own simulation."""

from pathlib import Path

import numpy as np
import pytest

import hepfilter
from hepfilter.io.sources import Source
from hepfilter.scoring.score import collect_scores
from hepfilter.scoring.scorer import Scorer


def test_contrast_is_made_for_the_interest_that_the_model_has(tmp_path: Path) -> None:
    """QCD, which most background is, stands out among background as hard about as often as chance has it."""
    hepfilter.simulate("qcd@200", tmp_path / "qcd.root", events=200, seed=5)
    scores = collect_scores([Source(str(tmp_path / "qcd.root"))], Scorer("interest-objects", device="cpu"))
    for share in (0.5, 0.2, 0.1):
        assert np.mean(scores["contrast"] >= -np.log(share)) == pytest.approx(share, rel=0.4)
    assert np.mean(scores["interest"] > 3) < 0.02
