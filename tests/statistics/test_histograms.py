"""Histograms as plain data."""

import json

import numpy as np
import pytest

from hepfilter.statistics.histograms import Histogram

EDGES = np.array([0.0, 1.0, 2.0, 4.0])


def same(one: Histogram, other: Histogram) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_bins_hold_their_lower_edge_and_the_outer_ones_what_lies_beyond():
    values, weights = np.array([-5, 0, 0.5, 1, 3.9, 4, 99]), np.array([1, 2, 3, -4, 5, 6, 7.0])
    found = Histogram.of(values, EDGES, weights)
    assert found.counts.tolist() == [3, 1, 3]
    assert found.weights.tolist() == [6, -4, 18]
    assert found.squares.tolist() == [14, 16, 110]
    assert Histogram.of(values, EDGES).weights.tolist() == [3, 1, 3]


def test_parts_add_up_and_other_bins_do_not():
    values = np.linspace(-1, 5, 50)
    whole = Histogram.of(values, EDGES)
    assert same(Histogram.of(values[:20], EDGES) + Histogram.of(values[20:], EDGES), whole)
    with pytest.raises(ValueError, match="different bins"):
        whole + Histogram.of(values, EDGES + 1)


@pytest.mark.parametrize("values", [[1.5, 1.7], [0.5, 3.0], []])
def test_it_comes_back_from_json(values):
    found = Histogram.of(np.array(values), EDGES, np.full(len(values), 0.1))
    data = json.loads(json.dumps(found.plain()))
    assert len(data["counts"]) == len(set(np.digitize(values, EDGES))) + (values == [0.5, 3.0])
    back = Histogram.from_plain(data, EDGES)
    assert same(back, found) and back.counts.dtype == found.counts.dtype


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        Histogram.of(np.array([np.nan]), EDGES)
    part = [1.0, 2.0]
    with pytest.raises(ValueError, match="do not lie in 3"):
        Histogram.from_plain({"first": 2, "counts": part, "weights": part, "squares": part}, EDGES)
    with pytest.raises(ValueError, match="do not lie in 3"):
        Histogram.from_plain({"first": 0, "counts": part, "weights": part, "squares": [1.0]}, EDGES)
