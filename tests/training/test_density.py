"""Heads are fitted to background, and to nothing else."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ConditionalHead, FlowHead, HeadDefinition, MahalanobisHead, RatioHead, SvddHead
from hepfilter.config.training import Fit, HeadFit, Reweight, TrainingConfig
from hepfilter.errors import TrainingError
from hepfilter.evaluation.metrics import roc_auc
from hepfilter.graphs.labelled import LabelledGraphs, read_labelled
from hepfilter.io.sources import Source
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load
from hepfilter.models.density import Flow, LatentHead, Ratio
from hepfilter.models.interest import interest_of
from hepfilter.models.network import GraphNetwork
from hepfilter.scoring.scorer import Scorer
from hepfilter.training import density
from hepfilter.training.batches import training_weights
from hepfilter.training.density import Background, fit_heads
from hepfilter.training.run import train
from tests.graph_records import definition, network
from tests.training.simulated import CONFIG, write_sample

OBJECTS = load_graph_specification("objects")
HEADS: tuple[HeadDefinition, ...] = (
    FlowHead(name="density", couplings=4, width=16),
    SvddHead(name="sphere", width=8),
    MahalanobisHead(name="centres"),
    MahalanobisHead(name="rarity", mix="nature"),
    FlowHead(name="rare_density", couplings=4, width=16, mix="nature"),
    RatioHead(name="scarcity", width=16),
    ConditionalHead(name="contrast", knots=6),
)
QUICK = HeadFit(epochs=6, batch_size=128, learning_rate=5e-3)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=400)


@pytest.fixture(scope="module")
def data(sample: Path) -> LabelledGraphs:
    return read_labelled([Source(str(sample))], OBJECTS, split_seed=1, progress=lambda *_: None)


def targets(data: LabelledGraphs) -> np.ndarray:
    return np.searchsorted([0, 1, 100, 102], data.labels)


def fresh(priors: tuple[float, float] = (1.0, 1.0)) -> GraphNetwork:
    """With these priors of the background classes."""
    wanted = definition(OBJECTS)
    classes = [
        c.model_copy(update={"prior": prior}) for c, prior in zip(wanted.classes, (*priors, 1.0, 1.0), strict=True)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        built = build_network(wanted.model_copy(update={"heads": HEADS, "classes": tuple(classes)}))
        built.load_state_dict(network(OBJECTS).state_dict(), strict=False)
        return built.eval()


def fitted(data: LabelledGraphs, priors: tuple[float, float] = (1.0, 1.0), **options: object) -> GraphNetwork:
    built = fresh(priors)
    parts = data.select(data.split_hash < 0.7), data.select(data.split_hash >= 0.7)
    both = targets(parts[0]), targets(parts[1])
    fit_heads(built, *parts, targets=both, options=QUICK.model_copy(update=options), device="cpu")
    return built


@pytest.fixture(scope="module")
def network_with_heads(data: LabelledGraphs) -> GraphNetwork:
    return fitted(data)


def scores(built: GraphNetwork, data: LabelledGraphs) -> torch.Tensor:
    with torch.inference_mode():
        return built.all_outputs(data.graphs)[:, len(built.definition.classes) :]


def test_each_head_finds_signals_that_it_never_saw(network_with_heads: GraphNetwork, data: LabelledGraphs) -> None:
    test = data.select(data.split_hash >= 0.7)
    is_signal = targets(test) >= 2
    found = dict(zip(network_with_heads.heads, scores(network_with_heads, test).T.numpy(), strict=True))
    del found["scarcity"]  # tells backgrounds apart
    del found["contrast"]  # tells what the network thinks, which has learnt nothing
    for name, values in found.items():
        assert roc_auc(values[is_signal], values[~is_signal]) > 0.7, name


def test_the_flow_is_denser_where_background_is(network_with_heads: GraphNetwork, data: LabelledGraphs) -> None:
    """Its mean −ln p of other background is below that of the normal distribution that it began as."""
    test = data.select((data.split_hash >= 0.7) & (targets(data) < 2))
    flow = network_with_heads.heads["density"]
    with torch.inference_mode():
        whitened = flow.whitened(network_with_heads.embed_padded(test.graphs))  # type: ignore[operator]
        normal = 0.5 * (whitened.square().sum(1) + whitened.shape[1] * np.log(2 * np.pi))
    assert scores(network_with_heads, test)[:, 0].mean() < normal.mean() - 1.0


def test_nothing_but_the_heads_changes(network_with_heads: GraphNetwork) -> None:
    before, after = fresh().state_dict(), network_with_heads.state_dict()
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {head.name for head in HEADS}
    assert not any(weight.requires_grad for weight in network_with_heads.heads.parameters())


def test_heads_of_nature_know_one_background_by_its_weights(data: LabelledGraphs) -> None:
    """Top pairs of next to no weight: rare for the heads of nature, as common as QCD for the others."""
    is_top = targets(data) == 1
    built = fitted(replace(data, weights=np.where(is_top, 1e-9, 1.0)))
    assert [len(built.heads[name].class_centres) for name in ("centres", "rarity")] == [2, 1]
    found = dict(zip(built.heads, scores(built, data).T.numpy(), strict=True))
    is_qcd = targets(data) == 0
    auc = {name: roc_auc(values[is_top], values[is_qcd]) for name, values in found.items()}
    assert min(auc["rarity"], auc["rare_density"]) > max(auc["centres"], auc["density"]) + 0.1, auc
    assert auc["scarcity"] > 0.8, auc
    centre = built.heads["rarity"].class_centres
    assert torch.allclose(centre, torch.zeros_like(centre), atol=1e-4)


def test_a_conditional_head_takes_the_same_share_of_background_at_every_hardness(
    network_with_heads: GraphNetwork, data: LabelledGraphs
) -> None:
    """Of what it was made of; the interest that it compares goes with hardness."""
    learnt = data.select((data.split_hash < 0.7) & (targets(data) < 2))
    with torch.inference_mode():
        logits = network_with_heads.all_outputs(learnt.graphs)[:, :4]
    interest, hardness = interest_of(logits, network_with_heads.definition.classes), learnt.observable("hardness")
    found = scores(network_with_heads, learnt)[:, list(network_with_heads.heads).index("contrast")].numpy()
    assert abs(spearmanr(interest, hardness).statistic) > 0.3
    assert abs(spearmanr(found, hardness).statistic) < 0.1
    for half in (hardness < np.median(hardness), hardness >= np.median(hardness)):
        for share in (0.5, 0.1):
            assert np.mean(found[half] >= -np.log(share)) == pytest.approx(share, rel=0.3)


def test_a_conditional_head_counts_background_as_nature_does(data: LabelledGraphs) -> None:
    """The more interesting half of it is a percent of nature: much of it stands out by factors up to 100."""
    with torch.inference_mode():
        interest = interest_of(fresh().forward_padded(data.graphs), fresh().definition.classes).numpy()
    is_rare = interest > np.median(interest[targets(data) < 2])
    built = fitted(replace(data, weights=np.where(is_rare, 0.01, 1.0)))
    found = scores(built, data)[:, list(built.heads).index("contrast")].numpy()
    learnt = (data.split_hash < 0.7) & (targets(data) < 2)
    assert np.mean(found[learnt & is_rare] > np.log(30)) > 0.2  # 0.05 if classes counted equally
    assert np.mean(found[learnt & ~is_rare] > np.log(30)) < 0.05


def test_too_little_background_has_no_table(data: LabelledGraphs) -> None:
    few = data.select((np.arange(len(data)) % 8 == 0) | (targets(data) >= 2))
    with pytest.raises(
        TrainingError, match=r"head contrast: \d+ background events with weight; at least 512 are .*; give more"
    ):
        fitted(few)


def test_a_ratio_head_finds_the_ratio_of_two_densities() -> None:
    """Standard normal vectors, drawn by weights e^x − and by the same shifted, so that ln of the ratio is linear."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(20_000, 3, generator=generator)
    shifted = (x[:, 0] - 0.5).exp()  # as if the first component had mean 1
    mixes = [
        Background(x, weights, torch.zeros(len(x), dtype=torch.int64)) for weights in (shifted, torch.ones(len(x)))
    ]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = Ratio(3, width=16, layers=2)
    head.prepare(x, torch.ones(len(x)), torch.zeros(len(x), dtype=torch.int64))
    options = HeadFit(epochs=15, learning_rate=5e-3)
    density._fit("scarcity", head, mixes, mixes, options=options, progress=lambda *_: None)
    with torch.inference_mode():
        away = (head(x) - (x[:, 0] - 0.5))[x[:, 0].abs() < 2]
    assert away.abs().mean() < 0.15
    assert abs(away.mean()) < 0.1


