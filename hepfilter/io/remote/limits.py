"""How long a remote file may keep us waiting."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from hepfilter.errors import UsageError

_PREFIX = "HEPFILTER_REMOTE_"


@dataclass(frozen=True)
class RemoteLimits:
    """Seconds that a remote file may take to be opened (`open`) and to send something (`read`), and what then happens.

    Every address of a file is tried up to `attempts` times. The first pause in between is of about `pause` seconds,
    each later one twice as long, up to half a minute.

    The environment has the same for all processes of a run: ``HEPFILTER_REMOTE_OPEN``, ``…_READ``, ``…_ATTEMPTS`` and
    ``…_PAUSE``.
    """

    open: float = 30.0
    read: float = 60.0
    attempts: int = 4
    pause: float = 2.0

    def __post_init__(self) -> None:
        for name, value in self._values().items():
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{_PREFIX}{name.upper()} {value}: give a number above 0")

    @classmethod
    def from_environment(cls) -> "RemoteLimits":
        """What the environment says, and the defaults for the rest; UsageError if that is no number above 0."""
        found = {}
        for field in fields(cls):
            variable = f"{_PREFIX}{field.name.upper()}"
            text = os.environ.get(variable, "").strip()
            if text:
                try:
                    found[field.name] = int(text) if field.name == "attempts" else float(text)
                except ValueError as error:
                    kind = "a whole number" if field.name == "attempts" else "a number"
                    raise UsageError(f"{variable} {text!r}: give {kind} above 0") from error
        return cls(**found)  # type: ignore[arg-type]

    def to_environment(self) -> Mapping[str, str]:
        """The variables that tell another process the same."""
        return {f"{_PREFIX}{name.upper()}": str(value) for name, value in self._values().items()}

    def _values(self) -> dict[str, float]:
        return {field.name: getattr(self, field.name) for field in fields(self)}
