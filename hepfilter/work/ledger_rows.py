"""What stands in a ledger, as plain data."""

from dataclasses import dataclass

Range = tuple[int, int]


@dataclass(frozen=True)
class UnitBooks:
    """What the entries [start, stop) gave: how many of them passed, and the sum of weights of all, None without."""

    start: int
    stop: int
    passed: int
    weight: float | None


@dataclass(frozen=True)
class BadUnit:
    """What could not be read: the entries [start, stop) of a file by its number, or the `whole` file.

    Of a file that did not open the entries are not known, and None.
    """

    file: int
    start: int | None
    stop: int | None
    attempts: int
    reason: str
    whole: bool


@dataclass(frozen=True)
class Totals:
    """Entries of all units: planned, read, bad; and the sum of weights of those that were read, and of their sizes."""

    planned: int
    read: int
    bad: int
    weight: float
    size: float
