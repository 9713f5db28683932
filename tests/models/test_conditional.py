"""The head that compares an event with background as hard as it is."""

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ConditionalHead
from hepfilter.events.observables import OBSERVABLES, observe
from hepfilter.graphs.build import build_padded
from hepfilter.models.architectures import build_network
from hepfilter.models.conditional import Conditional, hardness_of, interest_of
from hepfilter.models.interest import interest
from hepfilter.statistics.conditional import LEVELS, ConditionalQuantiles
from tests.graph_records import definition, random_record

OBJECTS = load_graph_specification("objects")
TABLE = ConditionalQuantiles(
    np.array([2.0, 3.0, 5.0]), np.outer([1.0, 2.0, 4.0], LEVELS) + np.array([[0.0], [1.0], [1.0]])
)
"""Where −ln p is the score, less 0 or 1, over the slope."""


def settled(knots: int = 6) -> Conditional:
    head = Conditional(knots)
    head.settle(TABLE)
    return head


@pytest.mark.parametrize(
    ("ln_hardness", "score", "expected"),
    [
        (2.0, 1.5, 1.5),  # at a knot
        (3.0, 1.0 + 2.0 * 1.5, 1.5),
        (2.5, 0.5 + 1.5 * 4.6, 4.6),  # between two
        (4.0, 1.0 + 3.0 * 1.5, 1.5),
        (0.0, 1.5, 1.5),  # outside: as at the nearest knot
        (9.0, 1.0 + 4.0 * 1.5, 1.5),
        (2.0, 50.0, 50.0),  # beyond the last level the slope goes on
        (2.0, -3.0, 0.0),  # below all background
    ],
)
def test_it_reads_the_table_between_its_knots_and_beyond(ln_hardness: float, score: float, expected: float) -> None:
    for knots in (3, 6):
        found = settled(knots)(torch.tensor([score]), torch.tensor([ln_hardness]).expm1())
        assert found.item() == pytest.approx(expected, abs=1e-4)


def test_scores_are_finite_without_objects_and_with_endless_ones() -> None:
    hardness = torch.tensor([0.0, 1e30, torch.inf])
    found = settled()(torch.tensor([5.0, 5.0, 5.0]), hardness)
    assert found.isfinite().all()
    assert found[1] == found[2]
    assert Conditional(4)(torch.tensor([5.0]), hardness[:1]).isfinite().all()  # not settled yet


def test_hardness_is_that_of_the_objects_of_the_graph() -> None:
    record = random_record(300)
    found, known = hardness_of(build_padded(record, OBJECTS)).numpy(), observe(record)[:, OBSERVABLES.index("hardness")]
    assert np.corrcoef(found, known)[0, 1] > 0.9
    assert (found <= known * (1 + 1e-5)).all()  # it has no taus, and no soft jets


def test_interest_is_that_of_the_model() -> None:
    classes = [
        c.model_copy(update={"prior": prior})
        for c, prior in zip(definition(OBJECTS).classes, (300.0, 3.0, 1.0, 2.0), strict=True)
    ]
    logits = 5 * torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    difference = interest_of(logits, classes).numpy() - interest(logits.numpy(), classes)
    assert difference == pytest.approx(np.full(50, difference[0]), abs=1e-5)


def test_the_network_gives_it_what_it_sees() -> None:
    with_head = definition(OBJECTS).model_copy(update={"heads": (ConditionalHead(name="contrast", knots=4),)})
    network = build_network(with_head).eval()
    head = network.heads["contrast"]
    assert isinstance(head, Conditional)
    head.settle(TABLE)
    graphs = build_padded(random_record(40), OBJECTS)
    with torch.inference_mode():
        outputs = network.all_outputs(graphs)
        expected = head(interest_of(outputs[:, :4], with_head.classes), hardness_of(graphs))
    assert torch.equal(outputs[:, 4], expected)
    assert not list(head.parameters())
    assert {name for name in network.state_dict() if "contrast" in name} == {
        "heads.contrast.knots", "heads.contrast.scores",
    }  # fmt: skip
