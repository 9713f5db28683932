"""Each command of the command line as one call: names and paths in, a result out, and a bar while it takes time."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepfilter.api.progress import Progress, shown
from hepfilter.skim.recipe import make_recipe

if TYPE_CHECKING:
    import awkward as ak

    from hepfilter.config.training import TrainingConfig
    from hepfilter.evaluation.run import Evaluation
    from hepfilter.io.sources import Source
    from hepfilter.scoring.calibrating import CalibrationReport
    from hepfilter.simulation.sample import SampleReport
    from hepfilter.skim.gathering import OnBadFile
    from hepfilter.skim.merging import MergeReport
    from hepfilter.skim.proof.checks import VerificationReport
    from hepfilter.skim.report import SkimReport
    from hepfilter.training.run import TrainingReport
    from hepfilter.trigger.lock import Trigger
    from hepfilter.work.execution import Execution

PathLike = str | Path
Files = PathLike | Sequence[PathLike]
"""One input or several, each as on the command line."""


def skim(
    inputs: Files,
    output: PathLike,
    *,
    keep: str | float | Fraction | None = None,
    threshold: float | None = None,
    menu: "PathLike | Trigger | None" = None,
    where: str | None = None,
    model: PathLike | None = None,
    scores: PathLike | None = None,
    schema: PathLike | None = None,
    lumi_mask: PathLike | None = None,
    events: PathLike | None = None,
    deduplicate: bool = False,
    keep_branches: Sequence[str] | None = None,
    drop_branches: Sequence[str] | None = None,
    branches: PathLike | None = None,
    layout: str = "strict",
    fill: Sequence[str] | Mapping[str, float] | None = None,
    split_events: int | None = None,
    split_size: str | int | None = None,
    compression: str | None = None,
    format: str | None = None,
    list_events: PathLike | None = None,
    unblind: bool = False,
    on_bad_file: "OnBadFile" = "stop",
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    workers: int = 1,
    execution: "Execution | None" = None,
    progress: Progress | None = None,
) -> "SkimReport":
    """Keep the events that pass a selection or score highest, with all their branches, bit for bit.

    ``hepfilter.skim("data.root", "interesting.root", keep="1%")``. Options have the names and meanings of the command
    line (``hepfilter skim --help``); the output is the same. A script with several `workers` needs the usual
    ``if __name__ == "__main__"``; `execution` brings the work to Dask. `progress` is called with (stage, done, in all);
    if None there is a bar, in notebooks and on terminals.
    """
    from hepfilter.skim.pipeline import skim as run

    recipe = make_recipe(
        keep=keep,
        threshold=threshold,
        menu=menu,
        where=where,
        model=model,
        scores=scores,
        schema=schema,
        lumi_mask=lumi_mask,
        events=events,
        deduplicate=deduplicate,
        keep_branches=keep_branches,
        drop_branches=drop_branches,
        branches=branches,
        layout=layout,
        fill=fill,
        split_events=split_events,
        split_size=split_size,
        compression=compression,
        format=format,
    )
    with shown(progress) as report:
        return run(
            inputs,
            output,
            recipe,
            list_events=list_events,
            device=device,
            workers=workers,
            execution=execution,
            unblind=unblind,
            on_bad_file=on_bad_file,
            resume=resume,
            force=force,
            progress=report,
        )


def score(
    events: "Files | ak.Array",
    *,
    model: PathLike = "interest-objects",
    schema: PathLike | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> "ak.Array":
    """The scores of events that you have, or of files: records of float32, by name (``.interest`` and so on), in order.

    Events are an awkward array: branches by their names (uproot), NanoEvents (coffea), or our record. Both ways give
    the numbers of ``hepfilter score``, bit for bit. `hepfilter.score_files` writes them to a file instead.
    """
    from hepfilter.api.filtering import Filter, load_scorer
    from hepfilter.scoring.score import collect_scores

    if not _are_files(events):
        return Filter(model, schema=_text(schema), device=device).scores(events)
    with shown(progress) as report:
        scorer = load_scorer(str(model), device)
        return collect_scores(as_sources(events), scorer, schema=_text(schema), progress=report)


def simulate(
    cards: str | Sequence[str],
    output: PathLike,
    *,
    events: int = 1000,
    seed: int = 1,
    particles: bool = False,
    pileup: float = 0.0,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> "SampleReport":
    """Simulate `events` collisions of each process, as NanoAOD-style ROOT with truth labels.

    ``hepfilter.simulate(["qcd@200", "ttbar"], "sample.root", events=500)``; ``hepfilter simulate --list`` names the
    cards. `pileup` is the mean number of further collisions; `particles` writes particle-flow candidates too.
    """
    from hepfilter.config.card import load_cards
    from hepfilter.config.sample import Production
    from hepfilter.io.publishing import refuse_output
    from hepfilter.simulation.sample import simulate as run
    from hepfilter.simulation.scheduling import adding_up

    refuse_output(Path(output), force=force)
    names = [cards] if isinstance(cards, str) else cards
    productions = [Production(card, events) for name in names for card in load_cards(name)]
    with shown(progress) as report:
        return run(
            productions,
            seed=seed,
            output=output,
            workers=workers,
            particles=particles,
            pileup=pileup,
            progress=adding_up(report, total=events * len(productions)),
        )


def train(
    config: "PathLike | TrainingConfig",
    data: Files,
    output: PathLike,
    *,
    exclude: Sequence[str] = (),
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> "TrainingReport":
    """Train a network on simulated events and test it on events left aside; the checkpoint appears at `output`.

    `config` is a training that ships, a YAML file, or a `TrainingConfig`; `exclude` are families to test on only.
    Metrics that lie beside an earlier model at `output` go with it: OutputError if there are any, unless `force`.
    """
    from hepfilter.config.training import TrainingConfig, load_training
    from hepfilter.graphs.caching import expand_events
    from hepfilter.io.publishing import refuse_output
    from hepfilter.models.metadata import metrics_path
    from hepfilter.models.rewriting import refuse_checkpoint
    from hepfilter.training.run import train as run

    refuse_checkpoint(Path(output), force=force)
    refuse_output(metrics_path(Path(output)), force=force)
    loaded = config if isinstance(config, TrainingConfig) else load_training(str(config))
    with shown(progress) as report:
        return run(loaded, expand_events(texts(data)), Path(output), exclude=exclude, device=device, progress=report)


def evaluate(
    model: PathLike, data: Files, *, all_events: bool = False, device: str = "auto", progress: Progress | None = None
) -> "Evaluation":
    """Say what a model's scores are worth on simulated events; `all_events` if it never saw any of these files."""
    from hepfilter.evaluation.run import EvaluationOptions
    from hepfilter.evaluation.run import evaluate as run

    with shown(progress) as report:
        options = EvaluationOptions(all_events=all_events)
        return run(model, as_sources(data), options=options, device=device, progress=report)


