"""Scores of several heads and their p-values: exact per event, uniform on other background, bound to one model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ConditionalHead, FlowHead, MahalanobisHead
from hepfilter.errors import CheckpointError
from hepfilter.graphs.build import build_padded
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load, save
from hepfilter.models.metadata import digest_of, read_metadata
from hepfilter.models.rewriting import write_calibration
from hepfilter.scoring.calibration import (
    Calibration,
    fit_calibration,
    model_calibration,
    score_names,
    uncombined_scores,
)
from hepfilter.scoring.scorer import GRID, Scorer
from hepfilter.statistics.intervals import effective_number
from tests.graph_records import definition, network, random_record

OBJECTS = load_graph_specification("objects")
HEADS = (FlowHead(name="density", couplings=2, width=8), MahalanobisHead(name="centres"))


def save_with_heads(path: Path, *, seed: int = 3) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = build_network(definition(OBJECTS).model_copy(update={"heads": HEADS}))
        built.load_state_dict(network(OBJECTS, seed=seed).state_dict(), strict=False)
        for weight in built.heads.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    save(built, path, provenance={"who": "a test"})
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_heads(tmp_path_factory.mktemp("model") / "raw.safetensors")


@pytest.fixture(scope="module")
def calibrated(model: Path) -> Path:
    scorer = Scorer(model, device="cpu")
    scores = scorer.score_heads(random_record(2000, seed=1))
    made = fit_calibration(scores, np.ones(2000), model_hash=scorer.model_hash, background={"files": []})
    path = model.with_name("calibrated.safetensors")
    write_calibration(model, path, made.plain())
    return path


def correlated(seed: int, n_events: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Three scores with much in common, on the grid, and weights that make one sixth of the events count nearly all."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n_events)
    raw = {name: common + 0.7 * rng.normal(size=n_events) for name in ("interest", "density", "centres")}
    scores = {name: (np.rint(values / GRID) * GRID).astype(np.float32) for name, values in raw.items()}
    return scores, np.where(common + rng.normal(size=n_events) > 1, 0.1, 1.0)


def distance(values: np.ndarray, weights: np.ndarray) -> float:
    """Kolmogorov's, times √n_eff."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(np.sqrt(effective_number(weights)) * np.abs(share - values[order]).max())


def fitted(seed: int, *, weighted: bool) -> Calibration:
    scores, weights = correlated(seed, 10_000)
    return fit_calibration(scores, weights if weighted else np.ones(10_000), model_hash="m", background={})


@pytest.mark.parametrize("weighted", [False, True])
def test_pvalues_of_each_head_and_of_all_are_uniform_on_other_background(weighted: bool) -> None:
    found: dict[str, list[float]] = {name: [] for name in ("density", "centres", "pvalue", "combined")}
    naive = []
    for seed in range(12):
        calibration = fitted(seed, weighted=weighted)
        scores, weights = correlated(seed + 500, 1000)
        weights = weights if weighted else np.ones(1000)
        applied = calibration.apply(scores)
        for name in ("pvalue", "combined"):
            found[name].append(distance(applied[name].astype(np.float64), weights))
        each = {name: calibration.pvalues(name, scores[name]).values for name in scores}
        for name in ("density", "centres"):
            found[name].append(distance(each[name], weights))
        naive.append(distance(np.prod(list(each.values()), axis=0), weights))
    for name, distances in found.items():  # median 0.83 and 95 % quantile 1.36 of Kolmogorov's distribution
        assert 0.5 < np.median(distances) < 1.1, name
        assert sum(one > 1.36 for one in distances) <= 3, name
    assert min(naive) > 3  # what is not calibrated is not


def test_the_combination_sees_what_one_head_alone_sees() -> None:
    calibration = fitted(1, weighted=False)
    plain = {name: np.zeros(3, np.float32) for name in ("interest", "density", "centres")}
    plain["density"] = np.array([0.0, 3.0, 6.0], np.float32)
    combined = calibration.apply(plain)["combined"]
    assert combined[0] > combined[1] > combined[2]
    assert combined[2] < 0.02
    together = calibration.apply({name: np.array([3.0], np.float32) for name in plain})["combined"]
    assert together[0] < combined[1]


