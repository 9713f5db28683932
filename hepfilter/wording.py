"""Words for messages and reports."""

_PLURALS = {"branch": "branches", "entry": "entries", "family": "families"}
MEASURE_NAMES = {"physical": "physical mix", "matched": "hardness-matched"}
"""How `evaluation.families` weights background."""


def counted(count: int, noun: str) -> str:
    """``1 event``, ``0 events``, ``1,200 entries``."""
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, noun + 's')}"


def lasting(seconds: float) -> str:
    """``< 0.1 s``, ``0.4 s``, ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def sized(count: float) -> str:
    """Bytes in words, in powers of 1000 as ``--split-size`` takes them: ``512 bytes``, ``3.4 MB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.9995 * size:
            return f"{count / size:.3g} {unit}"
    return counted(round(count), "byte")


def calibrated_with(path: str, *, checked: bool) -> str:
    """That a model was calibrated with the file it is evaluated on, and how p-values were `checked` nevertheless."""
    halves = "by halves, tables of one on events of the other"
    how = f"its p-values are checked {halves}" if checked else f"there is too little background to check it {halves}"
    return f"{path}: the model was calibrated with it; {how}"
