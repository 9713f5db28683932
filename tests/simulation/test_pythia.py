import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from hepfilter.config.card import Card, card_names, load_card, load_card_file, load_cards
from hepfilter.errors import SimulationError
from hepfilter.simulation import pythia
from hepfilter.simulation.blocks import BlockTask, make_block
from hepfilter.simulation.pythia import cross_section, generate, make_generator

NO_SHOWER = ("PartonLevel:all = off", "HadronLevel:all = off")


def _card(*settings: str, **more: Any) -> Card:
    return Card(name="own", title="own", family="own", is_signal=False, label=5, settings=settings, **more)


@pytest.mark.parametrize("name", card_names())
def test_every_card_that_ships_initialises_and_has_events(name: str) -> None:
    generator = make_generator(load_card(name), seed=1, extra=NO_SHOWER)
    assert sum(generator.next() for _ in range(20)) >= 18
    assert generator.infoPython().sigmaGen() > 0.0


@pytest.mark.long
@pytest.mark.parametrize("name", card_names())
def test_every_slice_and_point_that_ships_makes_whole_events(name: str) -> None:
    file = load_card_file(name)
    for card in load_cards(f"{name}@all" if file.scan or file.slices else name):
        # The default point as it stands, the others without multiple interactions: these do not depend on it.
        changed = {"multiple_interactions": "@" not in card.name, "generator_filter": (), "detector_filter": ()}
        made = make_block(BlockTask(card.model_copy(update=changed), 1, 0, 5, particles=True, pileup=0.0))
        assert made.columns.events == 5, card.name
        assert np.all(made.columns.counts["PFCands"] > 0), card.name
        assert np.all(made.weights >= 1.0), card.name  # above 1 where Pythia finds a new maximum


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("HardQCD:al = on",), "card own: Pythia refuses the line 'HardQCD:al = on'; nearest: HardQCD:all"),
        (("99999999:m0 = 3",), "card own: Pythia refuses the line '99999999:m0 = 3'; no such particle or property"),
        (
            ("Tune:pp = 99",),
            "card own: Pythia refuses the line 'Tune:pp = 99': Error in Settings::mode: value is out of range",
        ),
        (("HardQCD:all = onn",), "card own: 'HardQCD:all = onn': HardQCD:all is on or off"),
        (
            ("PhaseSpace:pTHatMin = 50",),
            "card own: Pythia does not initialise: Error in ProcessLevel::init: no process",
        ),
        (("HardQCD:all = on", "PhaseSpace:pTHatMin = 8000"), "ProcessLevel::init: all processes have vanishing cross"),
    ],
)
def test_bad_settings_are_told_in_one_line(
    settings: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SimulationError) as caught:
        make_generator(_card(*settings), seed=1)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_same_seed_same_events_and_exactly_as_many_as_asked() -> None:
    card = _card("HardQCD:all = on", "PhaseSpace:pTHatMin = 100", multiple_interactions=False)
    one, two, other = (generate(card, events=12, seed=seed).events for seed in (4, 4, 5))
    assert len(one) == len(two) == len(other) == 12
    assert ak.all(one.prt.p.px == two.prt.p.px)
    assert ak.sum(one.prt.p.e) != ak.sum(other.prt.p.e)


def test_the_card_decides_energy_and_multiple_interactions() -> None:
    settings = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 100")
    quiet = generate(_card(*settings, energy_tev=7.0, multiple_interactions=False), events=10, seed=1).events
    busy = generate(_card(*settings, energy_tev=7.0), events=10, seed=1).events
    assert np.allclose(ak.to_numpy(quiet.prt.p.e[:, 0]), 7000.0)
    assert ak.mean(ak.num(busy.prt)) > 1.3 * ak.mean(ak.num(quiet.prt))


