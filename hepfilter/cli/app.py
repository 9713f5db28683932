"""The `hepfilter` command: registers the commands and turns our errors into one line and an exit code."""

import sys

import typer

from hepfilter import __version__
from hepfilter.cli.inspect import inspect
from hepfilter.cli.simulate import simulate
from hepfilter.cli.skim import skim
from hepfilter.cli.train import train
from hepfilter.errors import HepfilterError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for command in (inspect, simulate, train, skim):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hepfilter {__version__}")
        raise typer.Exit


@app.callback()
def hepfilter(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """The offline trigger: read ROOT files, score every event, write the interesting ones back bit for bit."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 our error, 2 usage, 130 interrupted)."""
    try:
        app(arguments, standalone_mode=True)
    except HepfilterError as error:
        print(f"hepfilter: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("hepfilter: interrupted; nothing was written", file=sys.stderr)
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0
