"""A score belongs to its event: not to the chunk, the order, the neighbours in the batch, or the number of threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.errors import CheckpointError, UsageError
from hepfilter.events.record import COLLECTIONS
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.checkpoint import save
from hepfilter.models.interest import interest
from hepfilter.scoring.scorer import GRID, Scorer
from tests.graph_records import MEAN_COUNTS, network, random_record, record_of, small_particles

N_EVENTS = 1500


@pytest.fixture(scope="module", params=["objects", "particles"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = load_graph_specification("objects") if request.param == "objects" else small_particles()
    path = tmp_path_factory.mktemp("scorer") / f"{request.param}.safetensors"
    save(network(graph, width=32), path, provenance={})
    return path


@pytest.fixture(scope="module")
def record() -> ak.Array:
    return random_record(N_EVENTS, seed=11)


@pytest.fixture(scope="module")
def whole(model: Path, record: ak.Array) -> np.ndarray:
    return Scorer(model, device="cpu", threads=1).score(record)


def test_scores_are_finite_multiples_of_the_grid(whole: np.ndarray) -> None:
    assert whole.dtype == np.float32
    assert whole.shape == (N_EVENTS,)
    assert np.isfinite(whole).all()
    assert np.array_equal(whole / GRID, np.rint(whole / GRID))
    assert len(np.unique(whole)) > 100


def test_scores_are_those_of_the_network(model: Path, record: ak.Array, whole: np.ndarray) -> None:
    scorer = Scorer(model, device="cpu")
    definition = scorer.metadata.definition
    with torch.inference_mode():
        logits = network(definition.graph, width=32).forward_padded(build_padded(record, definition.graph)).numpy()
    assert np.abs(whole - interest(logits, definition.classes)).max() <= GRID / 2 + 1e-5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [7, 64, 333, 512, 1499, 1500, 1501])
def test_any_chunk_gives_the_same_bytes(
    model: Path, record: ak.Array, whole: np.ndarray, chunk: int, threads: int
) -> None:
    scorer = Scorer(model, device="cpu", threads=threads)
    last = min(N_EVENTS, 20 * chunk)  # small chunks: not all of it
    parts = [scorer.score(record[start : min(start + chunk, last)]) for start in range(0, last, chunk)]
    assert np.concatenate(parts).tobytes() == whole[:last].tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_order_gives_the_same_bytes(
    model: Path, record: ak.Array, whole: np.ndarray, seed: int, threads: int
) -> None:
    order = np.random.default_rng(seed).permutation(N_EVENTS)
    found = Scorer(model, device="cpu", threads=threads).score(record[order])
    assert found.tobytes() == whole[order].tobytes()


def test_any_company_gives_the_same_bytes(model: Path, record: ak.Array, whole: np.ndarray) -> None:
    """The first events among quite different ones."""
    counts = {**MEAN_COUNTS, "jet": 9.0, "muon": 0.1, "particle": 22.0}
    others = random_record(700, seed=99, hardness=500.0, mean_counts=counts)
    mixed = ak.concatenate([others[:300], record[:100], others[300:]])
    assert Scorer(model, device="cpu").score(mixed)[300:400].tobytes() == whole[:100].tobytes()


def test_not_rounded_logits_are_the_same_too(model: Path, record: ak.Array) -> None:
    """Rounding hides rare differences of the last bit; without it none must be there."""
    one, two = (Scorer(model, device="cpu", threads=threads) for threads in (1, 2))
    graphs = build_padded(record, one.metadata.definition.graph)
    order = torch.from_numpy(np.random.default_rng(5).permutation(N_EVENTS))
    assert np.array_equal(two.logits(graphs.select(order)), one.logits(graphs)[order.numpy()])


def test_the_order_of_the_fields_and_the_layout_do_not_matter(model: Path, record: ak.Array, whole: np.ndarray) -> None:
    rebuilt = ak.zip({name: ak.from_iter(record[name][:50].to_list()) for name in reversed(COLLECTIONS)}, depth_limit=1)
    assert Scorer(model, device="cpu").score(rebuilt).tobytes() == whole[:50].tobytes()


def test_no_events_and_empty_events(model: Path) -> None:
    scorer = Scorer(model, device="cpu")
    assert scorer.score(record_of(0)).shape == (0,)
    empty = scorer.score(record_of(3))
    assert np.isfinite(empty).all()
    assert len(set(empty.tolist())) == 1


def test_the_threads_of_torch_are_as_before(model: Path, record: ak.Array) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Scorer(model, device="cpu", threads=2).score(record[:50])
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def test_every_batch_has_one_of_few_fixed_shapes(model: Path, record: ak.Array) -> None:
    """Whatever comes: on other machines than this one the shape may decide which kernel computes."""
    shapes = set()
    for events in (record[:1], record[:37], record):
        scorer = Scorer(model, device="cpu", threads=1)
        forward = scorer.inference.network.all_outputs

        def noted(graphs: PaddedGraphs, *, workspace: torch.Tensor | None, forward: Any = forward) -> torch.Tensor:
            shapes.add(tuple(graphs.mask.shape))
            found: torch.Tensor = forward(graphs, workspace=workspace)
            return found

        scorer.inference.network.all_outputs = noted  # type: ignore[method-assign]
        scorer.score(events)
    assert len(shapes) == len({n_nodes for _, n_nodes in shapes}) <= 4


def test_a_nan_that_gets_here_is_an_error_that_names_the_event(model: Path) -> None:
    jets = [[{"pt": 50.0}], [{"pt": float("nan")}]]
    particles = [[{"pt": 50.0}], [{"pt": 20.0, "eta": float("nan")}]]
    with pytest.raises(CheckpointError, match="event 1 of 2"):
        Scorer(model, device="cpu").score(record_of(2, jet=jets, particle=particles))


def test_what_it_says_of_itself(model: Path) -> None:
    scorer = Scorer(model, device="cpu")
    assert scorer.model_hash == scorer.metadata.model_hash
    assert scorer.device_class == "cpu-float32"
    assert set(scorer.collections) <= set(COLLECTIONS)


def test_devices_that_are_not_there(model: Path) -> None:
    with pytest.raises(UsageError, match="unknown"):
        Scorer(model, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="none here"):
            Scorer(model, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_nearly_the_same_and_is_reproducible(model: Path, record: ak.Array, whole: np.ndarray) -> None:
    scorer = Scorer(model, device="cuda")
    found = scorer.score(record)
    assert np.abs(found - whole).max() <= 2 * GRID
    order = np.random.default_rng(0).permutation(N_EVENTS)
    assert scorer.score(record[order]).tobytes() == found[order].tobytes()
