"""Events to be drawn, without files or models."""

from hepfilter.evaluation.displayed import DisplayedEdge, DisplayedEvent, DisplayedObject


def make_event(**changes) -> DisplayedEvent:
    """Two muons, a jet that crosses ±π, a fat jet, missing momentum; of its four nodes all six edges."""
    objects = (
        DisplayedObject("jet", 1, "jet", 80.0, 1.0, 3.0, 9.0, carried=-0.5),
        DisplayedObject("fatjet", 1, "fatjet", 300.0, -1.0, 0.5, 80.0),
        DisplayedObject("muon", 1, "muon", 120.0, 0.5, -3.0, 0.1, charge=-1.0, carried=2.0),
        DisplayedObject("muon", 2, "muon", 90.0, -0.5, 0.2, 0.1, charge=1.0, carried=1.0),
        DisplayedObject("met", 1, "met", 50.0, 0.0, 1.5, 0.0, carried=0.25),
    )
    carried = {(0, 2): -0.25, (0, 3): 0.125, (0, 4): 0.0625, (2, 3): 1.5, (2, 4): 0.5, (3, 4): 0.03125}
    edges = tuple(DisplayedEdge(first, second, value) for (first, second), value in carried.items())
    options = {
        "file": "/somewhere/data.root",
        "entry": 7,
        "schema": "nanoaod",
        "identity": (1, 22, 333),
        "radii": {"jet": 0.4, "fatjet": 0.8},
        "objects": objects,
        "edges": edges,
        "scores": {"interest": 4.5, "pvalue": 1.25e-4},
        "paths": ("dimuon", "odd"),
        "streams": ("physics",),
        "model": "interest-objects",
        "score": 4.5,
    }
    return DisplayedEvent(**options | changes)


def unexplained(event: DisplayedEvent) -> DisplayedEvent:
    """The same as it is read without a model."""
    from dataclasses import replace

    objects = tuple(replace(one, carried=None) for one in event.objects)
    return replace(event, objects=objects, edges=(), model=None, score=None)


def with_particles(number: int) -> DisplayedEvent:
    """An event of nothing but particles of all kinds, those that a model looks at and others."""
    kinds = ("charged_hadron", "neutral_hadron", "photon", "electron", "muon", "particle")
    objects = tuple(
        DisplayedObject(
            "particle", place + 1, kinds[place % 6], 100.0 / (place + 1), (place % 9) - 4.0, (place % 61) / 10 - 3.0,
            mass=0.1, carried=0.01 * (place % 7 - 3) if place < 64 else None,
        )
        for place in range(number)
    )  # fmt: skip
    edges = tuple(DisplayedEdge(place, place + 1, 0.001 * place) for place in range(60))
    return make_event(objects=objects, edges=edges, paths=(), streams=())


EMPTY = make_event(objects=(), edges=(), scores={}, paths=(), streams=(), identity=None)
