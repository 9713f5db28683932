"""The arguments and options of `hepfilter skim`, by the panels of its help."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hepfilter.cli.completion import DEVICES, MENUS, MODELS, SCHEMAS, complete_shipped, complete_words

_selection = partial(typer.Option, rich_help_panel="Selection")
_branches = partial(typer.Option, rich_help_panel="Branches")
_output = partial(typer.Option, rich_help_panel="Output")
_model = partial(typer.Option, rich_help_panel="Model")
_running = partial(typer.Option, rich_help_panel="Running")

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE…",
        help="ROOT files: paths, globs, folders, @list.txt, file.root:tree, catalogue.yaml:DATASET, "
        "addresses (root://, https://, s3://), replicas a.root|b.root.",
    ),
]

Where = Annotated[str | None, _selection(help="A selection expression, as in ROOT: 'nMuon >= 2 && Muon_pt[0] > 20'.")]
Keep = Annotated[
    str | None, _selection(help="The share of highest score to keep of all that pass the rest: 1%, 0.01 or 1/100.")
]
Threshold = Annotated[float | None, _selection(help="The lowest score to keep, in log-odds.")]
Menu = Annotated[
    str | None,
    _selection(
        autocompletion=MENUS,
        help="A trigger menu decides: one that ships, a YAML file, or a lock of `hepfilter rates lock`.",
    ),
]
Unblind = Annotated[bool, _selection("--unblind", help="Show the rates of what the menu blinds; recorded.")]
LumiMask = Annotated[
    Path | None, _selection(help="A certification (golden) JSON; Runs and LuminosityBlocks follow it.")
]
Events = Annotated[Path | None, _selection(help="A list of events to keep, run:luminosityBlock:event a line.")]
Deduplicate = Annotated[bool, _selection("--deduplicate", help="Of events of one identity keep the first.")]
Schema = Annotated[
    str | None,
    _selection(
        autocompletion=SCHEMAS, help="A schema that ships, or a YAML file; found from the branches if not given."
    ),
]

KeepBranches = Annotated[list[str] | None, _branches(help="Keep only branches of this name; a glob; may be repeated.")]
DropBranches = Annotated[list[str] | None, _branches(help="Drop branches of this name; a glob; may be repeated.")]
Branches = Annotated[Path | None, _branches(help="A keep/drop file as nanoAOD-tools reads it.")]
Layout = Annotated[
    str,
    _branches(
        autocompletion=complete_words("strict", "union", "intersection"),
        help="Where inputs differ in branches: strict, union or intersection.",
    ),
]
Fill = Annotated[
    list[str] | None,
    _branches(help="NAME=VALUE for events of inputs without branch NAME (union); may be repeated."),
]

Output = Annotated[Path, _output("--output", "-o", help="The ROOT file to write.")]
Force = Annotated[bool, _output("--force", help="Replace an output that exists.")]
SplitEvents = Annotated[int | None, _output(help="Begin a new output after so many events.")]
SplitSize = Annotated[str | None, _output(help="Begin a new output after about this size: 2GB, 500MB.")]
ListEvents = Annotated[Path | None, _output(help="Also write the identities of the kept events, for --events.")]
Report = Annotated[
    Path | None, _output(metavar="FILE.html", help="Also write a page of the run, as `hepfilter report` does.")
]
Compression = Annotated[
    str | None,
    _output(
        help="ALGORITHM:LEVEL, such as ZSTD:5, or none; if not given the first source's own, ZSTD:5 where TTrees "
        "become RNTuples."
    ),
]
Format = Annotated[
    str | None,
    _output(
        autocompletion=complete_words("rntuple", "ttree"),
        help="What trees become: rntuple or ttree; what each is if not given.",
    ),
]

Model = Annotated[
    str | None,
    _model(autocompletion=MODELS, help="A model that ships, or a checkpoint file; interest-objects if not given."),
]
Scores = Annotated[
    Path | None, _model(metavar="S.parquet", help="Scores that `hepfilter score` wrote, in place of running the model.")
]
Device = Annotated[str, _model(autocompletion=DEVICES, help="Where the model runs: auto, cpu or cuda.")]

Workers = Annotated[int | None, _running(min=1, help="Processes that work; one a core if not given.")]
Executor = Annotated[
    str | None,
    _running(
        autocompletion=complete_words("processes", "dask"), help="Where the work is done: processes (here), or dask."
    ),
]
Scheduler = Annotated[str | None, _running(help="The address of a Dask scheduler: tcp://HOST:8786.")]
Cluster = Annotated[
    Path | None,
    _running(
        metavar="C.yaml",
        autocompletion=complete_shipped("clusters"),
        help="A batch system that gives Dask workers: slurm, slurm-gpu, htcondor, or a YAML file.",
    ),
]
Resume = Annotated[
    bool, _running("--resume", help="Go on with an earlier run, which must be there; try quarantined inputs again.")
]
OnBadFile = Annotated[
    str,
    _running(
        autocompletion=complete_words("stop", "quarantine"),
        help="What an input that cannot be read does: stop, or quarantine (then the exit code is 3).",
    ),
]
DryRun = Annotated[
    bool, _running("--dry-run", help="Say what would be done, with an estimate of size and time, and write nothing.")
]
AsJson = Annotated[bool, _running("--json", help="Print the report as JSON.")]
