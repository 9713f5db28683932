"""What all tests share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hepfilter.training.run import TrainingReport

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CMS and ATLAS files; the test skips where it does not lie beside the checkout."""
    folder = Path(os.environ.get("HEPFILTER_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("the real files of ../shared/data are not here")
    return folder


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the shipped object graph and random weights: scores without meaning, but scores."""
    import torch

    from hepfilter.config.base import find_config, load_yaml
    from hepfilter.config.graph import GraphSpecification
    from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
    from hepfilter.models.architectures import build_network
    from hepfilter.models.checkpoint import save

    classes = (EventClass(name="background", is_signal=False), EventClass(name="signal", is_signal=True))
    graph = load_yaml(find_config("graphs", "objects"), GraphSpecification)
    definition = ModelDefinition(graph=graph, architecture=load_architecture("edgeconv-small"), classes=classes)
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save(build_network(definition), path, provenance={})
    return path


@pytest.fixture(scope="session")
def small_files(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands of the documents name; do not write into it."""
    from tests.documents import write_inputs

    return write_inputs(tmp_path_factory.mktemp("small_files"), untrained_model)


@pytest.fixture(scope="session")
def small_training(tmp_path_factory: pytest.TempPathFactory) -> "TrainingReport":
    """The report of a small training; beside its model lie the sample `s.root` and its metrics. Do not write there."""
    import json

    from hepfilter.cli.terminal import plain_data
    from hepfilter.io.sources import Source
    from hepfilter.models.metadata import metrics_path
    from hepfilter.training.run import train
    from tests.training.simulated import CONFIG, write_sample

    sample = write_sample(tmp_path_factory.mktemp("small_training") / "s.root")
    report = train(CONFIG, [Source(str(sample))], sample.with_name("model.safetensors"), device="cpu")
    metrics_path(report.model).write_text(json.dumps(plain_data(report)), encoding="utf-8")
    return report
