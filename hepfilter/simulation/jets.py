"""Jets and what is read off them: energy fractions, flavour and b tag, hadronic taus, fat jets with their substructure.

Jets hold all candidates, leptons too, as in NanoAOD.
"""

import numpy as np

from hepfilter.simulation.clustering import Jets, cluster_jets, substructure
from hepfilter.simulation.detector import CHARGED_HADRON, ELECTRON, MUON, NEUTRAL_HADRON, PHOTON, TRACKER
from hepfilter.simulation.flat import FlatObjects, Floats, Ints, delta_r, matched, pairs
from hepfilter.simulation.leptons import Columns, kinematics, working_point
from hepfilter.simulation.truth import Truth

JET_RADIUS, JET_PT = 0.4, 15.0
FAT_RADIUS, FAT_PT = 0.8, 170.0
FLAVOUR_RADIUS = 0.4
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


def jets(candidates: FlatObjects, truth: Truth, rng: np.random.Generator) -> tuple[FlatObjects, Columns]:
    """Anti-kT R = 0.4 jets above 15 GeV, with energy fractions, flavour from hadrons and a b-tag score in (0, 1)."""
    clustered = cluster_jets(candidates, radius=JET_RADIUS, minimum_pt=JET_PT)
    found = clustered.jets
    flavour = hadron_flavour(found, truth)
    columns = kinematics(found, found.mass)
    columns |= {"nConstituents": np.minimum(clustered.sizes, 255), **energy_fractions(candidates, clustered)}
    columns |= {"hadronFlavour": flavour, "btagDeepFlavB": tag_score(found, flavour, rng)}
    return found, columns


def fat_jets(candidates: FlatObjects, truth: Truth) -> tuple[FlatObjects, Columns]:
    """Anti-kT R = 0.8 jets above 170 GeV, with the mass after soft drop, τ1 to τ3 and flavour from hadrons."""
    clustered = cluster_jets(candidates, radius=FAT_RADIUS, minimum_pt=FAT_PT)
    found = clustered.jets
    inside = substructure(candidates, clustered, radius=FAT_RADIUS)
    columns = kinematics(found, found.mass)
    columns |= {"msoftdrop": inside.soft_drop_mass}
    columns |= {f"tau{number + 1}": inside.tau[:, number] for number in range(3)}
    columns |= {"nConstituents": np.minimum(clustered.sizes, 255)}
    columns |= {"hadronFlavour": hadron_flavour(found, truth, radius=FAT_RADIUS)}
    return found, columns


def energy_fractions(candidates: FlatObjects, clustered: Jets) -> Columns:
    """Shares of the jets' energy in charged and neutral hadrons, electrons, photons and muons; they sum to 1."""
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
