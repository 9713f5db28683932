"""The further terms of the loss, against their definitions written out."""

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EventClass
from hepfilter.config.training import Contrastive, Decorrelate, Fit
from hepfilter.graphs.build import build_padded
from hepfilter.models.interest import interest, interest_of
from hepfilter.training.batches import Batch
from hepfilter.training.module import Classifier
from hepfilter.training.objectives import squared_distance_correlation, supervised_contrastive
from tests.graph_records import network, random_record

OBJECTS = load_graph_specification("objects")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_contrastive_term_is_that_of_the_paper() -> None:
    projected, targets, weights = normal(9, 4), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3]), torch.linspace(0.5, 2, 9)
    unit = (projected / projected.norm(dim=1, keepdim=True)).double().numpy()
    total = 0.0
    for i in range(9):
        others = [a for a in range(9) if a != i]
        positives = [p for p in others if targets[p] == targets[i]]
        norm = sum(np.exp(unit[i] @ unit[a] / 0.2) for a in others)
        terms = [np.log(np.exp(unit[i] @ unit[p] / 0.2) / norm) for p in positives]
        total += float(weights[i]) * -sum(terms) / max(len(positives), 1)
    found = supervised_contrastive(7 * projected, targets, weights, temperature=0.2)
    assert found.item() == pytest.approx(total / 9, rel=1e-5)


def test_the_contrastive_term_is_lowest_where_classes_lie_together() -> None:
    targets = torch.arange(40) % 2
    apart = torch.stack([1.0 - targets, targets.float()], dim=1) + 0.01 * normal(40, 2)
    mixed, weights = normal(40, 2, seed=1), torch.ones(40)
    losses = [supervised_contrastive(x, targets, weights, temperature=0.1) for x in (apart, mixed)]
    assert losses[0] < losses[1] - 0.5


def test_one_event_has_no_contrast() -> None:
    alone = normal(1, 3).requires_grad_()
    loss = supervised_contrastive(alone, torch.tensor([0]), torch.ones(1), temperature=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert alone.grad is not None and alone.grad.isfinite().all()


def test_the_distance_correlation_is_that_of_its_definition() -> None:
    x, y, w = (normal(60, seed=seed).double().numpy() for seed in (1, 2, 3))
    y, w = y + x**2, np.exp(w)
    p = w / w.sum()

    def centred(v: np.ndarray) -> np.ndarray:
        d = np.abs(v[:, None] - v[None])
        return d - (d @ p)[None] - (d @ p)[:, None] + p @ d @ p

    a, b, pairs = centred(x), centred(y), p[:, None] * p[None]
    expected = (pairs * a * b).sum() / np.sqrt((pairs * a * a).sum() * (pairs * b * b).sum())
    found = squared_distance_correlation(*(torch.from_numpy(v).float() for v in (x, y, w)))
    assert found.item() == pytest.approx(expected, rel=1e-4)
    assert 0.05 < expected < 1


def test_it_sees_what_correlation_does_not() -> None:
    x, weights = normal(2000), torch.ones(2000)
    assert squared_distance_correlation(x, x, weights).item() == pytest.approx(1.0, rel=1e-4)
    assert squared_distance_correlation(x, x**2, weights) > 0.1
    assert squared_distance_correlation(x, normal(2000, seed=1), weights) < 0.01
    assert squared_distance_correlation(x, torch.ones(2000), weights).item() == 0.0
    assert squared_distance_correlation(x[:1], x[:1], weights[:1]).item() == 0.0


def test_the_interest_with_gradients_is_the_interest() -> None:
    named = (("qcd", False, 3.0), ("top", False, 0.5), ("x", True, 2.0), ("y", True, 1.0))
    classes = tuple(EventClass(name=name, is_signal=signal, prior=prior) for name, signal, prior in named)
    logits = 5 * normal(30, 4)
    assert interest_of(logits, classes).numpy() == pytest.approx(interest(logits.numpy(), classes), abs=1e-5)


def batch_of(n_events: int, targets: torch.Tensor, weights: torch.Tensor, *, seed: int = 0) -> Batch:
    """Random events whose hardness is that of their nodes."""
    graphs = build_padded(random_record(n_events, seed=seed), OBJECTS)
    hardness = graphs.momenta[..., 0].masked_fill(~graphs.mask, 0.0).sum(1)
    return Batch(graphs, targets, weights, hardness.log1p())


def module(**options: object) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Classifier(network(OBJECTS), Fit(**options), steps=1)  # type: ignore[arg-type]


def test_the_terms_are_added_with_their_weights() -> None:
    batch = batch_of(80, torch.arange(80) % 4, torch.linspace(0.5, 1.5, 80))
    plain = module()._loss(batch).item()
    for option, weight in (("contrastive", {}), ("decorrelate", {"observable": "hardness"})):
        terms = [module(**{option: {"weight": w, **weight}})._loss(batch).item() - plain for w in (0.5, 2.0)]
        assert terms[0] > 1e-4
        assert terms[1] == pytest.approx(4 * terms[0], rel=1e-3)


def test_only_background_is_decorrelated() -> None:
    """Classes 0 and 1 are background: what signals look like does not matter to the term."""
    further = module(decorrelate={"weight": 1.0, "observable": "hardness"}).further
    targets = torch.arange(80) % 4
    latent, logits = normal(80, 16), normal(80, 4)
    other = torch.where((targets >= 2).unsqueeze(1), normal(80, 4, seed=2), logits)
    batch = batch_of(80, targets, torch.ones(80))
    assert further(latent, other, batch).item() == further(latent, logits, batch).item()
    assert further(latent, normal(80, 4, seed=3), batch).item() != further(latent, logits, batch).item()


def test_the_penalty_can_be_trained_away() -> None:
    """A score of background that is just its hardness becomes one that has nothing to do with it."""
    batch = batch_of(120, torch.zeros(120, dtype=torch.int64), torch.ones(120), seed=4)
    trained = module(decorrelate=Decorrelate(observable="hardness", weight=1.0))
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    terms = []
    for _ in range(15):
        latent = trained.network.embed_padded(batch.graphs)
        term = trained.further(latent, trained.network.classify(latent), batch)
        terms.append(term.item())
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
    assert terms[0] > 0.03
    assert terms[-1] < 0.5 * terms[0]


def test_the_projection_learns_and_is_no_part_of_the_network() -> None:
    trained = module(contrastive=Contrastive(weight=1.0, width=8))
    trained._loss(batch_of(40, torch.arange(40) % 4, torch.ones(40))).backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in trained.further.parameters())
    optimised = {id(w) for group in trained.configure_optimizers()["optimizer"].param_groups for w in group["params"]}
    assert optimised >= {id(weight) for weight in trained.further.parameters()}
    assert set(trained.network.state_dict()) == set(network(OBJECTS).state_dict())
