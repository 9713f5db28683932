"""Help in plain text whose options stand in panels: typer has panels only in the boxes that rich draws."""

from collections.abc import Callable
from typing import Any, Final

import typer
from typer.core import TyperCommand

from hepfilter.cli.verbosity import with_verbosity

WIDEST: Final = {"max_content_width": 120}
"""The settings that let help be so wide, where the terminal is."""
_WIDEST_NAME = 30


def add_command(app: typer.Typer, command: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command of `app`, with what all commands share."""
    app.command(cls=PanelledCommand, context_settings=WIDEST)(with_verbosity(command))
    return command


class PanelledCommand(TyperCommand):
    """A command whose help shows arguments, then options by their `rich_help_panel`, in the order of the signature."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """What stands in the list of commands: the first sentence, whole, however wide the terminal is."""
        first = (self.help or "").partition("\n\n")[0]
        return " ".join(first.split())

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``FILE…`` and ``[CARD…]``, as manual pages write arguments."""
        pieces = [piece.removesuffix("...") for piece in super().collect_usage_pieces(ctx)]
        return [piece.strip("{}") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, with all explanations below one another."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(record)
        widest = max((len(names) for records in panels.values() for names, _ in records), default=0)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl([(names.ljust(min(widest, _WIDEST_NAME)), text) for names, text in records])
