"""Objects that share energy are counted once."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hepfilter.events.overlap import all_pairs, near_pairs, remove_overlaps
from hepfilter.events.record import Objects, offsets_of
from tests.events.generated_events import flat_objects


def at(*points: tuple[float, float, float]) -> Objects:
    """One event with objects at (pt, eta, phi)."""
    columns = {name: np.array([p[i] for p in points], np.float32) for i, name in enumerate(("pt", "eta", "phi"))}
    return Objects.from_counts(np.array([len(points)]), columns | {"mass": np.zeros(len(points), np.float32)})


def pts(result: dict[str, Objects]) -> dict[str, list[float]]:
    return {name: objects.columns["pt"].tolist() for name, objects in result.items()}


def test_an_isolated_electron_replaces_its_jet_photon_and_tau() -> None:
    result = remove_overlaps(
        {
            "electron": at((50, 1, 3.1)),
            "jet": at((55, 1.05, -3.1), (80, -1, 0)),  # the first across the seam in φ
            "photon": at((48, 1, 3.1)),
            "tau": at((52, 1, 3.1), (40, -2, 1)),
        }
    )
    assert pts(result) == {"electron": [50], "jet": [80], "photon": [], "tau": [40]}


def test_an_electron_along_a_muon_is_the_muon() -> None:
    collections = {"muon": at((40, 0, 0)), "electron": at((38, 0.03, 0.03), (30, 0.06, 0))}
    assert pts(remove_overlaps(collections)) == {"muon": [40], "electron": [30]}


def test_a_soft_lepton_in_a_hard_jet_is_part_of_it() -> None:
    result = remove_overlaps({"muon": at((20, 0, 0), (30, 2, 0)), "jet": at((200, 0.2, 0))})
    assert pts(result) == {"muon": [30], "jet": [200]}


def test_collimated_leptons_replace_the_jet_that_they_make_together() -> None:
    """Neither carries half of the jet, both do: a boosted Z or dark photon to two electrons."""
    result = remove_overlaps({"electron": at((60, 0, 0), (45, 0.2, 0)), "jet": at((130, 0.1, 0))})
    assert pts(result) == {"electron": [60, 45], "jet": []}


def test_a_tau_leaves_its_jet_alone() -> None:
    assert pts(remove_overlaps({"tau": at((50, 0, 0)), "jet": at((55, 0, 0))})) == {"tau": [50], "jet": [55]}


def test_met_fatjets_and_particles_are_untouched() -> None:
    collections = {name: at((50, 0, 0)) for name in ("muon", "met", "fatjet", "particle")}
    assert pts(remove_overlaps(collections)) == {name: [50] for name in collections}


def test_no_overlap_across_events() -> None:
    lepton, jet = at((50, 0, 0)), at((55, 0, 0))
    first = Objects(np.array([0, 1, 1]), lepton.columns)
    second = Objects(np.array([0, 0, 1]), jet.columns)
    assert pts(remove_overlaps({"muon": first, "jet": second})) == {"muon": [50], "jet": [55]}


FIVE = ("jet", "muon", "electron", "photon", "tau")


@settings(max_examples=60)
@given(st.fixed_dictionaries({name: flat_objects(n_events=3) for name in FIVE}))
def test_leptons_are_left_near_no_lepton_and_nothing_is_made_up(collections: dict[str, Objects]) -> None:
    result = remove_overlaps(collections)
    for name in ("muon", "electron"):
        assert len(near_pairs(result["tau"], result[name], 0.4)[0]) == 0
        assert len(near_pairs(result["photon"], result[name], 0.4)[0]) == 0
    for name in FIVE:
        left = set(zip(result[name].event.tolist(), *(c.tolist() for c in result[name].columns.values()), strict=True))
        given = set(
            zip(
                collections[name].event.tolist(), *(c.tolist() for c in collections[name].columns.values()), strict=True
            )
        )
        assert left <= given


def test_an_electron_between_two_jets_belongs_to_its_own() -> None:
    """Its own jet is made of it and goes; the other, within the cone too, keeps it from nothing."""
    collections = {"electron": at((50, 0.0, 0.0)), "jet": at((55, 0.01, 0.0), (150, 0.38, 0.0))}
    assert pts(remove_overlaps(collections)) == {"electron": [50], "jet": [150]}


def by_loops(collections: dict[str, Objects]) -> dict[str, list[int]]:
    """The indices of the objects that the rule leaves, one pair at a time."""

    def distance(a: str, i: int, b: str, j: int) -> float:
        one, other = collections[a], collections[b]
        if one.event[i] != other.event[j]:
            return math.inf
        d_phi = abs(float(one.columns["phi"][i]) - float(other.columns["phi"][j]))
        d_eta = float(one.columns["eta"][i]) - float(other.columns["eta"][j])
        return math.hypot(d_eta, min(d_phi, 2 * math.pi - d_phi))

    def near(a: str, i: int, b: str, j: int, radius: float) -> bool:
        return distance(a, i, b, j) < radius

    left = {name: list(range(len(objects))) for name, objects in collections.items()}
    for name, others, radius in (
        ("electron", ["muon"], 0.05),
        ("photon", ["muon", "electron"], 0.4),
        ("tau", ["muon", "electron"], 0.4),
    ):
        left[name] = [i for i in left[name] if not any(near(name, i, o, j, radius) for o in others for j in left[o])]
    gone: dict[str, set[int]] = {name: set() for name in collections}
    home = {
        (n, i): min(left["jet"], key=lambda j, n=n, i=i: (round(distance(n, i, "jet", j), 5), j), default=None)
        for n in ("muon", "electron", "photon")
        for i in left[n]
    }
    for j in left["jet"]:
        inside = [(n, i) for (n, i), nearest in home.items() if nearest == j and near(n, i, "jet", j, 0.4)]
        carried = sum(float(collections[n].columns["pt"][i]) for n, i in inside)
        if inside and carried >= 0.5 * float(collections["jet"].columns["pt"][j]):
            gone["jet"].add(j)
        else:
            for name, i in inside:
                gone[name].add(i)
    return {name: [i for i in indices if i not in gone[name]] for name, indices in left.items()}


@settings(max_examples=60)
@given(st.fixed_dictionaries({name: flat_objects(n_events=2) for name in FIVE}))
def test_against_loops(collections: dict[str, Objects]) -> None:
    numbered = {name: o.with_columns(index=np.arange(len(o))) for name, o in collections.items()}
    result = remove_overlaps(numbered)
    assert {name: o.columns["index"].tolist() for name, o in result.items()} == by_loops(collections)


counts_lists = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=5)


@given(counts_lists)
def test_all_pairs_against_loops(counts: list[tuple[int, int]]) -> None:
    left, right = offsets_of(np.array([c[0] for c in counts], int)), offsets_of(np.array([c[1] for c in counts], int))
    expected = [
        (i, j)
        for event in range(len(counts))
        for i in range(left[event], left[event + 1])
        for j in range(right[event], right[event + 1])
    ]
    i, j = all_pairs(left, right)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected
