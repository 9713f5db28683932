"""The report of a training, or of an evaluation, as one page, from the plain data that either has written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from markupsafe import Markup

from hepfilter.config.strict_json import load_json
from hepfilter.errors import ConfigError
from hepfilter.io.publishing import write_whole
from hepfilter.models.metadata import metrics_path
from hepfilter.visual import training_charts as charts
from hepfilter.visual.diagnosis_sections import OLDER, Metrics, diagnosis_sections
from hepfilter.visual.page import Block, Chart, Facts, Folded, Page, Section, Table, Text, Tile, Tiles, render
from hepfilter.visual.separation_sections import pvalue_blocks, separation_sections
from hepfilter.wording import counted, lasting

_MODEL: Final = ".safetensors"


def write_training_report(metrics: Metrics, path: Path, *, source: str = "the data") -> None:
    """Write the page of `metrics`: the JSON data of `hepfilter train`, or the results of `hepfilter evaluate`.

    What older metrics lack is said to be missing. ConfigError, which names their `source`, if the data are neither, or
    are damaged; OutputError if the page cannot be written. An existing file is replaced.
    """
    try:
        page = training_page(metrics) if "epochs" in metrics else evaluation_page(metrics)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"{source}: not metrics of `hepfilter train` or results of `hepfilter evaluate` as they write them "
            f"({type(error).__name__}: {error}); make them again"
        ) from error
    write_whole(path, render(page).encode())


def metrics_file(path: Path) -> Path | None:
    """The metrics that `path` means: its own, those beside a model, those in the folder of a training or an evaluation.

    None if it means none. ConfigError for a model without metrics, and for a folder with those of several models.
    """
    if path.is_dir():
        found = [path / "results.json"] if (path / "results.json").is_file() else sorted(path.glob("*.metrics.json"))
        if len(found) > 1:
            names = ", ".join(one.name for one in found)
            raise ConfigError(f"{path}: holds metrics of several models ({names}); give one of them")
        return found[0] if found else None
    if path.suffix != _MODEL:
        return path if path.suffix == ".json" else None
    if not metrics_path(path).is_file():
        raise ConfigError(f"{metrics_path(path)}: is not there; `hepfilter train` writes it beside the model")
    return metrics_path(path)


def load_metrics(path: Path) -> Metrics:
    """The metrics of a file; ConfigError, which names it, if it cannot be read or holds something else."""
    data = load_json(path)
    if not isinstance(data, dict) or "families" not in data:
        raise ConfigError(f"{path}: is neither metrics of `hepfilter train` nor results of `hepfilter evaluate`")
    return data


def training_page(metrics: Metrics) -> Page:
    """All that `hepfilter train` knows of a model."""
    sections = (
        Section("At a glance", "glance", [_training_tiles(metrics)]),
        Section("Learning", "learning", list(_learning(metrics))),
        *separation_sections(metrics, _heads(metrics)),
        *diagnosis_sections(metrics),
        Section("What was trained", "training", list(_configuration(metrics))),
    )
    name = metrics.get("training", {}).get("name", metrics["model"])
    return Page(f"Training of {name}", sections, f"{metrics['model']}, model hash {metrics['model_hash'][:12]}")


def evaluation_page(results: Metrics) -> Page:
    """What `hepfilter evaluate` says of signals and background; its other checks stand in its plots."""
    calibration: list[Block] = [
        Text(Markup("The model is not calibrated; <code>hepfilter calibrate</code> makes p-values of its scores."))
    ]
    if results["calibration"] or results["calibrated_on"]:
        calibration = list(pvalue_blocks(results))
    part = "the test part of its training's split" if results["part"] == "test" else "all events given"
    sections = (
        *separation_sections(results, results["heads"]),
        Section("Calibration of the background p-values", "calibration", calibration),
    )
    numbers = f"{results['n_signal']:,} signal and {results['n_background']:,} background events, {part}"
    return Page(f"Evaluation of {results['model']}", sections, f"model hash {results['model_hash'][:12]}; {numbers}")


def _heads(metrics: Metrics) -> list[str]:
    """The model's own scores, `interest` first."""
    if "distributions" in metrics:
        return [str(found["score"]) for found in metrics["distributions"]]
    from hepfilter.evaluation.sample import BASELINES  # which takes torch seconds to import: for older metrics alone

    families = metrics["families"]
    return [score for score in (families[0]["physical"]["by_score"] if families else ()) if score not in BASELINES]


def _training_tiles(metrics: Metrics) -> Tiles:
    """The numbers that one looks for first."""
    epochs, best = metrics["epochs"], metrics["best_epoch"]
    seen = [family for family in metrics["families"] if family["seen"]]
    aucs = [auc for f in seen if (auc := f["matched"]["by_score"]["interest"]["auc"]) is not None]
    since = " since it was resumed" if metrics.get("resumed") else ""
    tiles = [
        Tile(f"{epochs[best]['validation_loss']:.4f}", "validation loss", f"epoch {best + 1} of {len(epochs)}"),
        Tile(f"{metrics['events']['training']:,}", "training events", f"{metrics['events']['test']:,} to test on"),
        Tile(f"{metrics['parameters']:,}", "parameters", f"trained and tested in {lasting(metrics['seconds'])}{since}"),
    ]
    if aucs:
        note = f"{counted(len(aucs), 'family')} trained on, hardness-matched"
        tiles.insert(1, Tile(f"{median(aucs):.3f}", "AUC of interest, median", note))
    return Tiles(tiles)


def _learning(metrics: Metrics) -> Iterator[Block]:
    """Losses and learning rate."""
    epochs, best = metrics["epochs"], metrics["best_epoch"]
    rows = [
        [number, epoch["training_loss"], epoch["validation_loss"], epoch.get("learning_rate")]
        for number, epoch in enumerate(epochs, 1)
    ]
    yield Chart(
        charts.loss_chart(epochs, best),
        "Loss by epoch",
        f"The mean loss per event; the weights of epoch {best + 1}, with the lowest validation loss, were kept.",
        Table(["epoch", "training loss", "validation loss", "learning rate"], rows),
    )
    if all(epoch.get("learning_rate") is not None for epoch in epochs):
        yield Chart(
            charts.rate_chart(epochs),
            "Learning rate",
            f"At the end of each epoch; {metrics['learning_rate']:g} at most.",
        )
    else:
        yield Text(f"Learning rate: {OLDER}")


def _configuration(metrics: Metrics) -> Iterator[Block]:
    """The training's configuration and the events of each class."""
    training = metrics.get("training")
    if training is None:
        yield Text(OLDER)
        return
    plain = {key: value for key, value in training.items() if key not in ("classes", "priors", "fit")}
    rows = [("hepfilter", metrics["hepfilter"])] + [
        (name, _told(value))
        for name, value in (plain | {f"fit.{key}": value for key, value in training["fit"].items()}).items()
        if value not in (None, [], {})
    ]
    yield Table(
        ["class", "family", "kind", "trained on", "training", "validation", "test", "prior"],
        [
            [
                one["name"],
                one["family"],
                "signal" if one["is_signal"] else "background",
                "yes" if one["trained"] else "no",
                *(one[part] for part in ("training", "validation", "test")),
                float(training["priors"].get(one["name"], 1)),
            ]
            for one in metrics["classes"]
        ],
        "Classes and their events; the priors are those of interest",
        sortable=True,
    )
    yield Folded("Configuration", [Facts(rows)])


def _told(value: Any) -> str:
    """A value of a configuration in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_told(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return "; ".join(map(_told, value))
    return str(value)
