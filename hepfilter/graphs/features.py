"""What is said of a node and of a pair of nodes.

No feature depends on φ or the sign of η, none is infinite or NaN for finite input: momenta are bounded to
`PT_RANGE`, `MAX_ABS_ETA` and `MAX_MASS`, and every logarithm has a floor. NaN goes in and comes out as NaN.
The pair features are those of the Particle Transformer (H. Qu, C. Li, S. Qian, arXiv:2202.03772, eq. 3), with η in the
place of rapidity, and with floors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.graph import PARTICLE_CLASSES, GraphSpecification, PairFeature
from hepfilter.graphs.nodes import FlatNodes

PT_RANGE: Final = (1e-3, 1e6)
MAX_ABS_ETA: Final = 8.0
MAX_MASS: Final = 1e6
MIN_DELTA_R: Final = 1e-3
"""The angular resolution of a track; objects nearer than that count as this near."""
MIN_M2: Final = 1e-6


def node_features(nodes: FlatNodes, specification: GraphSpecification, *, n_events: int) -> NDArray[np.float32]:
    """[V, F] float32 in the order of `specification.feature_names`.

    Logarithms are taken in float64 and rounded once, so that they are the same on every machine. Unit: ln(GeV) for
    ln_pt and ln_energy, ln(1 + m/GeV) for ln_mass; ln_pt_fraction is ln(pt / Σ pt of the event's nodes).
    """
    pt = np.clip(nodes.pt.astype(np.float64), *PT_RANGE)
    abs_eta = np.minimum(np.abs(nodes.eta.astype(np.float64)), MAX_ABS_ETA)
    mass = np.clip(nodes.mass.astype(np.float64), 0.0, MAX_MASS)
    columns: list[NDArray[np.float64] | NDArray[np.bool_]] = []
    for feature in specification.node_features:
        match feature:
            case "ln_pt":
                columns.append(np.log(pt))
            case "ln_energy":
                columns.append(0.5 * np.log(np.square(pt * np.cosh(abs_eta)) + np.square(mass)))
            case "ln_pt_fraction":
                columns.append(np.log(pt / np.bincount(nodes.event, weights=pt, minlength=n_events)[nodes.event]))
            case "abs_eta":
                columns.append(abs_eta)
            case "ln_mass":
                columns.append(np.log1p(mass))
            case "charge":
                columns.append(np.clip(nodes.charge.astype(np.float64), -2.0, 2.0))
            case "collection":
                columns += [nodes.collection == number for number in range(len(specification.collections))]
            case "particle_class":
                columns += particle_classes(nodes.pdg_id, nodes.charge)
    return np.stack(columns, axis=1).astype(np.float32)


def particle_classes(pdg_id: NDArray[Any], charge: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """One [V] bool array per name of `PARTICLE_CLASSES`; all are false where the file names no particle and no charge.

    Particle flow writes 211, 130, 22, 11, 13 and for the forward calorimeter 1 (hadronic) and 2 (electromagnetic).
    """
    kind = np.abs(pdg_id)
    electron, muon, photon = kind == 11, kind == 13, (kind == 22) | (kind == 2)
    charged = (charge != 0) & ~electron & ~muon
    named = kind != 0
    by_name = {
        "charged_hadron": charged | (kind == 211),
        "neutral_hadron": named & ~charged & ~electron & ~muon & ~photon & (kind != 211),
        "photon": photon & ~charged,
        "electron": electron,
        "muon": muon,
    }
    return [by_name[name] for name in PARTICLE_CLASSES]


@dataclass(frozen=True)
class Kinematics:
    """What pair features need of each node, computed once per node; all float32 of one shape, GeV and rad."""

    pt: Tensor
    ln_pt: Tensor
    eta: Tensor
    phi: Tensor
    momentum: Tensor
    energy: Tensor
    mass_squared: Tensor

    @classmethod
    def of(cls, momenta: Tensor) -> Self:
        """From [..., 4] pt, eta, phi, mass; bounded as the module says."""
        pt, eta, phi, mass = momenta.unbind(-1)
        pt, eta, mass = pt.clamp(*PT_RANGE), eta.clamp(-MAX_ABS_ETA, MAX_ABS_ETA), mass.clamp(0.0, MAX_MASS)
        momentum, mass_squared = pt * torch.cosh(eta), mass * mass
        return cls(pt, torch.log(pt), eta, phi, momentum, (momentum * momentum + mass_squared).sqrt(), mass_squared)

    def unsqueezed(self, dim: int) -> Self:
        """With a new axis of length 1, to be broadcast."""
        return type(self)(*(value.unsqueeze(dim) for value in self._values()))

    def gathered(self, index: Tensor) -> Self:
        """[B, N] → [B, N, K]: of the nodes that `index` [B, N, K] names within their events."""
        flat = index.flatten(1)
        return type(self)(*(value.gather(1, flat).view(index.shape) for value in self._values()))

    def _values(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def delta_phi(first: Tensor, second: Tensor) -> Tensor:
    """φ₁ − φ₂ wrapped into [-π, π]; exact to the last bit where no wrapping is needed."""
    difference = first - second
    return difference - (2 * torch.pi) * torch.round(difference / (2 * torch.pi))


def pair_features(first: Kinematics, second: Kinematics, names: Sequence[PairFeature]) -> Tensor:
    """[..., P] for the broadcast shape of both; symmetric under exchange.

    ln_delta_r  ln Δ, Δ² = Δη² + Δφ², Δ ≥ `MIN_DELTA_R`
    ln_kt       ln(min(pt₁, pt₂) Δ)
    ln_z        ln(min(pt₁, pt₂) / (pt₁ + pt₂))
    ln_m2       ln m² of the pair in GeV², m² ≥ `MIN_M2`
    """
    d_eta, d_phi = first.eta - second.eta, delta_phi(first.phi, second.phi)
    ln_softer = torch.minimum(first.ln_pt, second.ln_pt)
    # NaN must stay NaN, so clamp (which keeps it) and not maximum with a constant tensor.
    ln_delta_r = 0.5 * torch.log((d_eta * d_eta + d_phi * d_phi).clamp_min(MIN_DELTA_R**2))
    columns: list[Tensor] = []
    for name in names:
        match name:
            case "ln_delta_r":
                columns.append(ln_delta_r)
            case "ln_kt":
                columns.append(ln_softer + ln_delta_r)
            case "ln_z":
                columns.append(ln_softer - torch.log(first.pt + second.pt))
            case "ln_m2":
                columns.append(torch.log(pair_mass_squared(first, second, d_eta=d_eta, d_phi=d_phi).clamp_min(MIN_M2)))
    return torch.stack(columns, dim=-1)


def pair_mass_squared(first: Kinematics, second: Kinematics, *, d_eta: Tensor, d_phi: Tensor) -> Tensor:
    """(p₁ + p₂)² in GeV², as a sum of positive terms: E₁E₂ − p₁·p₂ itself cancels to noise for collinear objects.

    E₁E₂ − |p₁||p₂| = (m₁²E₂² + m₂²|p₁|²) / (E₁E₂ + |p₁||p₂|), and
    |p₁||p₂| − p₁·p₂ = pt₁pt₂ (cosh Δη − cos Δφ) = 2 pt₁pt₂ (sinh²(Δη/2) + sin²(Δφ/2)).
    """
    opening = torch.sinh(0.5 * d_eta).square() + torch.sin(0.5 * d_phi).square()
    massive = (first.mass_squared * second.energy.square() + second.mass_squared * first.momentum.square()) / (
        first.energy * second.energy + first.momentum * second.momentum
    )
    return first.mass_squared + second.mass_squared + 2 * massive + 4 * first.pt * second.pt * opening
