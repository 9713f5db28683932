"""What a verification found: containers only; the command line prints them, and a script reads them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hepfilter.shown import Shown

Status = Literal["passed", "failed", "not proven"]
_MOST = 10


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `what` says how much, `findings` (a line each) why it is not simply passed."""

    name: str
    status: Status
    what: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputProof:
    """All checks of one output."""

    path: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")


@dataclass(frozen=True)
class VerificationReport(Shown):
    """The checks of all outputs."""

    outputs: tuple[OutputProof, ...]
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[str, ...]:
        """Output and name of each check that failed."""
        return tuple(f"{proof.path}: {check.name}" for proof in self.outputs for check in proof.failed)

    @property
    def passed(self) -> bool:
        """Whether no check failed; some may be not proven."""
        return not self.failed


def conclude(name: str, what: str, faults: Sequence[str], doubts: Sequence[str] = ()) -> Check:
    """Failed with any fault, else not proven with any doubt; of each the first few are told, and how many more."""
    status: Status = "failed" if faults else "not proven" if doubts else "passed"
    return Check(name, status, what, (*_first(faults), *_first([f"not proven: {doubt}" for doubt in doubts])))


def each(numbers: npt.NDArray[np.int64], tell: Callable[[int], str]) -> list[str]:
    """What `tell` says of the first few numbers, and how many more there are."""
    lines = [tell(int(number)) for number in numbers[:_MOST]]
    return lines + ([f"and {len(numbers) - _MOST:,} such more"] if len(numbers) > _MOST else [])


def _first(lines: Sequence[str]) -> list[str]:
    unique = list(dict.fromkeys(lines))
    return unique[:_MOST] + ([f"and {len(unique) - _MOST} more"] if len(unique) > _MOST else [])
