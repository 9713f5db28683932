"""Heads on the latent vector: the densities and distances that they are said to be."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import Tensor

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import FlowHead, HeadDefinition, MahalanobisHead, ModelDefinition, SvddHead
from hepfilter.errors import ConfigError
from hepfilter.models.architectures import build_network
from hepfilter.models.density import Flow, LatentHead, Mahalanobis, Svdd
from tests.graph_records import definition

WIDTH = 7
KINDS = [FlowHead(name="density", couplings=4, width=8), SvddHead(name="sphere"), MahalanobisHead(name="centres")]


def latent(n_events: int = 4000, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Correlated latent vectors of two classes, as a ReLU leaves them, with one component that never fires."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(n_events) % 2
    x = torch.randn(n_events, WIDTH, generator=generator) @ torch.randn(WIDTH, WIDTH, generator=generator)
    x = torch.relu(x + 3 * classes.unsqueeze(1))
    x[:, 3] = 0.0
    return x, torch.rand(n_events, generator=generator) + 0.1, classes


def stirred(head: LatentHead) -> LatentHead:
    """With weights that are no longer those of the beginning."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return head


def with_heads(*heads: HeadDefinition) -> ModelDefinition:
    return definition(load_graph_specification("objects")).model_copy(update={"heads": heads})


def test_whitened_background_has_mean_0_and_unit_covariance() -> None:
    x, weights, classes = latent()
    head = Flow(WIDTH, couplings=2, width=8)
    head.prepare(x, weights, classes)
    found, w = head.whitened(x).double(), (weights / weights.sum()).double()
    assert (w @ found).abs().max() < 1e-5
    eigenvalues = torch.linalg.eigvalsh((found * w.unsqueeze(1)).t() @ found)
    assert torch.allclose(eigenvalues[1:], torch.ones(WIDTH - 1, dtype=torch.float64), atol=1e-4)
    assert eigenvalues[0] < 1e-10  # what never fires stays 0
    fires = x[:1].clone()
    fires[0, 3] = 1.0
    assert head.whitened(fires).abs().max() > 50  # and stands out when it does


def test_the_flow_is_a_density() -> None:
    """The score is the normal −ln p of where an event is carried, less ln |det J| by automatic differentiation."""
    torch.manual_seed(1)  # in some flows an input does not reach all outputs
    flow = stirred(Flow(WIDTH, couplings=6, width=8))

    def carried(x: Tensor) -> Tensor:
        for coupling in flow.couplings:  # type: ignore[attr-defined]
            x, _ = coupling(x)
        return x

    for x in torch.randn(5, 1, WIDTH, generator=torch.Generator().manual_seed(2)):
        jacobian = torch.autograd.functional.jacobian(carried, x)[0, :, 0, :]  # type: ignore[no-untyped-call]
        log_determinant = torch.linalg.slogdet(jacobian).logabsdet
        expected = 0.5 * (carried(x).square().sum() + WIDTH * math.log(2 * math.pi)) - log_determinant
        assert flow.score(x).item() == pytest.approx(expected.item(), abs=1e-4)
        assert log_determinant.abs() > 0.01
        assert (jacobian != 0).all()  # all depend on all


def test_a_fresh_flow_is_a_normal_distribution() -> None:
    x = torch.randn(50, WIDTH)
    expected = -torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)
    assert torch.allclose(Flow(WIDTH, couplings=4, width=8).score(x), expected, atol=1e-5)


def test_the_distance_from_the_centre_of_a_sphere_is_1_on_average() -> None:
    x, weights, classes = latent()
    head = stirred(Svdd(WIDTH, width=5, layers=2))
    with torch.no_grad():
        head.prepare(x, weights, classes)
        head.settle(x, weights)
        scores = head(x)
        away = head.net(head.whitened(x)) - head.centre_of_sphere  # type: ignore[operator]
    assert float((scores * weights).sum() / weights.sum()) == pytest.approx(1.0, rel=1e-4)
    assert torch.allclose(scores / scores[0], away.square().sum(1) / away[0].square().sum(), rtol=1e-4)
    assert head.centre_of_sphere.abs().min() >= 0.1 - 1e-6  # type: ignore[operator]
    assert not any(name.endswith("bias") for name, _ in head.named_parameters())


def test_the_distance_is_that_from_the_nearest_class() -> None:
    x, weights, classes = latent()
    x[:, 3] = torch.randn(len(x), generator=torch.Generator().manual_seed(3))
    head = Mahalanobis(WIDTH, 2)
    head.prepare(x, weights, classes)
    w, numbers = weights.double().numpy(), classes.numpy()
    centres = [np.average(x.numpy()[numbers == c], axis=0, weights=w[numbers == c]) for c in (0, 1)]
    away = x.numpy().astype(np.float64) - np.array(centres)[numbers]
    inverse = np.linalg.inv((away * w[:, None]).T @ away / w.sum())
    expected = [min(mahalanobis(event, c, inverse) ** 2 / 2 for c in centres) for event in x[:40].numpy()]
    assert head(x[:40]).numpy() == pytest.approx(expected, rel=1e-3)
    assert not list(head.parameters())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_events_far_away_score_high_and_finite(kind: HeadDefinition) -> None:
    x, weights, classes = latent()
    torch.manual_seed(7)
    head = build_network(with_heads(kind)).heads[kind.name]
    assert isinstance(head, LatentHead)
    wide = torch.nn.functional.pad(x, (0, len(head.centre) - WIDTH))
    with torch.no_grad():
        head.prepare(wide, weights, classes)
        head.settle(wide, weights)
        near, far = head(wide), head(wide * 1e30)
    assert far.isfinite().all()
    assert far[wide[:, 0] > 0].min() > near.median()


def test_heads_do_not_change_the_rest_and_want_no_gradients() -> None:
    torch.manual_seed(1)
    plain = build_network(with_heads()).state_dict()
    torch.manual_seed(1)
    network = build_network(with_heads(*KINDS))
    assert all(torch.equal(network.state_dict()[name], value) for name, value in plain.items())
    assert list(network.heads) == ["density", "sphere", "centres"]
    assert not any(weight.requires_grad for weight in network.heads.parameters())


def test_a_model_without_heads_is_written_as_before() -> None:
    assert "heads" not in with_heads().model_dump(mode="json")
    assert with_heads(*KINDS).model_dump(mode="json")["heads"][0] == {
        "name": "density", "kind": "flow", "mix": "classes", "couplings": 4, "width": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([{"name": "interest", "kind": "flow"}], "meaning of its own"),
        ([{"name": "density", "kind": "flow"}, {"name": "density", "kind": "svdd"}], "named twice"),
        ([{"name": "density", "kind": "flows"}], "flows"),
        ([{"name": "density", "kind": "flow", "layers": 3}], "layers"),
        ([{"name": "scarcity", "kind": "ratio", "mix": "nature"}], "mix"),
    ],
)
def test_heads_that_are_none(heads: list[dict[str, object]], message: str) -> None:
    from hepfilter.config.base import validate

    data = with_heads().model_dump(mode="json") | {"heads": heads}
    with pytest.raises(ConfigError, match=message):
        validate(data, ModelDefinition, where="here")
