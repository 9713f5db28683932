"""A menu as a whole: its file, its expressions, and the scores that it asks of a model."""

from collections.abc import Collection, Iterator
from pathlib import Path

from hepfilter.config.menu import Menu, load_menu
from hepfilter.errors import ConfigError, UsageError, nearest
from hepfilter.events.expressions import parse_expression


def read_menu(name: str | Path) -> Menu:
    """A menu that ships, or one's own YAML file, with expressions that can be parsed; ConfigError if it is wrong."""
    menu = load_menu(name)
    check_expressions(menu, where=str(name))
    return menu


def check_expressions(menu: Menu, *, where: str) -> None:
    """ConfigError, begun by `where`, for the first expression that cannot be parsed; branches are not known here."""
    for key, text in _expressions(menu):
        try:
            parse_expression(text)
        except UsageError as error:
            raise ConfigError(f"{where}: key '{key}': {error}") from error


def check_scores(menu: Menu, names: Collection[str], *, model: str, where: str) -> None:
    """ConfigError if `model` lacks a score of the menu, or has one that is called like a bit.

    `names` are its scores; it need not be the model that the menu names.
    """
    for name in menu.scores:
        if name in names:
            continue
        if name in ("pvalue", "combined") and "pvalue" not in names:
            raise ConfigError(f"{where}: {model} has no p-values; calibrate it: hepfilter calibrate")
        close = nearest(name, names) or f"; known: {', '.join(names)}"
        raise ConfigError(f"{where}: {model} has no score {name!r}{close}")
    for bit in menu.bits:
        if bit in names:
            raise ConfigError(f"{where}: HepFilter_{bit} is a score of {model} too; give the path another name")


def _expressions(menu: Menu) -> Iterator[tuple[str, str]]:
    """Key and text of every expression of a menu."""
    for name, path in menu.paths.items():
        if path.when is not None:
            yield f"paths.{name}.when", path.when
    for position, text in enumerate(menu.blind):
        yield f"blind.{position}", text
