"""What a skim did: containers only; the command line prints them, and a script reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileCount:
    """One input: events read and passed, and their sums of weights (None without weights)."""

    path: str
    schema: str
    read: int
    passed: int
    weight_read: float | None = None
    weight_passed: float | None = None
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class SkimReport:
    """The books of a skim.

    `threshold` is None where nothing passed; `device_class` is what scores depend on beside the model hash; `problems`
    counts objects treated by rule.
    """

    output: str
    files: tuple[FileCount, ...]
    threshold: float | None
    ties_dropped: int
    keep: str = ""
    model: str = ""
    model_hash: str = ""
    device_class: str = ""
    written: int = 0
    seconds: float = 0.0
    problems: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        """Events read, all of them scored."""
        return sum(count.read for count in self.files)

    @property
    def passed(self) -> int:
        """Events that passed the cut."""
        return sum(count.passed for count in self.files)

    def cutflow(self) -> list[tuple[str, int, float | None]]:
        """(step, events, sum of weights) of each step; the sum is None where the files carry no weight."""
        return [
            ("read and scored", self.read, _total([count.weight_read for count in self.files])),
            ("passed", self.passed, _total([count.weight_passed for count in self.files])),
            ("written", self.written, _total([count.weight_passed for count in self.files])),
        ]


def _total(sums: list[float | None]) -> float | None:
    known = [value for value in sums if value is not None]
    return sum(known) if known and len(known) == len(sums) else None
