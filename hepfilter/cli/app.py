"""The `hepfilter` command: registers the commands and turns our errors into one line and an exit code."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

import typer

from hepfilter import __version__
from hepfilter.cli.bench import bench
from hepfilter.cli.calibrate import calibrate
from hepfilter.cli.convert import convert
from hepfilter.cli.display import display
from hepfilter.cli.evaluate import evaluate
from hepfilter.cli.hunt import hunt
from hepfilter.cli.inspect import inspect
from hepfilter.cli.merge import merge
from hepfilter.cli.notices import lines_on_stderr, print_error
from hepfilter.cli.panels import WIDEST, add_command
from hepfilter.cli.pipes import guarded_stdout
from hepfilter.cli.rates import app as rates
from hepfilter.cli.report import report
from hepfilter.cli.score import score
from hepfilter.cli.simulate import simulate
from hepfilter.cli.skim import skim
from hepfilter.cli.train import train
from hepfilter.cli.verbosity import Quiet, Verbose
from hepfilter.cli.verify import verify
from hepfilter.errors import HepfilterError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for command in (
    inspect, simulate, convert, train, calibrate, evaluate, hunt, score, skim, verify, merge, display, report, bench,
):  # fmt: skip
    add_command(app, command)
app.add_typer(rates, name="rates")

_EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 3 done, but inputs were quarantined; 4 a check "
    "failed; 128 and more: ended by that signal, as 130 by Ctrl-C."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hepfilter {__version__}")
        raise typer.Exit


@app.callback(context_settings=WIDEST, epilog=_EXIT_CODES)
def hepfilter(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The offline trigger: read ROOT files, score every event, write the interesting ones back bit for bit."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 our error, 2 usage, 4 a check failed, 128 + a signal."""
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with lines_on_stderr(), guarded_stdout() as write_out:
            code, printed = _exit_code(lambda: app(arguments)), _exit_code(write_out)
            return code or printed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_code(action: Callable[[], object]) -> int:
    """The exit code that an action ends with; an error of ours is told in one line."""
    try:
        action()
    except HepfilterError as error:
        for line in (str(error), *getattr(error, "__notes__", ())):
            print_error(line)
        return error.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Leave through every `with` block, so that nothing half written stays behind."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)  # cleaning up is not to be interrupted
    print(f"\nhepfilter: ended by {signal.Signals(number).name}; nothing half-written is left", file=sys.stderr)
    raise SystemExit(128 + number)
