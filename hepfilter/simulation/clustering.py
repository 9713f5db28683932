"""Jets of many events in one call to fastjet, with what is inside them.

FastJet: M. Cacciari, G. P. Salam, G. Soyez, EPJC 72 (2012) 1896, arXiv:1111.6097; anti-kT: JHEP 04 (2008) 063,
arXiv:0802.1189; soft drop: A. Larkoski et al., JHEP 05 (2014) 146, arXiv:1402.2657; N-subjettiness: J. Thaler,
K. Van Tilburg, JHEP 03 (2011) 015, arXiv:1011.2268.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import awkward as ak
import numpy as np

from hepfilter.errors import SimulationError
from hepfilter.simulation.flat import FlatObjects, Floats, Ints, from_momentum, pt_order

SOFT_DROP_CUT = 0.1
SOFT_DROP_BETA = 0.0
AXES = "OnePass_KT_Axes"


@dataclass(frozen=True)
class Jets:
    """`jets`, per event by descending pt, and what is in them: candidate `constituent[k]` (a row of what was clustered)
    lies in jet `owner[k]` (a row of `jets`); `owner` ascends."""

    jets: FlatObjects
    owner: Ints
    constituent: Ints

    @property
    def sizes(self) -> Ints:
        """Constituents per jet."""
        return np.bincount(self.owner, minlength=len(self.jets))


@dataclass(frozen=True)
class Substructure:
    """Of each jet: the mass after soft drop (z > 0.1, β = 0) in GeV, and τ1, τ2, τ3 (β = 1, normalised; 0 for jets with
    too few constituents)."""

    soft_drop_mass: Floats
    tau: Floats


def cluster_jets(candidates: FlatObjects, *, radius: float, minimum_pt: float) -> Jets:
    """Anti-kT jets of radius `radius` with pT above `minimum_pt` (GeV) from all candidates of each event."""
    fastjet = fastjet_module()
    sequence = fastjet.ClusterSequence(
        _momenta(candidates, candidates.counts), fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    )
    found = sequence.inclusive_jets(min_pt=minimum_pt)
    inside = sequence.constituent_index(min_pt=minimum_pt)
    per_event = ak.to_numpy(ak.num(found)).astype(np.int64)
    jets = _flat_jets(ak.flatten(found), np.repeat(np.arange(candidates.n_events), per_event), candidates.n_events)
    order = pt_order(jets.event, jets.pt)

    sizes = ak.to_numpy(ak.flatten(ak.num(inside, axis=2))).astype(np.int64)
    row = ak.to_numpy(ak.flatten(inside, axis=None)).astype(np.int64)
    counts = candidates.counts
    row += np.repeat((np.cumsum(counts) - counts)[jets.event], sizes)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    owner = np.repeat(place, sizes)
    by_owner = np.argsort(owner, kind="stable")
    return Jets(jets=jets[order], owner=owner[by_owner], constituent=row[by_owner])


def substructure(candidates: FlatObjects, clustered: Jets, *, radius: float) -> Substructure:
    """Soft-drop mass and N-subjettiness: each jet is clustered again (Cambridge/Aachen) as an event of its own."""
    if not len(clustered.jets):
        return Substructure(np.zeros(0), np.zeros((0, 3)))
    fastjet = fastjet_module()
    sequence = fastjet.ClusterSequence(
        _momenta(candidates[clustered.constituent], clustered.sizes),
        fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0),
    )
    groomed = sequence.exclusive_jets_softdrop_grooming(
        njets=1, beta=SOFT_DROP_BETA, symmetry_cut=SOFT_DROP_CUT, symmetry_measure="scalar_z", R0=radius
    )
    tau = sequence.njettiness(
        measure_definition="NormalizedMeasure", axes_definition=AXES, njets=[1, 2, 3], beta=1.0, R0=radius
    )
    mass = np.nan_to_num(ak.to_numpy(groomed.msoftdrop).astype(np.float64))
    return Substructure(np.maximum(mass, 0.0), np.nan_to_num(ak.to_numpy(tau).reshape(-1, 3)))


def _momenta(objects: FlatObjects, counts: Ints) -> Any:
    """The four-momenta as the jagged array of Momentum4D that fastjet takes; `counts` groups them."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    contents = [ak.contents.NumpyArray(column) for column in (*objects.momentum, objects.energy)]
    records = ak.contents.RecordArray(contents, ["px", "py", "pz", "E"], parameters={"__record__": "Momentum4D"})
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))


def _flat_jets(found: Any, event: Ints, n_events: int) -> FlatObjects:
    px, py, pz, energy = (ak.to_numpy(found[name]) for name in ("px", "py", "pz", "E"))
    zeros = np.zeros(len(px), dtype=np.int64)
    # A jet of one massless candidate has a squared mass of rounding errors.
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))
    return from_momentum(px, py, pz, mass, n_events=n_events, event=event, pdg_id=zeros, charge=zeros)


@cache
def fastjet_module() -> Any:
    """The module fastjet, told to keep its banner off stdout, where results belong; SimulationError if missing."""
    try:
        import fastjet
    except ImportError as error:
        raise SimulationError("fastjet is not installed: pip install 'hepfilter[sim]'") from error
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    return fastjet
