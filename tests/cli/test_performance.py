"""Results as plain data and as cells of a table."""

import math
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console

from hepfilter.cli.performance import make_table, print_table, with_interval
from hepfilter.cli.terminal import plain_data
from hepfilter.statistics.intervals import Efficiency


@dataclass(frozen=True)
class Result:
    path: Path
    by_target: dict[float, tuple[float, float]]
    counts: tuple[int, ...]


def test_what_json_cannot_say_is_null() -> None:
    found = plain_data(Result(Path("/some/where/m.safetensors"), {0.01: (math.nan, -math.inf)}, (3, 1)))
    assert found == {"path": "m.safetensors", "by_target": {"0.01": [None, None]}, "counts": [3, 1]}


def test_a_share_with_half_its_interval() -> None:
    assert with_interval(Efficiency(0.5, 0.4, 0.7, 12.0)) == "0.500 ±0.150"
    assert with_interval(Efficiency(math.nan, 0.0, 1.0, 0.0)) == "–"


def test_a_table_wider_than_the_terminal_comes_in_parts_without_loss() -> None:
    columns = ["family", "AUC", *(f"at {number}" for number in range(12))]
    table = make_table("title", columns, [["diphoton_resonance", "0.933", *(f"0.{n:03} ±0.016" for n in range(12))]])
    for width, titles in ((80, 4), (120, 2), (300, 1)):
        console = Console(width=width, file=StringIO())
        print_table(console, table)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert all(f"0.{n:03} ±0.016" in text for n in range(12))
        assert text.count("diphoton_resonance") == text.count("family") == titles
        assert text.count("title") == 1
