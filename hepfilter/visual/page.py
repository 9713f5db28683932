"""Pages that stand alone: one HTML file that asks nothing of a network, for screens wide and narrow, dark and on paper.

Sections are made of blocks: text, tables, charts, pictures. All text that is given as `str` is shown as it is, whatever
signs it has; only `Markup` is HTML, and that is for our own.

Charts are Vega-Lite (`altair`), drawn by the library that `vl_convert` carries. They take all colours from the page's
style sheet, so that they follow dark mode and print: the ten of `visual.style.COLOURS` come by themselves, and marks of
one colour may be given one of `INK`, `FAINT`, `SERIES`.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from hepfilter import __version__
from hepfilter.errors import visible

if TYPE_CHECKING:
    import altair

INK: Final = "var(--ink)"
"""The colour of text and of what stands out."""
FAINT: Final = "var(--faint)"
"""The colour of what lies behind, such as the events before a selection."""
SERIES: Final = tuple(f"var(--series-{number})" for number in range(1, 11))
"""The colours of lines and bars, as `visual.style.COLOURS` in light mode."""


@dataclass(frozen=True)
class Cell:
    """What stands in a table, and by what it is sorted, if that is not its text. `shade` in [0, 1] colours it."""

    text: str | Markup
    order: float | None = None
    shade: float | None = None


Value: TypeAlias = str | Markup | int | float | Cell | None
"""What a table's cell may be: integers get thousands' commas, floats four digits, None a dash."""


@dataclass(frozen=True)
class Table:
    """Rows of values, each as long as `columns`. Numbers stand right; a `sortable` one has buttons in its head."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    caption: str = ""
    sortable: bool = False
    kind: str = "table"

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns have numbers."""
        return tuple(any(_as_cell(row[n]).order is not None for row in self.rows) for n in range(len(self.columns)))


@dataclass(frozen=True)
class Facts:
    """Names and what they are, one a line."""

    rows: Sequence[tuple[str, Value]]
    kind: str = "facts"


@dataclass(frozen=True)
class Tile:
    """A number that one looks for first, what it is of, and a `note` below."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Some of them side by side."""

    tiles: Sequence[Tile]
    kind: str = "tiles"


@dataclass(frozen=True)
class Text:
    """A paragraph; a `warning` stands in a box of its own."""

    text: str | Markup
    warning: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart as wide as the page allows; leave its width out, and give `height` in pixels.

    Views put together by ``concat`` have widths. Where the page is too narrow for their columns they stand below one
    another, each as wide as the page but for what ``usermeta["fit"]`` says of it: the ``margin`` beside it in pixels,
    and the ``ratio`` of height to width, if that must stay.
    `description` tells in a sentence or two what is seen, for those who do not see it; `data` has the numbers.
    """

    chart: "altair.TopLevelMixin"
    title: str
    description: str
    data: Table | None = None
    kind: str = "chart"

    @property
    def specification(self) -> Markup:
        """Vega-Lite as JSON that may stand in a script."""
        plain = self.chart.to_dict(validate=False)  # which altair did when it was made, and takes long
        fitted = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
        return htmlsafe_json_dumps(_finite(plain if "concat" in plain else {**plain, **fitted}))


def _finite(plain: Any) -> Any:
    """The same JSON data with null for what is not finite, which JSON has no word for: a browser would draw nothing."""
    if isinstance(plain, dict):
        return {name: _finite(value) for name, value in plain.items()}
    if isinstance(plain, list):
        return [_finite(value) for value in plain]
    return None if isinstance(plain, float) and not isfinite(plain) else plain


@dataclass(frozen=True)
class Picture:
    """An SVG of our own making, such as of matplotlib, with its title and what is seen in it."""

    svg: str
    title: str
    description: str
    kind: str = "picture"

    @property
    def drawing(self) -> Markup:
        """The <svg> element without what stands before it in a file."""
        return Markup(self.svg[self.svg.index("<svg") :])


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when one asks for them."""

    title: str
    content: Sequence["Block"]
    kind: str = "folded"


Block: TypeAlias = Table | Facts | Tiles | Text | Chart | Picture | Folded | Markup
"""What a section is made of; `Markup` is HTML as it stands."""


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading; `anchor` is its address in the page, of letters and hyphens, once a page.

    `parts` are sections within it, of which none has parts again.
    """

    title: str
    anchor: str
    content: Sequence[Block] = ()
    parts: Sequence["Section"] = ()


@dataclass(frozen=True)
class Page:
    """A page: `title`, a line below it, and sections. `scripts` are files of `visual/assets` that its markup needs."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    scripts: Sequence[str] = ()


def render(page: Page) -> str:
    """The page as HTML, which is the same whenever it is made of the same."""
    scripts = [*([vega_bundle()] if _has_chart(page.sections) else []), *map(asset, ("page.js", *page.scripts))]
    template = _environment().get_template("page.html.jinja")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_source, scripts))}; style-src 'unsafe-inline'; img-src data:"
    )
    return template.render(
        page=page,
        policy=policy,
        style=Markup(asset("page.css")),
        scripts=[Markup(script) for script in scripts],
        version=__version__,
        as_cell=_as_cell,
    )


def fragment(template: str, **values: Any) -> Markup:
    """HTML of a template of `visual/assets`; its values are escaped as those of a page are."""
    return Markup(_environment().get_template(template).render(**values))


@lru_cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script; its names are its own, but for ``window.vegaEmbed``."""
    import vl_convert

    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"


@lru_cache
def asset(name: str) -> str:
    """The text of a file of `visual/assets`."""
    return files("hepfilter.visual").joinpath("assets", name).read_text(encoding="utf-8")


@lru_cache
def _environment() -> Environment:
    """Everything that is not Markup is escaped, and its control characters are spelled."""
    return Environment(
        loader=PackageLoader("hepfilter.visual", "assets"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    return visible(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(script: str) -> str:
    """What a content security policy calls this script: only those that we wrote run, whatever stands in a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _has_chart(sections: Sequence[Section]) -> bool:
    return any(_charted(section.content) or _has_chart(section.parts) for section in sections)


def _charted(content: Sequence[Block]) -> bool:
    return any(isinstance(one, Chart) or (isinstance(one, Folded) and _charted(one.content)) for one in content)


def _as_cell(value: Value) -> Cell:
    """Any value as a cell."""
    match value:
        case Cell():
            return value
        case None:
            return Cell("–")
        case int():
            return Cell(f"{value:,}", value)
        case float():
            return Cell(f"{value:.4g}", value)
        case _:
            return Cell(value)