class _Faltering:
    """A generator that gives the batches it is told to."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches
        self.asked: list[int] = []

    def nextBatch(self, count: int) -> Any:  # noqa: N802 - Pythia's name
        self.asked.append(count)
        return self.batches.pop(0)

    particleData = None  # noqa: N815 - Pythia's name


def _batch(count: int) -> Any:
    return ak.Array({"prt": [[{"id": 21}]] * count, "info": [{"weights": [1.0]}] * count})


def test_short_batches_are_filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    faltering = _Faltering([_batch(7), _batch(1), _batch(2)])
    monkeypatch.setattr(pythia, "make_generator", lambda card, *, seed: faltering)
    assert len(generate(_card("HardQCD:all = on"), events=10, seed=1).events) == 10
    assert faltering.asked == [10, 3, 2]


def test_no_event_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythia, "make_generator", lambda card, *, seed: _Faltering([_batch(4), ak.Array([])]))
    with pytest.raises(
        SimulationError, match=r"card own: Pythia fails on every event, 4 of 10 made; check the settings"
    ):
        generate(_card("HardQCD:all = on"), events=10, seed=1)


def test_biased_events_have_weights_and_others_have_none() -> None:
    quick = ("PartonLevel:ISR = off", "PartonLevel:FSR = off", "HadronLevel:Hadronize = off")
    settings = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 50", *quick)
    bias = ("PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionPow = 3", "PhaseSpace:bias2SelectionRef = 50")
    plain = generate(_card(*settings, multiple_interactions=False), events=200, seed=2)
    biased = generate(_card(*settings, *bias, multiple_interactions=False), events=200, seed=2)
    assert plain.weights.tolist() == [1.0] * 200
    assert biased.weights == pytest.approx((biased.pt_hat / 50.0) ** -3, rel=0.01)  # b quarks get their mass later
    assert plain.pt_hat.min() >= 50.0
    assert np.median(biased.pt_hat) > 1.3 * np.median(plain.pt_hat)


def test_slices_add_up_to_the_whole() -> None:
    slices = [cross_section(card) for card in load_cards("qcd@all")]
    whole = cross_section(load_card("qcd"))
    total = sum(part.value_pb for part in slices)
    error = np.sqrt(sum(part.error_pb**2 for part in slices) + whole.error_pb**2)
    assert abs(total - whole.value_pb) < 4 * error
    assert error / total < 0.02
    assert all(high.value_pb < low.value_pb / 10 for low, high in pairwise(slices))


def test_a_stated_cross_section_is_taken() -> None:
    assert cross_section(_card("HardQCD:all = on", cross_section_pb=0.25)) == pythia.CrossSection(0.25, 0.0)


def test_a_bias_leaves_the_cross_section_as_it_is() -> None:
    settings = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 50")
    plain, biased = (cross_section(_card(*settings, *bias)) for bias in ((), ("PhaseSpace:bias2Selection = on",)))
    assert abs(plain.value_pb - biased.value_pb) < 4 * np.hypot(plain.error_pb, biased.error_pb)


def test_top_pairs_have_pythias_cross_section() -> None:
    # Leading order with Pythia's default PDF and scales; the measured one is 830 pb.
    assert cross_section(load_card("ttbar")).value_pb == pytest.approx(507.0, rel=0.03)


def test_the_spectrum_is_read_and_its_file_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    generator = make_generator(load_card("stop@700"), seed=1, extra=NO_SHOWER)
    assert generator.particleData.m0(1000006) == pytest.approx(700.0)
    assert generator.settings.word("SLHA:file").startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_soft_bomb_is_left_for_us_to_burst() -> None:
    card = load_card("soft_bomb@200")
    made = generate(card.model_copy(update={"multiple_interactions": False}), events=5, seed=1)
    scalars = made.events.prt[made.events.prt.id == 25]
    assert ak.sum(scalars.status > 0, axis=1).to_list() == [1] * 5
    assert ak.to_numpy(scalars[scalars.status > 0].m[:, 0]) == pytest.approx(200.0, rel=0.05)


def test_a_branching_ratio_multiplies_pythias_cross_section_and_its_error() -> None:
    settings = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 50")
    whole, part = cross_section(_card(*settings)), cross_section(_card(*settings, branching_ratio=0.0125))
    assert part.value_pb == pytest.approx(0.0125 * whole.value_pb, rel=1e-12)
    assert part.error_pb == pytest.approx(0.0125 * whole.error_pb, rel=1e-12)
    assert 0.0 < whole.error_pb < 0.02 * whole.value_pb


@pytest.mark.parametrize("model", [1, 2])
def test_nothing_of_any_shower_reaches_stdout(model: int, capfd: pytest.CaptureFixture[str]) -> None:
    # Vincia (2) announces itself whatever Print:quiet says.
    card = load_card("ttbar")
    showered = (*card.settings, f"PartonShowers:model = {model}")
    made = generate(card.model_copy(update={"settings": showered, "multiple_interactions": False}), events=3, seed=1)
    assert len(made.events) == 3
    os.write(1, b"and stdout is whole again")
    print(", for Python too", flush=True)
    assert capfd.readouterr().out == "and stdout is whole again, for Python too\n"
