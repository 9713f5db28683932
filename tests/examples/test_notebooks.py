"""The example notebooks run, and what is stored of them can be looked at."""

import ast
import base64
import re
import struct
from pathlib import Path

import nbformat
import pytest

from tests.examples.notebooks import NOTEBOOKS, execute

EXACT = ("6-custom-schema",)
"""Those whose numbers are the same everywhere: what networks learn differs a little between processors."""
LARGEST = 400_000

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(book: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in book.cells for output in cell.get("outputs", ())]


def pictures(book: nbformat.NotebookNode) -> list[bytes]:
    found = [output.data["image/png"] for output in outputs(book) if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def tables(book: nbformat.NotebookNode) -> list[str]:
    """The texts of all cells of tables, but for those of a report on rates and the like: who printed what."""
    found = [output.data["text/html"] for output in outputs(book) if "text/html" in output.get("data", {})]
    return [re.sub(r"<style>.*?</style>", "", html) for html in found if 'class="hepfilter"' in html]


def shapes(book: nbformat.NotebookNode) -> list[tuple[int, list[str]]]:
    """(number of pictures, kinds of outputs) of each cell."""
    cells = [cell.get("outputs", []) for cell in book.cells]
    return [
        (sum("image/png" in output.get("data", {}) for output in made), [output.output_type for output in made])
        for made in cells
    ]


def test_there_are_six():
    assert [path.stem[:1] for path in NOTEBOOKS] == list("123456")


@every_notebook
def test_a_notebook_runs_and_gives_what_is_stored(path):
    stored, made = nbformat.read(path, as_version=4), execute(path)
    assert shapes(made) == shapes(stored)
    if path.stem in EXACT:
        assert tables(made) == tables(stored)


@every_notebook
def test_what_is_stored_is_whole(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count == number for number, cell in enumerate(code, start=1))
    assert not [output for output in outputs(book) if output.output_type == "error"]
    shown = pictures(book)
    assert shown and tables(book)
    assert all(picture.startswith(b"\x89PNG") and struct.unpack(">I", picture[16:20])[0] >= 300 for picture in shown)
    assert path.stat().st_size < LARGEST


@every_notebook
def test_what_is_stored_tells_nothing_of_where_it_was_made(path):
    text = path.read_text(encoding="utf-8")
    for pattern in (
        r"/(?:tmp|home|root|work|Users)/",
        r"\d{4}-\d\d-\d\dT\d\d:",
        r"\b\d+\.\d+ s\b",
        "@[a-z]+:~",
        "iopub",
    ):
        assert not re.search(pattern, text), pattern
    book = nbformat.read(path, as_version=4)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert not any(cell.metadata for cell in book.cells)


@every_notebook
def test_a_notebook_checks_itself(path):
    book = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))
    links = [link for cell in book.cells for link in re.findall(r"\]\(([^)]+)\)", cell.source)]
    assert all((path.parent / Path(link)).exists() for link in links if cell_is_local(link))


def cell_is_local(link: str) -> bool:
    return "://" not in link
