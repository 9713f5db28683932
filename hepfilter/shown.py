"""Results that a notebook shows as the command line prints them, without knowing how."""

from typing import Any


class Shown:
    """A result container whose tables `hepfilter.api.showing` makes: HTML in notebooks, text in IPython."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from hepfilter import as_html

        return as_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from hepfilter import as_text

        return {"text/html": self._repr_html_(), "text/plain": as_text(self)}
