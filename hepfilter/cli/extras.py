"""Saying at once that an extra is not installed, before work that would be lost."""

from importlib import import_module

from hepfilter.errors import UsageError


def require_plots() -> None:
    """UsageError where what draws plots is not installed."""
    _require("plots need", "hepfilter.visual.style")


def require_pages() -> None:
    """UsageError where what makes pages is not installed."""
    for module in ("hepfilter.visual.page", "hepfilter.visual.style", "altair", "vl_convert"):
        _require("reports need", module)


def _require(what: str, module: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what} {error.name}, which is not installed: pip install 'hepfilter[plot]'") from error
