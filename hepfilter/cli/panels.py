"""Help in plain text whose options stand in panels: typer has panels only in the boxes that rich draws."""

from typing import Any

from typer.core import TyperCommand

_WIDEST = 30


class PanelledCommand(TyperCommand):
    """A command whose help shows arguments, then options by their `rich_help_panel`, in the order of the signature."""

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
                formatter.write_dl([(names.ljust(min(widest, _WIDEST)), text) for names, text in records])
