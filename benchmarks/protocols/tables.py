"""Markdown tables and JSON files of results."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hepfilter.evaluation.metrics import WorkingPoint


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [f"\n**{title}**\n", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    print("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]), flush=True)


def cell(point: WorkingPoint | None) -> str:
    """Signal efficiency with its 68 % interval, and the significance improvement; – where background is too scarce."""
    if point is None:
        return "–"
    signal = point.signal
    return f"{signal.value:.3f} [{signal.lower:.3f}, {signal.upper:.3f}], SIC {point.sic.value:.1f}"


def number(value: float, digits: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def write_json(path: Path | None, data: Any) -> None:
    if path is not None:
        path.write_text(json.dumps(plain(data), indent=2) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """As JSON data; what is not known is null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
