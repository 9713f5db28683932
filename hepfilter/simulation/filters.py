"""Which events of a process are kept: requirements on the generator's record and on reconstructed objects."""

from collections.abc import Sequence

import numpy as np

from hepfilter.config.card import Card
from hepfilter.config.process import DetectorRequirement, GeneratorRequirement, Requirement
from hepfilter.errors import SimulationError, nearest
from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.flat import Floats, Ints, Mask
from hepfilter.simulation.jets import FAT_PT, FAT_RADII
from hepfilter.simulation.nano import COLLECTIONS, NanoBlock
from hepfilter.simulation.observation import Observation
from hepfilter.simulation.truth import Record


def passes_generator(record: Record, requirements: Sequence[GeneratorRequirement]) -> Mask:
    """Which events meet all `requirements`; bool, one an event."""
    passed = np.ones(record.objects.n_events, dtype=bool)
    if not requirements:
        return passed
    last = record.last_copies()
    for requirement in requirements:
        chosen = record.objects[last & np.isin(record.absolute, np.abs(requirement.pdg_id))]
        good = _within(requirement, chosen.pt, chosen.eta)
        passed &= _enough(requirement, np.bincount(chosen.event, good, chosen.n_events))
    return passed


def may_pass_detector(seen: Observation, requirements: Sequence[DetectorRequirement]) -> Mask:
    """Which events can meet the `requirements` on fat jets, by their momenta alone; spares the others substructure."""
    possible = np.ones(seen.candidates.objects.n_events, dtype=bool)
    for requirement in requirements:
        if requirement.collection in FAT_RADII and requirement.pt_min > FAT_PT:
            radius = FAT_RADII[requirement.collection]
            found = cluster_jets(seen.weighted.objects, radius=radius, minimum_pt=requirement.pt_min).jets
            good = _within(requirement, found.pt, found.eta)
            possible &= np.bincount(found.event, good, found.n_events) >= requirement.at_least
    return possible


def check_filters(card: Card, *, particles: bool) -> None:
    """SimulationError if the card's filter asks for a collection or a field that a sample does not have."""
    for requirement in card.detector_filter:
        name = requirement.collection
        known = [collection for collection in COLLECTIONS if particles or collection != "PFCands"]
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise SimulationError(f"card {card.name}: filter on {name}, but there is no such collection{hint}")
        fields = [field for field, _, _ in COLLECTIONS[name]]
        for field in requirement.minimum:
            if field not in fields:
                hint = nearest(field, fields) or f"; there are {', '.join(fields)}"
                raise SimulationError(f"card {card.name}: filter on {name}_{field}, but there is no such field{hint}")


def passes_detector(block: NanoBlock, requirements: Sequence[DetectorRequirement]) -> Mask:
    """Which events meet all `requirements`, which must have been checked."""
    passed = np.ones(block.events, dtype=bool)
    for requirement in requirements:
        fields = block.values[requirement.collection]
        good = _within(requirement, fields["pt"], fields["eta"])
        for field, bound in requirement.minimum.items():
            good &= fields[field] >= bound
        event = np.repeat(np.arange(block.events), block.counts[requirement.collection])
        passed &= _enough(requirement, np.bincount(event, good, block.events))
    return passed


def _within(requirement: Requirement, pt: Floats, eta: Floats) -> Mask:
    good = pt >= requirement.pt_min
    if requirement.pt_max is not None:
        good &= pt < requirement.pt_max
    if requirement.eta_max is not None:
        good &= np.abs(eta) < requirement.eta_max
    return good


def _enough(requirement: Requirement, count: Floats | Ints) -> Mask:
    enough = count >= requirement.at_least
    return enough if requirement.at_most is None else enough & (count <= requirement.at_most)
