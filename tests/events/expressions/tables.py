"""Small tables of events, written down event by event, as the columns that an expression takes."""

from collections.abc import Sequence

import numpy as np

from hepfilter.events.expressions import Column, parse_expression


def scalars(values: Sequence, dtype: str) -> Column:
    return Column(np.array(values, dtype))


def lists(events: Sequence[Sequence], dtype: str) -> Column:
    offsets = np.cumsum([0, *map(len, events)]).astype(np.int64)
    return Column(np.array([value for event in events for value in event], dtype), offsets)


def passing(text: str, columns: dict[str, Column], count: int) -> list[int]:
    """The numbers of the events that pass."""
    return np.flatnonzero(parse_expression(text, columns).passes(columns, count)).tolist()


# Four events with 0, 1, 2 and 3 muons; the last has a muon of unknown pt.
MUONS = {
    "nMuon": scalars([0, 1, 2, 3], "uint32"),
    "Muon_pt": lists([[], [20.1], [50, 20], [30, np.nan, 5]], "float32"),
    "Muon_eta": lists([[], [1.0], [-2.5, 0.5], [0, 1, 3]], "float32"),
    "Muon_phi": lists([[], [3.0], [-3.0, 3.0], [0, 1, 2]], "float32"),
    "Muon_charge": lists([[], [1], [1, -1], [-1, -1, 1]], "int32"),
    "Muon_tight": lists([[], [True], [True, False], [False, True, True]], "bool"),
    "Muon_jet": lists([[], [-1], [1, 0], [0, 2, 9]], "int16"),
    "nJet": scalars([1, 0, 3, 2], "uint8"),
    "Jet_pt": lists([[40], [], [90, 60, 30], [80, 70]], "float64"),
    "MET": scalars([np.nan, -7.5, 2.0, 0.0], "float64"),
    "event": scalars([2**53 + 1, 2**64 - 1, 5, 7], "uint64"),
    "signed": scalars([-(2**62) - 1, 2**62 + 1, -(2**63), 0], "int64"),
    "flag": scalars([False, True, False, True], "bool"),
    "Jet.PT": scalars([1, 2, 3, 4], "float32"),
    "MET_Core_AnalysisMETAuxDyn.mpx": scalars([1, 2, 3, 4], "float32"),
    "HLT_Mu50": scalars([True, True, False, False], "bool"),
    "size": scalars([1, 0, 0, 1], "int8"),
}
COUNT = 4


def which(text: str) -> list[int]:
    """The events of MUONS that pass."""
    return passing(text, MUONS, COUNT)
