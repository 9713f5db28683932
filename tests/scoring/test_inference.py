"""What a network says of an event, to the last bit, for every precision, compiled or not."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import Architecture, DeepSetsArchitecture, EdgeConvArchitecture, TransformerArchitecture
from hepfilter.errors import UsageError
from hepfilter.graphs.build import build_padded
from hepfilter.models.checkpoint import save
from hepfilter.scoring.inference import Inference
from hepfilter.scoring.scorer import GRID, Scorer
from tests.graph_records import network, random_record, small_objects_particles, small_particles

N_EVENTS = 500
CPU = torch.device("cpu")
CASES: dict[str, tuple[str, Architecture]] = {
    "edgeconv": ("objects", EdgeConvArchitecture(width=32, layers=2, head_width=16)),
    "dynamic": ("particles", EdgeConvArchitecture(width=16, layers=2, head_width=16, dynamic=True)),
    "transformer": ("both", TransformerArchitecture(width=16, heads=2, layers=1, class_layers=1, head_width=16)),
    "deepsets": ("objects", DeepSetsArchitecture(width=16, layers=2, head_width=16)),
}
GRAPHS = {
    "objects": load_graph_specification("objects"),
    "particles": small_particles(),
    "both": small_objects_particles(),
}
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler, and none is here"
)


def inference(kind: str, *, max_nodes: int | None = None, **options: object) -> Inference:
    name, architecture = CASES[kind]
    graph = GRAPHS[name] if max_nodes is None else GRAPHS[name].model_copy(update={"max_nodes": max_nodes})
    return Inference(network(graph, architecture=architecture), CPU, **options)  # type: ignore[arg-type]


def in_chunks(inference: Inference, graphs: object, size: int) -> np.ndarray:
    return np.concatenate(
        [inference.outputs(graphs.select(slice(start, start + size))) for start in range(0, N_EVENTS, size)]
    )


def check_that_only_the_event_counts(one: Inference, two: Inference) -> None:
    """`one` and `two` are the same network with different numbers of threads."""
    graphs = build_padded(random_record(N_EVENTS, seed=21), one.network.definition.graph)
    whole = one.outputs(graphs)
    assert whole.std(0).min() > 0.01
    for chunk in (64, 333):
        assert in_chunks(two, graphs, chunk).tobytes() == whole.tobytes()
    order = np.random.default_rng(2).permutation(N_EVENTS)
    assert two.outputs(graphs.select(torch.from_numpy(order))).tobytes() == whole[order].tobytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", CASES)
def test_chunks_order_and_threads_change_no_bit(kind: str, precision: str) -> None:
    check_that_only_the_event_counts(*(inference(kind, threads=threads, precision=precision) for threads in (1, 2)))


def test_precisions_are_what_they_are_called(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(network(GRAPHS["objects"]), path, provenance={})
    record = random_record(200, seed=22)
    scorers = [Scorer(path, device="cpu", precision=precision) for precision in ("float32", "bfloat16")]
    assert [scorer.device_class for scorer in scorers] == ["cpu-float32", "cpu-bfloat16"]
    exact, reduced = (scorer.score(record) for scorer in scorers)
    assert not np.array_equal(exact, reduced)
    assert np.abs(exact - reduced).max() < 0.1
    assert np.array_equal(reduced / GRID, np.rint(reduced / GRID))
    with pytest.raises(UsageError, match="precision 'float16' is unknown; float32 and bfloat16 are there"):
        Scorer(path, device="cpu", precision="float16")  # type: ignore[arg-type]


def test_without_a_compiler_it_runs_as_it_stands_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> object:
        def call(*_: object) -> None:
            raise RuntimeError("No working C++ compiler found\nfurther words")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.warns(UserWarning, match=r"cannot compile .*: No working C\+\+ compiler found$") as warned:
        fallen_back = inference("edgeconv", compile=True)
    assert len(warned) == 1
    assert (fallen_back.compiled, fallen_back.device_class) == (False, "cpu-float32")
    graphs = build_padded(random_record(50, seed=23), GRAPHS["objects"])
    assert np.array_equal(fallen_back.outputs(graphs), inference("edgeconv").outputs(graphs))


@pytest.mark.long
def test_on_a_machine_without_compiler(tmp_path: Path) -> None:
    script = """
import warnings
from tests.scoring.test_inference import inference
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    print(inference("deepsets", compile=True).device_class)
print(sum("cannot compile" in str(warning.message) for warning in warned))
"""
    environment = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.split() == ["cpu-float32", "1"]


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize(("kind", "precision"), [*((kind, "float32") for kind in CASES), ("edgeconv", "bfloat16")])
def test_compiled_it_gives_nearly_the_same_and_is_as_reproducible(kind: str, precision: str) -> None:
    """Logits of order 1 within 1e-5 and 0.05; and nothing is compiled any more, whatever comes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="torch cannot compile")
        compiled = inference(kind, max_nodes=8, threads=2, precision=precision, compile=True)
    assert compiled.device_class == f"cpu-{precision}-compiled"
    with torch.compiler.set_stance("fail_on_recompile"):
        check_that_only_the_event_counts(compiled, compiled)
        graphs = build_padded(random_record(300, seed=24), compiled.network.definition.graph)
        difference = np.abs(compiled.outputs(graphs) - inference(kind, max_nodes=8).outputs(graphs)).max()
    assert difference < (1e-5 if precision == "float32" else 0.05)
