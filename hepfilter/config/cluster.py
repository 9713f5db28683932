"""A batch system and the workers to ask of it."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*$")]
Word = Annotated[str, Field(min_length=1, pattern=r"^\S+$")]

_MEMORY: Final = re.compile(r"\d+(\.\d+)? ?[MGT]i?B")
_WALLTIME: Final = re.compile(r"(?:(\d+)-)?(\d{1,3}):([0-5]\d):([0-5]\d)")


class Cluster(StrictModel):
    """`workers` batch jobs, each a worker that does one task at a time, with so many `cores`, `memory` and `gpus`.

    `walltime` is in seconds, in YAML ``08:00:00`` or ``1-12:00:00``; what was under way when it ends is done again, and
    another job asked for. `queue` is SLURM's partition, and `disk` HTCondor's. `directives` are further lines of the
    submit file (``--account=cms``; for HTCondor ``name = value``), `prologue` shell commands before the worker starts.
    `interface` is the network that scheduler and workers share (``ib0``), `python` how workers start Python, and `logs`
    the folder of what they print.
    """

    kind: Literal["slurm", "htcondor"]
    workers: int = Field(ge=1, le=100_000)
    cores: int = Field(default=1, ge=1)
    memory: str
    walltime: int = Field(ge=60)
    gpus: int = Field(default=0, ge=0)
    queue: Word | None = None
    disk: str | None = None
    directives: tuple[Line, ...] = ()
    prologue: tuple[Line, ...] = ()
    interface: Word | None = None
    python: Line | None = None
    logs: Path | None = None

    @field_validator("walltime", mode="before")
    @classmethod
    def _seconds(cls, walltime: Any) -> Any:
        """Text as seconds; YAML itself reads 12:00:00 as a number of them."""
        if not isinstance(walltime, str):
            return walltime
        if not (found := _WALLTIME.fullmatch(walltime)):
            raise ValueError(f"{walltime!r} is no time; write 08:00:00 or 1-12:00:00")
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    @field_validator("memory", "disk")
    @classmethod
    def _is_size(cls, size: str | None) -> str | None:
        if size is not None and not _MEMORY.fullmatch(size):
            raise ValueError(f"{size!r} is no size; write 4 GB")
        return size

    @model_validator(mode="after")
    def _kind_has_it(self) -> Self:
        if self.kind == "slurm" and self.disk is not None:
            raise ValueError("disk is HTCondor's; SLURM has no such limit, leave it out")
        if self.kind == "htcondor" and self.queue is not None:
            raise ValueError("queue is SLURM's; HTCondor has none, leave it out")
        for line in self.directives if self.kind == "htcondor" else ():
            if not re.fullmatch(r"[+\w.]+ *= *\S.*", line):
                raise ValueError(f"directive {line!r}: HTCondor's are of the form name = value")
        return self


def load_cluster(name: str | Path) -> Cluster:
    """From a YAML file, or by the name of one that ships. ConfigError tells what is wrong, and what would work."""
    return load_yaml(find_config("clusters", name), Cluster)
