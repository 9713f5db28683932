"""Executing the example notebooks: `python -m tests.examples.notebooks [NAME…]` stores their outputs anew."""

import sys
import tempfile
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient

FOLDER: Final = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS: Final = sorted(FOLDER.glob("*.ipynb"))
_SECONDS: Final = 600


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with new outputs, run in an empty folder; an error in a cell is one here."""
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            book, timeout=_SECONDS, kernel_name="python3", resources=resources, record_timing=False
        ).execute()
    return cleaned(book)


def cleaned(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what bars leave behind (ours, and coffea's widgets), log lines, and what differs from run to run."""
    book.metadata = {"kernelspec": book.metadata.kernelspec, "language_info": {"name": "python"}}
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_noise(output)]
            for output in cell.outputs:
                if "data" in output:
                    output.metadata = {}
    return book


def _is_noise(output: nbformat.NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name == "stderr"
    if output.output_type != "display_data":
        return False
    return "application/vnd.jupyter.widget-view+json" in output.data or "" in (
        output.data.get("text/html"),
        output.data.get("text/plain"),
    )


if __name__ == "__main__":
    for one in [FOLDER / name for name in sys.argv[1:]] or NOTEBOOKS:
        nbformat.write(execute(one), one)
        print(one.name, f"{one.stat().st_size / 1000:.0f} kB")
