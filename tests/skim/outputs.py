"""What an output holds, to compare outputs that may differ in names and times alone."""

from pathlib import Path

from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source


def contents(path: Path) -> dict[str, bytes]:
    """The bytes of all values of each branch of each tree of plain numbers, with the offsets of its lists."""
    found = {}
    with open_file(Source(str(path))) as file:
        for table in map(file.table, file.table_names):
            for name, column in table.values(table.branch_names).items():
                offsets = b"" if column.offsets is None else column.offsets.tobytes()
                found[f"{table.name}/{name}"] = column.values.tobytes() + offsets
    return found
