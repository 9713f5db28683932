"""Events that the tests of this folder share, so that Pythia runs but a few times."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hepfilter.config.card import load_card
from hepfilter.config.sample import Production
from hepfilter.simulation.detector import detect
from hepfilter.simulation.flat import Candidates, FlatObjects, Particles
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.sample import SampleReport, simulate
from hepfilter.simulation.truth import Truth, read_record, read_truth


def make_objects(
    rows: Sequence[tuple[int, float, float, float]], *, n_events: int, pdg_id: int = 22, charge: int = 0
) -> FlatObjects:
    """Massless objects of one kind from rows (event, pt, eta, phi), the events ascending."""
    event, pt, eta, phi = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return FlatObjects(
        n_events=n_events,
        event=event.astype(np.int64),
        pt=pt,
        eta=eta,
        phi=phi,
        mass=np.zeros(len(event)),
        pdg_id=np.full(len(event), pdg_id),
        charge=np.full(len(event), charge),
    )


def fire(pdg_id: int, charge: int, *, pt: float, eta: float, shots: int = 4000) -> FlatObjects:
    """One particle an event, at random azimuth."""
    phi = np.random.default_rng(0).uniform(-np.pi, np.pi, shots)
    return make_objects(
        [(k, pt, eta, angle) for k, angle in enumerate(phi)], n_events=shots, pdg_id=pdg_id, charge=charge
    )


def make_prompt(objects: FlatObjects) -> Particles:
    """These objects as generated particles: born in the hard collision, at its place."""
    nowhere = np.zeros(len(objects))
    return Particles(objects=objects, x=nowhere, y=nowhere, z=nowhere, collision=np.zeros(len(objects), np.int64))


@pytest.fixture(scope="session")
def objects() -> Callable[..., FlatObjects]:
    return make_objects


@pytest.fixture(scope="session")
def gun() -> Callable[..., FlatObjects]:
    return fire


@pytest.fixture(scope="session")
def particles() -> Callable[[FlatObjects], Particles]:
    return make_prompt


@pytest.fixture(scope="session")
def top_truth() -> Truth:
    """The truth of 120 top pairs without multiple interactions."""
    card = load_card("ttbar").model_copy(update={"multiple_interactions": False})
    made = generate(card, events=120, seed=11)
    return read_truth(read_record(made.events, made.particle_data), made.particle_data)


@pytest.fixture(scope="session")
def top_candidates(top_truth: Truth) -> Candidates:
    """What the detector sees of them."""
    return detect(top_truth.visible, np.random.default_rng(3))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    """A file with 60 events each of a background and a signal, without filters, with particles, made by one worker."""
    output = tmp_path_factory.mktemp("sample") / "sample.root"
    cards = [load_card("zjets@50").model_copy(update={"generator_filter": ()}), load_card("zprime_ll")]
    return simulate([Production(card, 60) for card in cards], seed=7, output=output, particles=True)


@pytest.fixture(scope="session")
def sample_file(sample: SampleReport) -> Path:
    return sample.output
