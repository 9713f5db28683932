"""Whether the input of a frozen menu is still like the sample that it was frozen on, window by window."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepfilter.errors import TriggerError
from hepfilter.skim.findings import SurveyedFile
from hepfilter.trigger.drift import ProblemCounts, WindowTest, check_window
from hepfilter.trigger.lock import Trigger


@dataclass(frozen=True)
class Window:
    """The events `start` … `stop` − 1 of those that passed the cuts, in the order of the inputs, and their test."""

    start: int
    stop: int
    test: WindowTest

    @property
    def note(self) -> str:
        """What drifted, in a line; empty if nothing did."""
        if not self.test.alarms:
            return ""
        found = ", ".join(f"{name} (p = {self.test.pvalues[name]:.2g})" for name in self.test.alarms)
        return f"events {self.start:,} to {self.stop - 1:,} drifted from the lock's reference: {found}"


def check_drift(files: Sequence[SurveyedFile], trigger: Trigger) -> tuple[Window, ...]:
    """The windows of all files together, none without a lock's reference.

    A window is made of chunks as they were read, as many as hold the menu's number of events; what is left at the end
    joins the last. TriggerError for the first that alarms, if the menu is to stop then.
    """
    reference = None if trigger.frozen is None else trigger.frozen.reference
    if reference is None:
        return ()
    drift = trigger.menu.drift
    scores = {name: np.concatenate([file.scores[name] for file in files if file.scores]) for name in reference.scores}
    windows = []
    for start, problems in _windows(files, drift.window):
        stop = start + problems.events
        part: Mapping[str, npt.NDArray[np.float32]] = {name: values[start:stop] for name, values in scores.items()}
        window = Window(start, stop, check_window(reference, part, problems, false_alarm=drift.false_alarm))
        if window.note and drift.action == "stop":
            raise TriggerError(f"{window.note}; the menu {trigger.menu.name} stops then")
        windows.append(window)
    return tuple(windows)


def _windows(files: Sequence[SurveyedFile], size: int) -> Iterator[tuple[int, ProblemCounts]]:
    """The first event of each window, and what was treated by rule in it."""
    chunks = [chunk for file in files for chunk in file.problem_counts]
    left = sum(chunk.events for chunk in chunks)
    start = stop = 0
    problems: Counter[str] = Counter()
    for chunk in chunks:
        stop, left = stop + chunk.events, left - chunk.events
        problems.update(chunk.counts)
        if stop > start and (left == 0 or (stop - start >= size and left >= size)):
            yield start, ProblemCounts(stop - start, problems)
            start, problems = stop, Counter()
