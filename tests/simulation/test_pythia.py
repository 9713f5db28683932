from itertools import pairwise
from typing import Any

import awkward as ak
import numpy as np
import pytest

from hepfilter.config.card import Card, card_names, load_card
from hepfilter.errors import SimulationError
from hepfilter.simulation import pythia
from hepfilter.simulation.pythia import cross_section, generate, make_generator

NO_SHOWER = ("PartonLevel:all = off", "HadronLevel:all = off")


def _card(*settings: str, **more: Any) -> Card:
    return Card(name="own", title="own", family="own", is_signal=False, label=5, settings=settings, **more)


@pytest.mark.parametrize("name", card_names())
def test_every_card_that_ships_initialises_and_has_events(name: str) -> None:
    generator = make_generator(load_card(name), seed=1, extra=NO_SHOWER)
    assert sum(generator.next() for _ in range(20)) >= 18
    assert generator.infoPython().sigmaGen() > 0.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("HardQCD:al = on",), "card own: Pythia refuses the line 'HardQCD:al = on'; nearest: HardQCD:all"),
        (("99999999:m0 = 3",), "card own: Pythia refuses the line '99999999:m0 = 3'; no such particle or property"),
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


def _batch(count: int, weight: float = 1.0) -> Any:
    return ak.Array({"prt": [[{"id": 21}]] * count, "info": [{"weights": [weight]}] * count})


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


def test_weighted_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythia, "make_generator", lambda card, *, seed: _Faltering([_batch(4, weight=0.3)]))
    with pytest.raises(SimulationError, match="gives weighted events"):
        generate(_card("HardQCD:all = on"), events=4, seed=1)


def test_slices_add_up_to_the_whole() -> None:
    slices = [cross_section(load_card(f"qcd_{edge}")) for edge in (50, 200, 500, 1000)]
    whole = cross_section(_card("HardQCD:all = on", "PhaseSpace:pTHatMin = 50"))
    total = sum(part.value_pb for part in slices)
    error = np.sqrt(sum(part.error_pb**2 for part in slices) + whole.error_pb**2)
    assert abs(total - whole.value_pb) < 4 * error
    assert error / total < 0.02
    assert all(high.value_pb < low.value_pb / 50 for low, high in pairwise(slices))


def test_a_stated_cross_section_is_taken() -> None:
    assert cross_section(_card("HardQCD:all = on", cross_section_pb=0.25)) == pythia.CrossSection(0.25, 0.0)


def test_top_pairs_have_pythias_cross_section() -> None:
    # Leading order with Pythia's default PDF and scales; the measured one is 830 pb.
    assert cross_section(load_card("ttbar")).value_pb == pytest.approx(507.0, rel=0.03)
