"""The head that compares an event with background as hard as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ConditionalHead
from hepfilter.errors import CheckpointError
from hepfilter.events.observables import OBSERVABLES, observe
from hepfilter.graphs.build import build_padded
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load, save
from hepfilter.models.conditional import Conditional, hardness_of
from hepfilter.models.interest import interest_of
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


@pytest.mark.parametrize("name", ["knots", "scores"])
def test_a_table_that_does_not_rise_is_no_sound_checkpoint(tmp_path: Path, name: str) -> None:
    network = build_network(definition(OBJECTS).model_copy(update={"heads": (ConditionalHead(name="contrast"),)}))
    save(network, tmp_path / "m.safetensors", provenance={})
    load(tmp_path / "m.safetensors")
    getattr(network.heads["contrast"], name).view(-1)[0] = 1.0
    save(network, tmp_path / "n.safetensors", provenance={})
    with pytest.raises(CheckpointError, match="the table of its head contrast does not rise; train it anew"):
        load(tmp_path / "n.safetensors")


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


def test_the_network_gives_it_what_it_sees() -> None:
    with_head = definition(OBJECTS).model_copy(update={"heads": (ConditionalHead(name="contrast", knots=4),)})
    network = build_network(with_head).eval()
    head = network.heads["contrast"]
    assert isinstance(head, Conditional)
    head.settle(ConditionalQuantiles(TABLE.knots, 0.2 * TABLE.scores - 1.0))  # about the interest of its events
    graphs = build_padded(random_record(40), OBJECTS)
    with torch.inference_mode():
        outputs = network.all_outputs(graphs)
        expected = head(interest_of(outputs[:, :4], with_head.classes), hardness_of(graphs))
    assert torch.equal(outputs[:, 4], expected)
    assert len(expected.unique()) > 20
    assert not list(head.parameters())
    assert {name for name in network.state_dict() if "contrast" in name} == {
        "heads.contrast.knots", "heads.contrast.scores",
    }  # fmt: skip
