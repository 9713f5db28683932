"""The options ``--quiet`` and ``--verbose``: before the command, and after it."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from hepfilter.cli.notices import QUIET, VERBOSE, speak


def _quiet(wanted: bool) -> None:
    if wanted:
        speak(QUIET)


def _verbose(wanted: bool) -> None:
    if wanted:
        speak(VERBOSE)


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_quiet, help="Nothing on stderr but errors; results stay on stdout."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_verbose, help="Tell on stderr what is done, and where time goes."),
]


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """The command with both options, behind its own."""

    @wraps(command)
    def taking_both(*args: Any, **kwargs: Any) -> None:
        command(*args, **{name: value for name, value in kwargs.items() if name not in added})

    kind = inspect.Parameter.KEYWORD_ONLY
    added = {
        name: inspect.Parameter(name, kind, default=False, annotation=option)
        for name, option in (("quiet", Quiet), ("verbose", Verbose))
    }
    signature = inspect.signature(command)
    parameters = [*signature.parameters.values(), *added.values()]
    taking_both.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    taking_both.__annotations__ = {**command.__annotations__, **{name: one.annotation for name, one in added.items()}}
    return taking_both