@pytest.mark.parametrize("priors", [(1.0, 1.0), (1.0, 20.0)])
def test_the_ratio_is_that_of_the_priors_to_nature(data: LabelledGraphs, priors: tuple[float, float]) -> None:
    """Where generator weights agree with the priors nothing is scarce; else it is the class that they favour."""
    qcd, top = (targets(data) == number for number in (0, 1))
    weights = np.ones(len(data))
    weights[top] *= qcd.sum() / top.sum()  # nature has as much of both
    found = fitted(replace(data, weights=weights), priors=priors)
    values = scores(found, data)[:, list(found.heads).index("scarcity")].numpy()
    assert np.average(np.exp(values[qcd | top]), weights=weights[qcd | top]) == pytest.approx(1.0, abs=0.2)
    apart = values[top].mean() - values[qcd].mean()
    assert apart > 0.2 if priors[1] > 1 else abs(apart) < 0.1, apart


def test_the_ratio_knows_that_the_network_saw_reweighted_background(data: LabelledGraphs) -> None:
    """`interest` compares signals with that: background as hard as signal, times the priors."""
    fit, built, target = Fit(reweight=Reweight(observable="hardness")), fresh((1.0, 3.0)), targets(data)
    events = density._SeenEvents(built, data, target, fit, torch.device("cpu"))
    expected = training_weights(data, target, built.definition.classes, fit)[target < 2] * np.where(
        target[target < 2], 3.0, 1.0
    )
    found = events.background("priors").weights.numpy()
    assert found == pytest.approx(expected / expected.mean(), rel=1e-5)
    assert (found == 0).any()  # softer than any signal
    assert events.background("classes").weights.numpy() == pytest.approx(1.0)


