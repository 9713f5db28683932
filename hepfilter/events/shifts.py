"""Events as another detector or another file would show them: what a score must not hang on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepfilter.events.record import Objects

_HADRONIC: Final = frozenset({"jet", "fatjet", "particle"})


@dataclass(frozen=True)
class EventShift:
    """How events are to be changed while they are read.

    energy_scale: a factor for pt and mass of jets, fat jets and particles. It comes before the cuts of the schema, so
    that objects rise above them and fall below; what the file itself does not hold stays away, and cuts on quality that
    depend on pt take that of the file. Missing momentum follows the jets that stay, by Δ = (1 − factor) Σ p⃗_T of what
    they were before.
    without: collections that are empty in the end, as in a file that lacks them.
    """

    energy_scale: float = 1.0
    without: frozenset[str] = frozenset()

    def before_cuts(self, name: str, objects: Objects) -> Objects:
        """A collection as it is to be cut."""
        if name not in _HADRONIC:
            return objects
        scaled = {field: objects.columns[field] * np.float32(self.energy_scale) for field in ("pt", "mass")}
        return objects.with_columns(**scaled)

    def after_cuts(self, collections: Mapping[str, Objects], *, met_of: tuple[str, ...] = ()) -> dict[str, Objects]:
        """The clean collections with the missing momentum changed, unless it was built of jets (`met_of`) already."""
        changed = dict(collections)
        if "met" in changed and "jet" in changed and not _HADRONIC & set(met_of):
            changed["met"] = self._moved(changed["met"], changed["jet"])
        return {name: objects.keep(np.zeros(len(objects), np.bool_)) if name in self.without else objects
                for name, objects in changed.items()}  # fmt: skip

    def _moved(self, met: Objects, jets: Objects) -> Objects:
        """The missing momentum of each event that has one, recoiling against what its scaled jets have more."""
        added = (1 / self.energy_scale - 1) * jets.columns["pt"].astype(np.float64)
        pt, phi = (met.columns[field].astype(np.float64) for field in ("pt", "phi"))
        px, py = (
            pt * of(phi) + np.bincount(jets.event, added * of(jets.columns["phi"]), jets.n_events)[met.event]
            for of in (np.cos, np.sin)
        )
        moved = {"pt": np.hypot(px, py), "phi": np.arctan2(py, px)}
        return met.with_columns(**{name: values.astype(np.float32) for name, values in moved.items()})
