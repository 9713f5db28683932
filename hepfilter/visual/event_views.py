"""What the pictures of an event have in common: how each kind of object looks, and where it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, remainder, sin, sqrt
from pathlib import PurePosixPath
from typing import Final

from hepfilter.errors import visible
from hepfilter.evaluation.displayed import DisplayedEdge, DisplayedEvent, DisplayedObject
from hepfilter.wording import counted

MAX_ETA: Final = 5.0
"""The η–φ view ends here; so do the jets of all experiments."""
MOST_EDGES: Final = 30
"""As many edges are drawn, those that carry most, unless one asks for more."""
MOST_BARS: Final = 10
_TITLES: Final = {"pvalue": "p-value", "combined": "combined p-value"}
_MOST_NAMES: Final = 6
_STEPS: Final = 24  # of the rim of a cone
_SIGN_HEIGHT: Final = 0.25  # in η and φ, about


@dataclass(frozen=True)
class Look:
    """`colour` is a place in `style.COLOURS`; `marker` matplotlib's, `shape` Vega's; `sign` a letter for labels."""

    title: str
    sign: str
    colour: int
    marker: str
    shape: str


LOOKS: Final[Mapping[str, Look]] = {
    "jet": Look("jet", "j", 2, "o", "circle"),
    "fatjet": Look("fat jet", "J", 4, "o", "circle"),
    "muon": Look("muon", "μ", 1, "^", "triangle-up"),
    "electron": Look("electron", "e", 0, "s", "square"),
    "photon": Look("photon", "γ", 3, "D", "diamond"),
    "tau": Look("tau", "τ", 5, "v", "triangle-down"),
    "met": Look("missing momentum", "MET", 7, ">", "triangle-right"),
    "charged_hadron": Look("charged hadron", "h", 6, "o", "circle"),
    "neutral_hadron": Look("neutral hadron", "n", 9, "o", "circle"),
    "particle": Look("particle", "p", 9, "o", "circle"),
}
"""By `DisplayedObject.kind`."""


def signs(event: DisplayedEvent) -> dict[str, str]:
    """``μ1``, ``MET`` by the name of each object but particles; of several that lie together the hardest has all."""
    named = sorted((one for one in event.objects if one.collection != "particle"), key=lambda one: -one.pt)
    groups: list[list[DisplayedObject]] = []
    for one in named:
        group = next((group for group in groups if _beside(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return {one.name: " ".join(map(_sign, group)) if one is group[0] else "" for group in groups for one in group}


def _sign(shown: DisplayedObject) -> str:
    own = LOOKS[shown.kind].sign
    return own if shown.kind == "met" else f"{own}{shown.number}"


def _beside(first: DisplayedObject, second: DisplayedObject) -> bool:
    """Whether their signs would cover one another; those of fat jets and of missing momentum stand elsewhere."""
    if {first.kind, second.kind} & {"fatjet", "met"}:
        return False
    apart = abs(remainder(first.phi - second.phi, 2 * pi))
    return max(abs(first.eta - second.eta), apart) < _SIGN_HEIGHT


def edge_name(event: DisplayedEvent, edge: DisplayedEdge) -> str:
    """``muon 1 – jet 2``."""
    return f"{event.objects[edge.first].name} – {event.objects[edge.second].name}"


def radius(pt: float) -> float:
    """How far from the beam an object is drawn in the transverse view: √pt, so that soft ones are seen."""
    return sqrt(pt)


def transverse(pt: float, phi: float) -> tuple[float, float]:
    """Where the tip of an object is in the transverse view."""
    return radius(pt) * cos(phi), radius(pt) * sin(phi)


def rings(event: DisplayedEvent) -> list[float]:
    """pt in GeV of three circles about the beam: 1, 2 or 5 times a power of ten, the largest not above the hardest."""
    hardest = max((one.pt for one in event.objects), default=100.0)
    steps = [base * 10.0**power for power in range(-1, 5) for base in (1, 2, 5)]
    inside = max(3, sum(step <= hardest for step in steps))
    return steps[inside - 3 : inside]


def quiet_direction(event: DisplayedEvent) -> float:
    """The φ farthest from all objects but particles: where the rings are labelled."""
    taken = [one.phi for one in event.objects if one.collection != "particle"]
    free = [pi * step / 12 for step in range(-12, 12)]
    return max(free, key=lambda phi: min((abs(remainder(phi - other, 2 * pi)) for other in taken), default=0.0))


def reach(event: DisplayedEvent) -> float:
    """Half the width of the transverse view."""
    return 1.2 * radius(max([*(one.pt for one in event.objects), rings(event)[-1]]))


def cone(shown: DisplayedObject, half_width: float) -> list[tuple[float, float]]:
    """The outline of a jet in the transverse view: from the beam to an arc of ±`half_width` in φ, and back."""
    steps = [shown.phi + half_width * (2 * step / _STEPS - 1) for step in range(_STEPS + 1)]
    return [(0.0, 0.0), *(transverse(shown.pt, phi) for phi in steps), (0.0, 0.0)]


def copies(shown: DisplayedObject, half_width: float) -> list[float]:
    """φ at which a circle is drawn so that it goes on at the other end of the view where it crosses ±π."""
    around = (shown.phi, shown.phi - 2 * pi, shown.phi + 2 * pi)
    return [phi for phi in around if -pi - half_width < phi < pi + half_width]


def segments(first: DisplayedObject, second: DisplayedObject) -> list[tuple[float, float, float, float]]:
    """(η, φ, η', φ') of the straight lines that join two objects the short way round: two where it crosses ±π."""
    turn = 2 * pi * round((second.phi - first.phi) / (2 * pi))
    if not turn:
        return [(first.eta, first.phi, second.eta, second.phi)]
    border = pi if turn < 0 else -pi
    near, far = abs(border - first.phi), abs(-border - second.phi)
    share = near / (near + far) if near + far else 0.5
    eta = first.eta + share * (second.eta - first.eta)
    return [(first.eta, first.phi, eta, border), (eta, -border, second.eta, second.phi)]


def in_plane(*ends: DisplayedObject) -> bool:
    """Whether all have an η: missing momentum has none, and no place in the η–φ view."""
    return all(one.kind != "met" for one in ends)


def strongest(edges: Sequence[DisplayedEdge], most: int) -> list[DisplayedEdge]:
    """The `most` edges that carry most, whether they raise or lower the score."""
    return sorted(edges, key=lambda edge: -abs(edge.carried))[:most]


def carriers(event: DisplayedEvent) -> list[tuple[int, DisplayedObject]]:
    """(place, object) of those that carry most, whether they raise or lower the score; the most first."""
    known = [(place, one) for place, one in enumerate(event.objects) if one.carried is not None]
    return sorted(known, key=lambda item: -abs(item[1].carried or 0.0))[:MOST_BARS]


def raising(event: DisplayedEvent) -> list[str]:
    """The names of the three objects that raise the score most, the most first."""
    return [one.name for _, one in carriers(event) if (one.carried or 0.0) > 0][:3]


def most_carried(event: DisplayedEvent) -> float:
    """The largest that an object carries, up or down; 1 where none carries anything."""
    return max((abs(one.carried) for one in event.objects if one.carried), default=1.0)


def kinds(event: DisplayedEvent) -> list[str]:
    """The kinds of objects that the event has, in the order of `LOOKS`."""
    there = {one.kind for one in event.objects}
    return [kind for kind in LOOKS if kind in there]


def title(event: DisplayedEvent) -> str:
    """``Run 1, lumi 2, event 3``, or the entry where the file names no event."""
    if event.identity is None:
        return f"Entry {event.entry}"
    run, block, number = event.identity
    return f"Run {run}, lumi {block}, event {number}"


def file_name(event: DisplayedEvent) -> str:
    """The file without its folders; nothing in it steers a terminal, or is no XML."""
    return visible(PurePosixPath(event.file).name)


def scores(event: DisplayedEvent) -> list[tuple[str, str]]:
    """The scores of the event, by name."""
    return [
        (_TITLES.get(name, name), f"{value:.2g}" if name in _TITLES else f"{value:.2f}")
        for name, value in event.scores.items()
    ]


def passed(event: DisplayedEvent) -> list[tuple[str, str]]:
    """The paths and streams of a menu that the event passes; of very many the first."""
    lists = {"passed": event.paths, "stream": event.streams}
    return [
        (
            what,
            ", ".join(names[:_MOST_NAMES])
            + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""),
        )
        for what, names in lists.items()
        if names
    ]


def counts(event: DisplayedEvent) -> str:
    """``2 muons, 1 jet, 160 particles``."""
    number: dict[str, int] = {}
    for one in event.objects:
        if one.collection != "met":
            number[one.collection] = number.get(one.collection, 0) + 1
    named = {"fatjet": "fat jet"}
    return ", ".join(counted(count, named.get(name, name)) for name, count in number.items()) or "no object"
