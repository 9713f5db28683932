"""The fixed list of objects of a first-level trigger."""

import numpy as np
import pytest

from hepfilter.events.first_level import FIRST_LEVEL_OBJECTS, first_level_objects
from tests.graph_records import random_record, record_of


def test_every_object_has_its_place() -> None:
    record = record_of(
        2,
        met=[[], [{"pt": 7.0, "phi": 1.0}]],
        electron=[[], [{"pt": 30.0, "eta": 1.0}, {"pt": 10.0}]],
        photon=[[], [{"pt": 20.0, "phi": 2.0}]],
        muon=[[], [{"pt": 15.0, "eta": -2.0}]],
        jet=[[], [{"pt": 100.0 - n} for n in range(12)]],
    )
    objects = first_level_objects(record)
    assert objects.shape == (2, FIRST_LEVEL_OBJECTS, 3) and objects.dtype == np.float32
    assert not objects[0].any()
    expected = {0: (7, 0, 1), 1: (30, 1, 0), 2: (20, 0, 2), 3: (10, 0, 0), 4: (0, 0, 0), 5: (15, -2, 0), 6: (0, 0, 0)}
    assert {place: tuple(objects[1, place].tolist()) for place in expected} == expected
    assert objects[1, 9:, 0].tolist() == pytest.approx([100 - n for n in range(10)])


def test_events_do_not_mix() -> None:
    record = random_record(30)
    assert np.array_equal(first_level_objects(record)[11:17], first_level_objects(record[11:17]))
