"""Neighbours against a brute-force search."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hepfilter.graphs.neighbours import nearest_by, nearest_in_features, nearest_neighbours


def momenta_of(eta: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.ones_like(eta), eta, phi, torch.zeros_like(eta)], dim=-1)


def brute_force(eta: list[float], phi: list[float], mask: list[bool], k: int) -> list[list[int]]:
    """In float32 like the code; ties by index, since sorting is stable."""
    result = []
    for i in range(len(eta)):
        distances = []
        for j in range(len(eta)):
            if i != j and mask[i] and mask[j]:
                a, b = torch.tensor(phi[i]), torch.tensor(phi[j])
                turn = (a - b) / (2 * math.pi)
                d_phi = (a - b) - (2 * math.pi) * turn.round()
                d_eta = torch.tensor(eta[i]) - torch.tensor(eta[j])
                distances.append(((d_eta * d_eta + d_phi * d_phi).item(), j))
        result.append([j for _, j in sorted(distances)[:k]])
    return result


def as_lists(neighbours) -> list[list[list[int]]]:  # type: ignore[no-untyped-def]
    return [
        [index[valid].tolist() for index, valid in zip(*event, strict=True)]
        for event in zip(neighbours.index, neighbours.valid, strict=True)
    ]


@pytest.mark.parametrize("k", [1, 3, 16])
def test_against_brute_force(k: int) -> None:
    generator = torch.Generator().manual_seed(k)
    eta = torch.randn(40, 9, generator=generator)
    phi = (torch.rand(40, 9, generator=generator) - 0.5) * 2 * math.pi
    mask = torch.arange(9) < torch.arange(40).remainder(10).unsqueeze(1)  # 0 to 9 nodes
    found = as_lists(nearest_neighbours(momenta_of(eta, phi), mask, k=k))
    for event in range(40):
        assert found[event] == brute_force(eta[event].tolist(), phi[event].tolist(), mask[event].tolist(), k)


coordinate = st.sampled_from([-3.0, -1.0, 0.0, 0.0, 1.0, 3.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=8), st.integers(1, 9))
def test_ties_go_to_the_lower_index(points: list[tuple[float, float]], k: int) -> None:
    eta, phi = (torch.tensor([[point[axis] for point in points]]) for axis in (0, 1))
    mask = torch.ones(1, len(points), dtype=torch.bool)
    found = as_lists(nearest_neighbours(momenta_of(eta, phi), mask, k=k))
    assert found[0] == brute_force(eta[0].tolist(), phi[0].tolist(), [True] * len(points), k)


def test_phi_wraps() -> None:
    phi = torch.tensor([[3.1, -3.1, 2.5]])
    found = nearest_neighbours(momenta_of(torch.zeros(1, 3), phi), torch.ones(1, 3, dtype=torch.bool), k=1)
    assert found.index[0, :, 0].tolist() == [1, 0, 0]


def test_few_nodes_have_few_neighbours() -> None:
    mask = torch.tensor([[False] * 4, [True, False, False, False], [True, True, False, False], [True] * 4])
    found = nearest_neighbours(torch.zeros(4, 4, 4), mask, k=3)
    assert found.valid.sum((1, 2)).tolist() == [0, 0, 2, 12]
    assert found.index[~found.valid].unique().tolist() == [0]
    assert nearest_neighbours(torch.zeros(0, 4, 4), mask[:0], k=3).index.shape == (0, 4, 3)
    assert nearest_neighbours(torch.zeros(1, 1, 4), mask[:1, :1], k=3).index.shape == (1, 1, 1)


@pytest.mark.parametrize("k", [1, 4, 9])
def test_in_a_space_of_features_against_brute_force(k: int) -> None:
    """On a lattice all distances are exact, so that ties are ties; also in bfloat16 it is computed in float32."""
    generator = torch.Generator().manual_seed(k)
    x = torch.randint(-3, 4, (30, 9, 5), generator=generator).float()
    mask = torch.arange(9) < torch.arange(30).remainder(10).unsqueeze(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = as_lists(nearest_in_features(x + 0.25, mask, k=k))
    for event in range(30):
        nodes = range(int(mask[event].sum()))
        distances = {(i, j): float((x[event, i] - x[event, j]).square().sum()) for i in nodes for j in nodes}
        for i in nodes:
            assert found[event][i] == sorted((j for j in nodes if j != i), key=lambda j: (distances[i, j], j))[:k]


def test_what_is_negative_by_rounding_counts_as_nothing() -> None:
    distance = torch.tensor(
        [[0.0, -1e-3, -0.0, 0.0], [1.0, 0.0, 0.5, 0.0], [-2.0, -1.0, 0.0, -0.0], [3.0, 2.0, 1.0, 0.0]]
    )
    found = nearest_by(distance.unsqueeze(0), torch.ones(1, 4, dtype=torch.bool), k=2)
    assert found.index[0].tolist() == [[1, 2], [3, 2], [0, 1], [2, 1]]
