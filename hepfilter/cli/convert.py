"""The command ``hepfilter convert``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hepfilter.wording import counted


def convert(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="ROOT files with particle-flow candidates, or one HDF5 file.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="What to write: .root or .h5.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Convert between ROOT and the HDF5 layout of the LHC Olympics (700 candidates' pt, eta, phi, and a label).

    From HDF5, jets are clustered anew and written in NanoAOD's layout.

    Example: hepfilter convert lhco.root -o lhco.h5
    """
    from hepfilter.cli.terminal import event_progress
    from hepfilter.errors import UsageError
    from hepfilter.io.lhco import is_hdf5
    from hepfilter.io.publishing import refuse_output
    from hepfilter.io.sources import expand_sources
    from hepfilter.simulation.conversion import lhco_to_root, root_to_lhco

    sources = [Path(name) for name in files]
    refuse_output(output, force=force)
    if is_hdf5(output) == any(map(is_hdf5, sources)):
        raise UsageError("convert goes from ROOT to HDF5 (-o F.h5) or from HDF5 to ROOT (-o F.root)")
    with event_progress() as progress:
        if is_hdf5(output):
            events = root_to_lhco(expand_sources(files), output, progress=progress)
        elif len(sources) == 1:
            events = lhco_to_root(sources[0], output, progress=progress)
        else:
            raise UsageError("one HDF5 file at a time")
    if as_json:
        typer.echo(json.dumps({"output": str(output), "events": events}, indent=2))
    else:
        typer.echo(f"{output}: {counted(events, 'event')}")
