"""The one tree of errors: each tells in one line what was wrong, where, and what would work."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_LONGEST, _END = 2000, 500


class HepfilterError(Exception):
    """Anything that hepfilter itself raises; the command line prints it as one line and exits with `exit_code`.

    Its text is one line whatever stands in it: names and values of files that nobody has looked at go into messages.
    """

    exit_code = 1

    def __str__(self) -> str:
        """The message with its signs made visible; of one that is overlong, beginning and end."""
        text = super().__str__()
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - _END]} … {text[-_END:]}"
        return visible(text)


class UsageError(HepfilterError):
    """Options that contradict each other or lie outside their range."""

    exit_code = 2


class ConfigError(HepfilterError):
    """A YAML file that cannot be read or does not fit its model."""


class SourceError(HepfilterError):
    """An input that is missing, is no ROOT file, is cut short, or holds no such tree."""


class DifferentInputsError(SourceError):
    """Inputs that do not go together, as their trees differ or one is a copy of another."""


class UnreadableEventsError(SourceError):
    """Entries `first` to `last` of the input with number `source` that cannot be read, or that nothing can be made of.

    `whole` says that it is the input itself, or that it is no longer the file that it was.
    """

    def __init__(self, message: str, source: int, first: int, last: int, whole: bool = False) -> None:
        super().__init__(message)
        self.source, self.first, self.last, self.whole = source, first, last, whole

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.args[0], self.source, self.first, self.last, self.whole)

    @classmethod
    @contextmanager
    def locate(cls, source: int, first: int, last: int, *, whole: bool = False) -> Iterator[None]:
        """Make of a SourceError in the `with` block one that says which entries it is about, unless it does."""
        try:
            yield
        except cls:
            raise
        except SourceError as error:
            raise cls(str(error), source, first, last, whole) from error


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


def visible(text: str, *, keep: str = "") -> str:
    """A text that cannot steer a terminal: what does not print, unless it is one of `keep`, is spelled as ``\\x1b``."""
    signs = {sign for sign in set(text) if not sign.isprintable()} - set(keep)
    return text.translate({ord(sign): sign.encode("unicode_escape").decode("ascii") for sign in signs})


def nearest(name: str, candidates: Iterable[str], *, count: int = 3) -> str:
    """The candidates most like `name` for the end of a message: ``"; nearest: a, b"``, or nothing if none is near."""
    close = difflib.get_close_matches(name, list(candidates), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""
