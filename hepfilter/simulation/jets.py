"""Jets and what is read off them: energy fractions, flavour and b tag, hadronic taus, fat jets with their substructure.

Jets hold all candidates that they are given, leptons too, as in NanoAOD.
"""

import numpy as np

from hepfilter.simulation.clustering import Jets, cluster_jets, substructure
from hepfilter.simulation.detector import CHARGED_HADRON, ELECTRON, MUON, NEUTRAL_HADRON, PHOTON, TRACKER
from hepfilter.simulation.flat import FlatObjects, Floats, Ints, delta_r, matched, pairs, pt_order
from hepfilter.simulation.leptons import Columns, kinematics, working_point
from hepfilter.simulation.pileup import subtract_density
from hepfilter.simulation.truth import Truth

JET_RADIUS, JET_PT = 0.4, 15.0
FAT_RADII, FAT_PT = {"FatJet": 0.8, "AK10Jet": 1.0}, 170.0
FLAVOUR_RADIUS = 0.4
TOP, OUTGOING = 6, 23  # particle code; Pythia's status of what leaves the hard process or a decay of a resonance
FRACTIONS = {
    "chHEF": CHARGED_HADRON,
    "neHEF": NEUTRAL_HADRON,
    "chEmEF": ELECTRON,
    "neEmEF": PHOTON,
    "muEF": MUON,
}

# DeepJet's working points for 2018 (CMS BTV): loose, medium, tight. The medium one passes jets with the efficiencies of
# the Delphes CMS card; the powers give the others near those of arXiv:2008.10519 (b 0.93 and 0.6, light 0.1 and 0.001).
TAG_SCORES = (0.0490, 0.2783, 0.7100)
TAG_POWERS = (0.45, 1.0, 1.8)

TAU_PT, TAU_ETA, TAU_RADIUS = 20.0, 2.3, 0.3
# Share of jets with a true hadronic tau (without) that pass DeepTau's eight nested working points against jets:
# arXiv:2201.08458, figure 5, rounded.
TAU_WORKING_POINTS = (0.95, 0.92, 0.88, 0.82, 0.75, 0.66, 0.56, 0.47)
FAKE_WORKING_POINTS = (0.05, 0.03, 0.018, 0.010, 0.006, 0.0035, 0.002, 0.0012)


def jets(
    candidates: FlatObjects, truth: Truth, rng: np.random.Generator, *, rho: Floats | None = None
) -> tuple[FlatObjects, Columns]:
    """Anti-kT R = 0.4 jets above 15 GeV, with energy fractions, flavour from hadrons and a b-tag score in (0, 1).

    With `rho`, the density of pile-up in each event, jets lose that much per area before the cut.
    """
    clustered = cluster_jets(candidates, radius=JET_RADIUS, minimum_pt=JET_PT)
    raw_factor = np.zeros(len(clustered.jets))
    if rho is not None:
        clustered, raw_factor = _without_pile_up(clustered, rho)
    found = clustered.jets
    flavour = hadron_flavour(found, truth)
    columns = kinematics(found, found.mass) | {"rawFactor": raw_factor}
    columns |= {"nConstituents": np.minimum(clustered.sizes, 255), **energy_fractions(candidates, clustered)}
    columns |= {"hadronFlavour": flavour, "btagDeepFlavB": tag_score(found, flavour, rng)}
    return found, columns


