"""Calibrating from the file of scores that `hepfilter score` wrote: all of its events are background, as data are."""

from pathlib import Path

from hepfilter.errors import UsageError
from hepfilter.graphs.reading import refuse_faulty_weights
from hepfilter.io.score_file import read_scores
from hepfilter.models.metadata import read_metadata
from hepfilter.models.rewriting import write_calibration
from hepfilter.scoring.calibrating import (
    CalibrationReport,
    calibration_report,
    calibration_target,
    fit_background,
)
from hepfilter.scoring.calibration import INTEREST


def calibrate_stored(
    model: str | Path, scores: str | Path, *, output: Path | None = None, force: bool = False
) -> CalibrationReport:
    """Give the model `model` p-values from all events of the file `scores`, and write it to `output`, as `calibrate`.

    Events count with the weights that the file has. UsageError if the scores are of another model; TrainingError and
    OutputError as `calibrate`.
    """
    metadata = read_metadata(model)
    stored = read_scores(scores)
    assert stored.weights is not None
    if stored.facts.model_hash != metadata.model_hash:
        hashes = f"{stored.facts.model_hash[:12]}, {model} is {metadata.model_hash[:12]}"
        raise UsageError(f"{scores}: its scores are of model {hashes}; score the files anew")
    path = calibration_target(model, metadata, output, force=force)
    names = (INTEREST, *(head.name for head in metadata.definition.heads))
    for number, file in enumerate(stored.facts.files):
        weights = stored.weights[stored.starts[number] : stored.starts[number + 1]]
        refuse_faulty_weights(weights, file.problems, f"{scores}: events of {file.path}")
    files = [{"path": Path(file.path).name, "uuid": file.uuid, "size": file.size} for file in stored.facts.files]
    said = {"files": files, "cards": [], "left_out": 0, "device_class": stored.facts.device_class}
    found = {name: stored.scores[name] for name in names}
    calibration = fit_background(found, stored.weights, metadata, said, where=str(scores))
    write_calibration(model, path, calibration.plain())
    return calibration_report(path, calibration, left_out=0, not_background=0)
