"""The five numbers of a search for resonances that decay to two fat jets (LHC Olympics, arXiv:2101.08320)."""

from dataclasses import dataclass
from typing import Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.events.hardest import Hardest

DIJET_FEATURES: Final = ("mj1", "delta_mj", "tau21_1", "tau21_2")
"""The columns of `DijetEvents.features`."""


@dataclass(frozen=True)
class DijetEvents:
    """The B events with at least two fat jets.

    mass: [B] GeV, invariant mass of the two hardest.    features: [B, 4] of `DIJET_FEATURES`: mass of the lighter one
    and what the heavier has more, in GeV, and τ₂/τ₁ of the lighter and of the heavier.    chosen: [all events] bool,
    which of the events given these are.
    """

    mass: NDArray[np.float64]
    features: NDArray[np.float64]
    chosen: NDArray[np.bool_]


def dijet_events(jets: ak.Array) -> DijetEvents:
    """From the fat jets of each event by descending pt, with pt, eta, phi, mass (GeV, radians), tau1 and tau2.

    Where τ₁ is 0 (a jet of one particle) τ₂/τ₁ is 0.
    """
    chosen = np.asarray(ak.to_numpy(ak.num(jets.pt) >= 2))
    two = jets[chosen][:, :2]
    *kinematics, tau1, tau2 = (
        np.asarray(ak.to_numpy(ak.flatten(two[name])), np.float64).reshape(-1, 2)
        for name in ("pt", "eta", "phi", "mass", "tau1", "tau2")
    )
    pair = Hardest(np.stack([*kinematics, np.zeros_like(tau1)]), np.full(len(two), 2.0))
    tau21 = np.divide(tau2, tau1, out=np.zeros_like(tau1), where=tau1 > 0)
    lighter_first = np.argsort(pair.mass, axis=1, kind="stable")
    mass, tau21 = (np.take_along_axis(column, lighter_first, axis=1) for column in (pair.mass, tau21))
    features = np.stack([mass[:, 0], mass[:, 1] - mass[:, 0], tau21[:, 0], tau21[:, 1]], axis=1)
    return DijetEvents(pair.invariant_mass(), features, chosen)