def test_signals_and_their_weights_do_not_matter(network_with_heads: GraphNetwork, data: LabelledGraphs) -> None:
    fewer = fitted(data.select((targets(data) < 2) | (data.split_hash < 0.35)))
    both = [built.state_dict().values() for built in (fewer, network_with_heads)]
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))


def test_the_seed_decides(network_with_heads: GraphNetwork, data: LabelledGraphs) -> None:
    again, other = fitted(data), fitted(data, seed=2)
    wanted = scores(network_with_heads, data)
    assert torch.equal(scores(again, data), wanted)
    assert not torch.equal(scores(other, data)[:, 0], wanted[:, 0])


def test_the_weights_are_those_of_the_best_epoch(data: LabelledGraphs, monkeypatch: pytest.MonkeyPatch) -> None:
    """With so high a learning rate the loss rises again; patience ends it."""
    seen: list[tuple[LatentHead, float, dict[str, torch.Tensor]]] = []
    loss_of = density._loss

    def noted(head: LatentHead, *arguments: object) -> torch.Tensor:
        loss = loss_of(head, *arguments)  # type: ignore[arg-type]
        if not torch.is_grad_enabled() and isinstance(head, Flow):
            seen.append((head, float(loss), copy.deepcopy(head.state_dict())))
        return loss

    monkeypatch.setattr(density, "_loss", noted)
    found = fitted(data, learning_rate=0.3, epochs=30, patience=1).heads["density"].state_dict()
    losses = [loss for head, loss, _ in seen if head is seen[0][0]]
    best = int(np.argmin(losses))
    assert len(losses) - 1 - best == 1
    assert all(torch.equal(found[name], seen[best][2][name]) for name in found)


def test_a_loss_that_is_not_finite(data: LabelledGraphs) -> None:
    with pytest.raises(TrainingError, match=r"head density: the loss is not finite.*head_fit\.learning_rate"):
        fitted(data, learning_rate=1e30)


def test_a_background_without_events(data: LabelledGraphs) -> None:
    with pytest.raises(TrainingError, match="class top: no events"):
        fitted(data.select(targets(data) != 1))


def test_a_training_with_all_of_it(sample: Path, tmp_path: Path) -> None:
    """Through YAML, checkpoint and scorer; with no heads and terms the checkpoint has none of it."""
    plain = CONFIG.model_dump(mode="json") | {"fit": {"epochs": 1, "batch_size": 256}, "split": {"training": 0.75}}
    more = copy.deepcopy(plain)
    more["heads"] = [head.model_dump(mode="json") for head in HEADS]
    more["head_fit"] = {"epochs": 1}
    more["fit"] |= {
        "contrastive": {"weight": 0.5},
        "decorrelate": {"observable": "hardness", "weight": 1.0},
    }
    for name, config in (("plain", plain), ("more", more)):
        path = tmp_path / f"{name}.safetensors"
        train(TrainingConfig.model_validate(config), [Source(str(sample))], path, device="cpu")
    without, found = (load(tmp_path / f"{name}.safetensors") for name in ("plain", "more"))
    assert not without.metadata.definition.heads and not without.network.heads
    assert found.metadata.definition.heads == HEADS
    assert found.metadata.model_hash != without.metadata.model_hash
    names = set(found.network.state_dict()) - set(without.network.state_dict())
    assert names and all(name.startswith("heads.") for name in names)
    names_of_heads = tuple(head.name for head in HEADS)
    assert Scorer(tmp_path / "more.safetensors", device="cpu").names == ("interest", *names_of_heads)
