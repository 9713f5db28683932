"""Options that several commands have alike."""

from typing import Annotated

import typer

from hepfilter.cli.completion import DEVICES, SCHEMAS

Schema = Annotated[
    str | None,
    typer.Option(
        autocompletion=SCHEMAS, help="A schema that ships, or a YAML file; found from the branches if not given."
    ),
]
Device = Annotated[str, typer.Option(autocompletion=DEVICES, help="Where the model runs: auto, cpu or cuda.")]