def calibrate(
    model: PathLike,
    data: Files,
    output: PathLike,
    *,
    background: Sequence[str] = (),
    force: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> "CalibrationReport":
    """Turn a model's scores into p-values of the background in `data`, stored in the checkpoint at `output`.

    `background` are the cards that are background; all but signals if none is given.
    """
    from hepfilter.scoring.calibrating import calibrate as run

    with shown(progress) as report:
        return run(
            model, as_sources(data), output=Path(output), background=background, force=force, device=device,
            progress=report,
        )  # fmt: skip


def verify(
    outputs: Files,
    *,
    sources: Files = (),
    rescore: bool = False,
    device: str = "auto",
    workers: int = 1,
    progress: Progress | None = None,
) -> "VerificationReport":
    """Prove outputs of skims against their sources; ``.passed`` says whether every check did.

    `sources` are needed only where they are not where they were; `rescore` computes the scores again too.
    """
    from hepfilter.skim.proof.verification import verify as run

    with shown(progress) as report:
        found = as_sources(sources) if sources else ()
        return run(as_sources(outputs), sources=found, rescore=rescore, device=device, workers=workers, progress=report)


def merge(
    outputs: Files, output: PathLike, *, workers: int = 1, force: bool = False, progress: Progress | None = None
) -> "MergeReport":
    """Put outputs of skims together in the order given; refuses what differs and what would count twice."""
    from hepfilter.skim.merging import merge as run

    with shown(progress) as report:
        return run(as_sources(outputs), output, workers=workers, force=force, progress=report)


def _are_files(events: Any) -> bool:
    if isinstance(events, str | Path):
        return True
    return isinstance(events, list | tuple) and all(isinstance(one, str | Path) for one in events)


def texts(files: Files) -> list[str]:
    """The inputs as the command line has them."""
    return [str(one) for one in ([files] if isinstance(files, str | Path) else files)]


def as_sources(files: Files) -> "list[Source]":
    """The files that the inputs mean."""
    from hepfilter.io.sources import expand_sources

    return expand_sources(texts(files))


def _text(path: PathLike | None) -> str | None:
    return None if path is None else str(path)