def test_a_score_that_stands_alone_has_a_table_and_no_part_in_the_combination() -> None:
    scores, weights = correlated(2, 10_000)
    without = fit_calibration(scores, weights, model_hash="m", background={})
    more = scores | {"contrast": np.exp(scores["interest"])}
    found = fit_calibration(more, weights, model_hash="m", background={}, uncombined=frozenset({"contrast"}))
    assert found.apply(more)["combined"].tolist() == without.apply(scores)["combined"].tolist()
    assert found.pvalues("contrast", more["contrast"]).values.min() < 1e-3
    together = fit_calibration(more, weights, model_hash="m", background={})
    assert together.apply(more)["combined"].tolist() != without.apply(scores)["combined"].tolist()
    two = {name: more[name] for name in ("interest", "contrast")}
    assert (
        fit_calibration(two, weights, model_hash="m", background={}, uncombined=frozenset({"contrast"})).combined
        is None
    )


def test_a_conditional_head_stands_alone(tmp_path: Path) -> None:
    path, contrast = tmp_path / "m.safetensors", ConditionalHead(name="contrast", knots=4)
    built = build_network(definition(OBJECTS).model_copy(update={"heads": (*HEADS, contrast)}))
    save(built, path, provenance={})
    scorer = Scorer(path, device="cpu")
    scores = scorer.score_heads(random_record(500))
    uncombined = uncombined_scores(scorer.metadata)
    made = fit_calibration(scores, np.ones(500), model_hash=scorer.model_hash, background={}, uncombined=uncombined)
    write_calibration(path, path, made.plain())
    stored = model_calibration(read_metadata(path))
    assert stored is not None and set(stored.tables) == {"interest", "density", "centres", "contrast"}
    assert stored.uncombined == uncombined == {"contrast"}
    assert stored.combine(scores).values.tolist() == made.combine(scores).values.tolist()


def test_extrapolations_are_marked() -> None:
    calibration = fitted(2, weighted=True)
    scores, _ = correlated(2, 10_000)
    for name in scores:
        top = np.array([np.sort(scores[name])[-200], scores[name].max() + 1], np.float32)
        found = calibration.pvalues(name, top)
        assert found.extrapolated.tolist() == [False, True]
        assert 0 < found.values[1] < calibration.tables[name].tail.pvalue
        assert found.upper[1] / found.lower[1] > 1.5
    far = calibration.combine({name: np.full(1, 50, np.float32) for name in scores})
    assert far.extrapolated.all()
    limits = calibration.extrapolated_below
    assert set(limits) == {"pvalue", "combined"}
    applied = calibration.apply(scores)
    for name, marks in (("pvalue", calibration.pvalues("interest", scores["interest"])), ("combined", None)):
        marked = calibration.combine(scores).extrapolated if marks is None else marks.extrapolated
        assert 0 < marked.sum() < 100
        assert (applied[name][marked] < limits[name]).all()
        assert (applied[name][~marked] >= limits[name] * (1 - 2**-11)).all()


def test_heads_and_pvalues_belong_to_their_event(calibrated: Path) -> None:
    record = random_record(700, seed=8)
    scorer = Scorer(calibrated, device="cpu", threads=1)
    whole = scorer.score_heads(record)
    assert tuple(whole) == scorer.names == ("interest", "density", "centres", "pvalue", "combined")
    for name, values in whole.items():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert len(np.unique(values)) > 50
        if name in ("interest", "density", "centres"):
            assert np.array_equal(values / GRID, np.rint(values / GRID))
        else:
            assert ((values > 0) & (values <= 1)).all()
    order = np.random.default_rng(0).permutation(700)
    other = Scorer(calibrated, device="cpu", threads=2)
    parts = [other.score_heads(record[order][start : start + 37]) for start in range(0, 700, 37)]
    for name, values in whole.items():
        assert np.concatenate([part[name] for part in parts]).tobytes() == values[order].tobytes()
    assert scorer.score(record).tobytes() == whole["interest"].tobytes()