def _without_pile_up(clustered: Jets, rho: Floats) -> tuple[Jets, Floats]:
    """The jets that pass the cut after subtraction, by descending pT, and NanoAOD's rawFactor: 1 − raw / corrected."""
    corrected, factor = subtract_density(clustered.jets, rho, radius=JET_RADIUS)
    order = pt_order(corrected.event, corrected.pt)
    order = order[corrected.pt[order] > JET_PT]
    place = np.full(len(corrected), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    owner = place[clustered.owner]
    kept = np.flatnonzero(owner >= 0)
    kept = kept[np.argsort(owner[kept], kind="stable")]
    return Jets(corrected[order], owner[kept], clustered.constituent[kept]), 1.0 - 1.0 / factor[order]


def fat_jets(candidates: FlatObjects, truth: Truth, *, radius: float) -> tuple[FlatObjects, Columns]:
    """Anti-kT jets above 170 GeV, with the mass after soft drop, τ1 to τ3, flavour from hadrons, and the number of
    quarks inside."""
    clustered = cluster_jets(candidates, radius=radius, minimum_pt=FAT_PT)
    found = clustered.jets
    inside = substructure(candidates, clustered, radius=radius)
    columns = kinematics(found, found.mass)
    columns |= {"msoftdrop": inside.soft_drop_mass}
    columns |= {f"tau{number + 1}": inside.tau[:, number] for number in range(3)}
    columns |= {"nConstituents": np.minimum(clustered.sizes, 255)}
    columns |= {"hadronFlavour": hadron_flavour(found, truth, radius=radius)}
    return found, columns | {"nGenQuarks": _quarks_inside(found, truth, radius=radius)}


def _quarks_inside(found: FlatObjects, truth: Truth, *, radius: float) -> Ints:
    """Outgoing quarks of the hard process and of its decays (no tops) within `radius` of each jet's axis."""
    quarks = truth.hard[(np.abs(truth.hard.pdg_id) < TOP) & (truth.hard_status == OUTGOING)]
    i, j = pairs(found, quarks)
    return np.bincount(i[delta_r(found, quarks, i, j) < radius], minlength=len(found))


def energy_fractions(candidates: FlatObjects, clustered: Jets) -> Columns:
    """Shares of the jets' energy in charged and neutral hadrons, electrons, photons and muons.

    They sum to 1 where the kinds of all candidates are known.
    """
    kind = np.abs(candidates.pdg_id[clustered.constituent])
    energy = candidates.energy[clustered.constituent]
    count = len(clustered.jets)
    total = np.bincount(clustered.owner, energy, count)
    return {
        name: np.bincount(clustered.owner, np.where(kind == code, energy, 0.0), count) / total
        for name, code in FRACTIONS.items()
    }


def hadron_flavour(found: FlatObjects, truth: Truth, *, radius: float = FLAVOUR_RADIUS) -> Ints:
    """5 for jets with a bottom hadron (above 5 GeV) within `radius`, else 4 with a charm hadron, else 0."""
    bottom = matched(found, truth.bottom, radius=radius)
    charm = matched(found, truth.charm, radius=radius)
    return np.where(bottom, 5, np.where(charm, 4, 0))


def medium_efficiency(found: FlatObjects, flavour: Ints) -> Floats:
    """Probability to pass the medium b tag: that of the Delphes CMS card; beyond the tracker all jets are light."""
    pt = found.pt
    bottom = 0.85 * np.tanh(0.0025 * pt) * 25.0 / (1.0 + 0.063 * pt)
    charm = 0.25 * np.tanh(0.018 * pt) / (1.0 + 0.0013 * pt)
    light = np.minimum(0.01 + 0.000038 * pt, 0.1)
    seen = np.abs(found.eta) < TRACKER
    return np.where(seen & (flavour == 5), bottom, np.where(seen & (flavour == 4), charm, light))


def tag_score(found: FlatObjects, flavour: Ints, rng: np.random.Generator) -> Floats:
    """A b-tag score in (0, 1) whose efficiencies at DeepJet's three working points are those stated above.

    Between the points the distribution is flat; the score is drawn, so it knows nothing of the jet beyond its flavour,
    pT and η.
    """
    draw = 1.0 - rng.random(len(found))  # in (0, 1]: the share of such jets with a higher score
    medium = medium_efficiency(found, flavour)
    above = np.stack([np.ones(len(found)), *(medium**power for power in TAG_POWERS), np.zeros(len(found))], axis=1)
    scores = np.array([0.0, *TAG_SCORES, 1.0])
    step = np.clip(np.sum(draw[:, None] <= above[:, 1:], axis=1), 0, len(scores) - 2)
    rows = np.arange(len(found))
    upper, lower = above[rows, step], above[rows, step + 1]
    share = (upper - draw) / np.maximum(upper - lower, 1e-12)
    score: Floats = scores[step] + share * (scores[step + 1] - scores[step])
    return score


def taus(found: FlatObjects, truth: Truth, rng: np.random.Generator) -> tuple[FlatObjects, Columns]:
    """Hadronic taus: jets near a true one, and a share of the others, that pass DeepTau's loosest working point.

    The four-momentum is the jet's; the charge that of the true tau, or random. `idDeepTau2017v2p1VSjet` is NanoAOD's
    bit mask of the nested working points.
    """
    central = found[(found.pt > TAU_PT) & (np.abs(found.eta) < TAU_ETA)]
    i, j = pairs(central, truth.taus)
    near = delta_r(central, truth.taus, i, j) < TAU_RADIUS
    charge = np.zeros(len(central), dtype=np.int64)
    charge[i[near]] = truth.taus.charge[j[near]]
    is_true = charge != 0
    passed = np.where(
        is_true,
        working_point(len(central), TAU_WORKING_POINTS, rng),
        working_point(len(central), FAKE_WORKING_POINTS, rng),
    )
    charge = np.where(is_true, charge, rng.choice(np.array([-1, 1]), len(central)))
    kept = passed > 0
    chosen = central[kept]
    columns: Columns = {**kinematics(chosen, chosen.mass), "charge": charge[kept]}
    return chosen, columns | {"idDeepTau2017v2p1VSjet": (1 << passed[kept]) - 1}
