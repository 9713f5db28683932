"""What `hepfilter bench` measures; the figures themselves are no test's business."""

import sys
import types

import awkward as ak
import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.errors import ConfigError, UsageError
from hepfilter.events.record import COLLECTIONS
from hepfilter.scoring import benchmark as module
from hepfilter.scoring.benchmark import benchmark, network_of, timed
from hepfilter.scoring.generated import generated_record
from hepfilter.scoring.peers import compare


@pytest.fixture(autouse=True)
def one_run_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)


def test_generated_events_are_the_same_every_time_and_as_records_promise() -> None:
    specification = load_graph_specification("objects-particles")
    record = generated_record(50, specification)
    assert set(record.fields) == set(COLLECTIONS)
    assert ak.array_equal(record, generated_record(50, specification))
    assert ak.all(ak.num(record.met) == 1) and ak.sum(ak.num(record.tau)) == 0
    assert 90 < ak.mean(ak.num(record.particle)) < 150
    assert ak.all(record.particle.pt[:, 1:] <= record.particle.pt[:, :-1])


def test_every_step_is_measured_once_for_each_precision_and_shape() -> None:
    network = network_of("edgeconv-small")
    report = benchmark(network, name="edgeconv-small", device="cpu", threads=(1, 2), n_events=300, batch=8)
    assert report.parameters == sum(weight.numel() for weight in network.parameters())
    assert 5 < report.mean_nodes < 9
    assert (report.machine.torch, report.graph, report.architecture) == (torch.__version__, "objects", "edgeconv")
    assert all(row.events_per_second > 0 and row.first > 0 and not row.compiled for row in report.measurements)
    found = sorted((row.step, row.precision, row.threads, row.n_events, row.n_nodes) for row in report.measurements)
    shapes = [(256, 4), (256, 8), (128, 12), (128, 16)]
    torch_threads = torch.get_num_threads()
    expected = [("build", "float32", 1, 300, 16), ("reference", "float32", torch_threads, 256, 16)]
    for precision in ("float32", "bfloat16"):
        expected += [("forward", precision, 1, *shape) for shape in shapes]
        expected += [("outputs", precision, threads, 300, 16) for threads in (1, 2)]
        expected += [("backward", precision, torch_threads, 8, 16)]
    assert found == sorted(expected)
    assert not network.training and all(weight.grad is None for weight in network.parameters())


def test_the_fastest_run_counts_and_the_first_stands_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([9.0, 3.0, 1.0, 2.0, 5.0])
    now = [0.0]
    monkeypatch.setattr(module, "_SECONDS", 5.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def run() -> None:
        now[0] += next(durations)

    assert timed(run, torch.device("cpu")) == (9.0, 1.0)
    assert list(durations) == [5.0]


def test_what_can_be_measured() -> None:
    assert network_of("interest-objects").definition.architecture.kind == "edgeconv"
    assert network_of("particlenet", "particles").definition.graph.name == "particles"
    with pytest.raises(UsageError, match="brings its own graph"):
        network_of("interest-objects", "particles")
    with pytest.raises(ConfigError, match=r"edgeconv-smal: no such file .*nearest: edgeconv-small"):
        network_of("edgeconv-smal")
    with pytest.raises(UsageError, match=r"^particlenet on objects: a dynamic edgeconv needs edges of kind knn; .*"):
        network_of("particlenet")


def test_peers_without_weaver_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weaver", None)
    with pytest.raises(UsageError, match=r"needs weaver-core .*pip install weaver-core$"):
        compare(device="cpu")


class StandIn(torch.nn.Module):
    """In the place of weaver's networks; keeps what it was given last."""

    given: dict[str, tuple[torch.Tensor, ...]]

    def __init__(self, n_features: int, n_classes: int, **options: object) -> None:
        super().__init__()
        self.options, self.net = options, torch.nn.Linear(n_features, n_classes)

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        is_part = bool(named)
        StandIn.given["ParT" if is_part else "ParticleNet"] = (*inputs, *named.values())
        result: torch.Tensor = self.net(inputs[0 if is_part else 1].mean(2))
        return result


def test_peers_get_the_same_full_events(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("weaver", "weaver.nn", "weaver.nn.model"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name in ("ParticleNet", "ParticleTransformer"):
        stand_in = types.ModuleType(name)
        setattr(stand_in, name, StandIn)
        monkeypatch.setitem(sys.modules, f"weaver.nn.model.{name}", stand_in)
    StandIn.given = {}
    report = compare(device="cpu", precisions=("float32",), n_events=2)
    steps = [(row.size, row.step) for row in report.measurements]
    assert steps == [(size, step) for size in ("ParticleNet", "ParT") for step in ("forward", "backward", "outputs")]
    assert [ours for ours, _ in report.parameters.values()] == [385_420, 2_033_052]
    assert all(row.ratio == row.ours / row.theirs > 0 for row in report.measurements)
    points, features, mask = StandIn.given["ParticleNet"]
    features_again, vectors, mask_again = StandIn.given["ParT"]
    assert torch.equal(features, features_again) and features.shape[::2] == (2, 128)
    assert torch.equal(mask, mask_again) and bool((mask == 1).all()) and mask.shape == (2, 1, 128)
    px, py, pz, energy = vectors.double().unbind(1)
    momentum = (px**2 + py**2 + pz**2).sqrt()
    assert np.allclose(torch.atanh(pz / momentum), points[:, 0], atol=1e-4)
    assert np.allclose(torch.atan2(py, px), points[:, 1], atol=1e-5)
    assert bool((energy > momentum).all())
