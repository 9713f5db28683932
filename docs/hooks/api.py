"""Writes the reference of the public names of the package, in the order in which it lists them."""

from collections.abc import Iterator
from typing import Any

import hepfilter

MARKER = "<!-- public names -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a directive of mkdocstrings for each public name in the place of the marker."""
    return markdown.replace(MARKER, "\n".join(reference())) if MARKER in markdown else markdown


def reference() -> Iterator[str]:
    """Where each public class and function is defined; `public`, as submodules of the same names hide attributes."""
    for name in hepfilter.__all__:
        if not name.startswith("_"):
            found = hepfilter.public(name)
            place = f"{found.__module__}.{found.__qualname__}"
            yield from (f"::: {place}", "    options:", f"      heading: hepfilter.{name}", "")
