"""The one tree of errors: each tells in one line what was wrong, where, and what would work."""

import difflib
from collections.abc import Iterable


class HepfilterError(Exception):
    """Anything that hepfilter itself raises; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 1


class UsageError(HepfilterError):
    """Options that contradict each other or lie outside their range."""

    exit_code = 2


class ConfigError(HepfilterError):
    """A YAML file that cannot be read or does not fit its model."""


class SourceError(HepfilterError):
    """An input that is missing, is no ROOT file, is cut short, or holds no such tree."""


class SchemaError(HepfilterError):
    """No schema fits the branches of a tree, or a branch that the schema needs is missing."""


class OutputError(HepfilterError):
    """An output that cannot be written, or a source branch that cannot be copied faithfully."""


class VerificationError(HepfilterError):
    """An output that was read, and is not what it should be."""

    exit_code = 4


class TriggerError(HepfilterError):
    """A menu whose input drifted, or whose decisions changed, beyond what is allowed."""

    exit_code = 4


class CheckpointError(HepfilterError):
    """A model file that is corrupt, newer than this version, or lacks what is asked of it."""


class SimulationError(HepfilterError):
    """An unknown process, or a generator that does not initialise."""


class WorkerError(HepfilterError):
    """A worker process that ended by itself, or was ended."""


class TrainingError(HepfilterError):
    """Training data without the classes that the configuration names, or too few events."""


def nearest(name: str, candidates: Iterable[str], *, count: int = 3) -> str:
    """The candidates most like `name` for the end of a message: ``"; nearest: a, b"``, or nothing if none is near."""
    close = difflib.get_close_matches(name, list(candidates), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""