def test_scores_are_those_of_the_network(model: Path) -> None:
    record, scorer = random_record(100, seed=9), Scorer(model, device="cpu")
    built = load(model).network
    graphs = build_padded(record, OBJECTS)
    with torch.inference_mode():
        wanted = built.all_outputs(graphs)[:, 4:].numpy()
    found = scorer.heads(graphs)
    for number, name in enumerate(("density", "centres")):
        assert found[name] == pytest.approx(wanted[:, number], abs=GRID / 2 + 1e-4)
    assert scorer.names == ("interest", "density", "centres")
    assert np.array_equal(scorer.logits(graphs), scorer.outputs(graphs)[:, :4])


def test_a_calibration_changes_no_score_and_no_model_hash(model: Path, calibrated: Path, tmp_path: Path) -> None:
    before, after = read_metadata(model), read_metadata(calibrated)
    assert after.model_hash == before.model_hash
    assert after.provenance == before.provenance
    assert before.calibration is None and score_names(before) == ("interest", "density", "centres")
    record = random_record(50)
    raw, known = (Scorer(path, device="cpu").score_heads(record) for path in (model, calibrated))
    assert all(np.array_equal(raw[name], known[name]) for name in raw)
    write_calibration(calibrated, tmp_path / "back.safetensors", None)
    assert load(tmp_path / "back.safetensors").metadata.calibration is None
    weights = [load(path).network.state_dict() for path in (model, calibrated)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [path.name for path in tmp_path.iterdir()] == ["back.safetensors"]


def test_the_hash_is_that_of_the_content(calibrated: Path) -> None:
    metadata = read_metadata(calibrated)
    stored = model_calibration(metadata)
    assert stored is not None
    again = json.loads(json.dumps(stored.plain()))
    assert again == metadata.calibration
    assert again.pop("hash") == digest_of(again) == stored.hash
    assert stored.background["events"] == 2000


def test_one_score_needs_no_combination(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(network(OBJECTS), path, provenance={})
    scores = Scorer(path, device="cpu").score_heads(random_record(500))
    made = fit_calibration(scores, np.ones(500), model_hash=read_metadata(path).model_hash, background={})
    write_calibration(path, path, made.plain())
    assert Scorer(path, device="cpu").names == ("interest", "pvalue")
    assert made.combined is None
    assert made.combine(scores).values.tolist() == made.pvalues("interest", scores["interest"]).values.tolist()


def swap_model(data: dict[str, Any]) -> None:
    data["model_hash"] = "0" * 32
    data["hash"] = digest_of({name: value for name, value in data.items() if name != "hash"})


def lose_a_head(data: dict[str, Any]) -> None:
    del data["tables"]["density"]
    data["hash"] = digest_of({name: value for name, value in data.items() if name != "hash"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_model, "its calibration is of model 000000000000, and this is"),
        (lose_a_head, "its calibration was changed"),
        (lambda data: data["tables"]["density"]["tail"].update(n_effective=77.0), "its calibration was changed"),
        (lambda data: data["tables"]["interest"]["pvalues"].__setitem__(-1, -0.1), "do not fall, or an interval"),
        (lambda data: data["tables"]["interest"]["scores"].reverse(), "scores do not rise"),
        (lambda data: data["tables"]["interest"]["upper"].pop(), "not equally long"),
        (lambda data: data["tables"]["interest"]["tail"].update(rate=float("inf")), r"tail\.rate"),
        (lambda data: data["combined"]["tail"].update(pvalue=0.0), r"tail\.pvalue"),
        (lambda data: data.pop("combined"), "'combined' is missing"),
        (lambda data: data.update(format_version=2), "format_version"),
    ],
)
def test_a_calibration_that_is_not_the_models(calibrated: Path, tmp_path: Path, change: Any, message: str) -> None:
    data = json.loads(json.dumps(dict(read_metadata(calibrated).calibration or {})))
    change(data)
    write_calibration(calibrated, tmp_path / "bad.safetensors", data)
    with pytest.raises(CheckpointError, match=message) as caught:
        Scorer(tmp_path / "bad.safetensors", device="cpu")
    assert "hepfilter calibrate" in str(caught.value)
    assert "\n" not in str(caught.value)
