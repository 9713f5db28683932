"""Writes the reference of the commands from the command line's own help.

`mkdocs-click` cannot: the click inside typer is typer's own.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from hepfilter.cli.app import app

MARKER = "<!-- commands -->"
VALUES = {"str": "TEXT", "path": "PATH", "int": "N", "int range": "N", "float": "NUMBER"}
"""What stands for a value in the place of its Python type."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a section for each command in the place of the marker."""
    return markdown.replace(MARKER, "\n".join(reference())) if MARKER in markdown else markdown


def reference() -> Iterator[str]:
    """The lines of all sections; those of a group's commands stand below the group's."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="hepfilter")
    for name, command in group.commands.items():
        yield from section(command, context.__class__(command, info_name=name, parent=context), level=2)


def section(command: Any, context: Any, *, level: int) -> Iterator[str]:
    """One command: what it does, how it is called, an example, its arguments and options by panel."""
    name = context.command_path.removeprefix("hepfilter ")
    text, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    yield from ("", f"{'#' * level} {name}", "", text.strip(), "")
    for subname, subcommand in getattr(command, "commands", {}).items():
        yield from section(subcommand, type(context)(subcommand, info_name=subname, parent=context), level=level + 1)
    if hasattr(command, "commands"):
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```", f"{context.command_path} {usage}", "```", "")
    yield from ("For example:", "", "```", example.strip(), "```", "")
    for title, parameters in panels(command, context).items():
        yield from (f"**{title}**", "")
        for names, explanation in parameters:
            yield from (f"`{names}`", f":   {explanation}", "")


def panels(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """The parameters by the panels of the help: names with their kind of value, and explanation."""
    found: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            title = getattr(parameter, "rich_help_panel", None) or usual
            found.setdefault(title, []).append((plain(record[0]), escaped(" ".join(record[1].split()))))
    return found


def plain(names: str) -> str:
    """The names of a parameter, and what its value is in words."""
    kind = re.search(r"<(?:list\[)?(.+?)\]?>$", names)
    if kind is None:
        return names
    before, many = names[: kind.start()].strip(), "list[" in kind[0]
    value = VALUES.get(kind[1], kind[1])
    return before if not before.startswith("-") else f"{before} {value}{' …' * many}"


def escaped(text: str) -> str:
    """Help as Markdown that shows every sign as it is."""
    for sign in "\\*_[]<>|":
        text = text.replace(sign, "\\" + sign)
    return text
