"""Events for a trigger, without files."""

from typing import Any

import numpy as np

from hepfilter.trigger.events import TriggerEvents


def trigger_events(count: int, *, seed: int = 0, **columns: Any) -> TriggerEvents:
    """Events of consecutive numbers in lumi sections of 1000, scores on the scorer's grid; `columns` replace some."""
    rng = np.random.default_rng(seed)
    interest = np.round(rng.normal(0.0, 2.0, count) * 1024) / 1024
    given: dict[str, Any] = {
        "run": np.full(count, 190_456, np.uint32),
        "luminosity_block": (np.arange(count) // 1000).astype(np.uint32),
        "event": np.arange(count, dtype=np.uint64),
        "weights": np.ones(count),
        "hertz": None,
        "scores": {"interest": interest.astype(np.float32)},
        "when": {},
        "blind": np.zeros(count, bool),
    }
    return TriggerEvents(**(given | columns))
