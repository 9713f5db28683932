"""hepfilter: the offline trigger for collider data.

>>> import hepfilter
>>> hepfilter.skim("data.root", "interesting.root", keep="1%")

Names are loaded when they are first used, so that ``import hepfilter`` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepfilter.api.filtering import Filter as Filter
    from hepfilter.api.hunting import hunt as hunt
    from hepfilter.api.menus import lock as lock
    from hepfilter.api.menus import rates as rates
    from hepfilter.api.opening import open as open
    from hepfilter.api.showing import as_html as as_html
    from hepfilter.api.showing import as_text as as_text
    from hepfilter.api.verbs import calibrate as calibrate
    from hepfilter.api.verbs import evaluate as evaluate
    from hepfilter.api.verbs import merge as merge
    from hepfilter.api.verbs import score as score
    from hepfilter.api.verbs import simulate as simulate
    from hepfilter.api.verbs import skim as skim
    from hepfilter.api.verbs import train as train
    from hepfilter.api.verbs import verify as verify
    from hepfilter.scoring.score import score_files as score_files

__version__ = "0.1.0"

_PLACES = {
    "Filter": "api.filtering",
    "as_html": "api.showing",
    "as_text": "api.showing",
    "calibrate": "api.verbs",
    "evaluate": "api.verbs",
    "hunt": "api.hunting",
    "lock": "api.menus",
    "merge": "api.verbs",
    "open": "api.opening",
    "rates": "api.menus",
    "score": "api.verbs",
    "score_files": "scoring.score",
    "simulate": "api.verbs",
    "skim": "api.verbs",
    "train": "api.verbs",
    "verify": "api.verbs",
}

__all__ = [
    "Filter",
    "__version__",
    "as_html",
    "as_text",
    "calibrate",
    "evaluate",
    "hunt",
    "lock",
    "merge",
    "open",
    "rates",
    "score",
    "score_files",
    "simulate",
    "skim",
    "train",
    "verify",
]


def public(name: str) -> Any:
    """The public function or class of this name; KeyError if there is none."""
    return getattr(import_module(f"hepfilter.{_PLACES[name]}"), name)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hepfilter' has no attribute {name!r}")
    return public(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
