"""What a skim did: containers only; the command line prints them, and a script reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hepfilter.shown import Shown
from hepfilter.skim.findings import BadInput
from hepfilter.skim.summary import RunSummary
from hepfilter.trigger.rates import RateTable
from hepfilter.trigger.thresholds import Resolution


@dataclass(frozen=True)
class CutflowStep:
    """Events, and their sum of weights, that are left after a cut; the sum is None where an input has no weights."""

    name: str
    events: int
    weight: float | None


@dataclass(frozen=True)
class FileCount:
    """One input: who it is, its `entries`, and what is left of its events after each cut.

    The first step is what was read: all, but for what is quarantined.
    """

    path: str
    dataset: str | None
    schema: str
    tree: str
    uuid: str
    size: int
    checksum: str
    entries: int
    cutflow: tuple[CutflowStep, ...]
    absent: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        """Events read."""
        return self.cutflow[0].events

    @property
    def passed(self) -> int:
        """Events that passed all cuts."""
        return self.cutflow[-1].events


@dataclass(frozen=True)
class OutputCount:
    """One output, its events, and how many of them come from each input, in the order of the inputs."""

    path: str
    events: int
    from_inputs: tuple[int, ...]


@dataclass(frozen=True)
class SkimReport(Shown):
    """The books of a skim.

    `threshold` is None where no score decided or nothing passed; `device_class` is what scores depend on beside the
    model hash; `scores` are what the model says of every event, by name; `extrapolated_below` has for each p-value
    among them the number below which it is an extrapolation; `problems` counts objects treated by rule; `bytes_read`
    are all that were read of the inputs, `payload_bytes` what their events hold as they are compressed; `catalogue` has
    kind, cross-section (pb) and luminosity (1/fb) of each dataset. Of the menu of that name, `rates` are what its paths
    took here, and `predicted` what they will take, where the thresholds were tuned on these events; `unblinded` says
    that both show what the menu blinds. `bad` is what could not be read and was quarantined: its events are missing
    everywhere. `resumed` are the events that an earlier run had read. `stages` are the seconds that selecting, deciding
    and writing took; `summary` is what the output keeps for a report.
    """

    files: tuple[FileCount, ...]
    outputs: tuple[OutputCount, ...] = ()
    threshold: float | None = None
    ties_dropped: int = 0
    model: str = ""
    model_hash: str = ""
    device_class: str = ""
    scores: tuple[str, ...] = ()
    calibration_hash: str | None = None
    extrapolated_below: Mapping[str, float] = field(default_factory=dict)
    bytes_read: int = 0
    payload_bytes: int = 0
    seconds: float = 0.0
    problems: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    catalogue: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    menu: str = ""
    rates: RateTable | None = None
    predicted: Resolution | None = None
    unblinded: bool = False
    bad: tuple[BadInput, ...] = ()
    resumed: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)
    summary: RunSummary | None = None

    @property
    def read(self) -> int:
        """Events read."""
        return sum(count.read for count in self.files)

    @property
    def quarantined(self) -> int:
        """Events that could not be read, those of inputs aside that could not be opened: how many is not known."""
        return sum(bad.stop - bad.start for bad in self.bad if bad.start is not None and bad.stop is not None)

    @property
    def passed(self) -> int:
        """Events that passed all cuts."""
        return sum(count.passed for count in self.files)

    @property
    def written(self) -> int:
        """Events written."""
        return sum(output.events for output in self.outputs)

    def cutflow(self, dataset: str | None = None) -> list[CutflowStep]:
        """The cutflow of all inputs, or of those of one dataset."""
        return add_cutflows([file.cutflow for file in self.files if dataset is None or file.dataset == dataset])

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets of the inputs, each once, in order; nothing where no catalogue was given."""
        return tuple(dict.fromkeys(file.dataset for file in self.files if file.dataset is not None))


def add_cutflows(flows: Sequence[Sequence[CutflowStep]]) -> list[CutflowStep]:
    """The sum of cutflows, step by step by name; a sum of weights is None if it is so in one of them."""
    names = dict.fromkeys(step.name for flow in flows for step in flow)
    steps = []
    for name in names:
        found = [step for flow in flows for step in flow if step.name == name]
        weights = [step.weight for step in found if step.weight is not None]
        whole = len(weights) == len(found)
        steps.append(CutflowStep(name, sum(step.events for step in found), sum(weights) if whole else None))
    return steps
