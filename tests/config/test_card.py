from pathlib import Path
from typing import Any

import pytest

from hepfilter.config.card import Card, card_names, load_card
from hepfilter.errors import ConfigError

OWN = {
    "name": "own",
    "title": "My process",
    "family": "mine",
    "is_signal": True,
    "label": 7,
    "settings": ["HardQCD:all = on"],
}


def _write(folder: Path, **changes: Any) -> Path:
    lines = [f"{key}: {value!r}" if key != "is_signal" else f"{key}: true" for key, value in {**OWN, **changes}.items()]
    path = folder / "own.yaml"
    path.write_text("\n".join(lines).replace("True", "true"))
    return path


@pytest.mark.parametrize("name", card_names())
def test_cards_that_ship_are_valid_and_named_like_their_file(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.is_signal == (card.label >= 100)


def test_what_ships() -> None:
    cards = [load_card(name) for name in card_names()]
    signals = [card for card in cards if card.is_signal]
    backgrounds = {card.family for card in cards if not card.is_signal}
    assert backgrounds == {"qcd", "top", "wz", "heavy_flavour", "quarkonia"}
    assert len({card.family for card in signals}) == len(signals) >= 6
    by_label: dict[int, set[str]] = {}
    for card in cards:
        by_label.setdefault(card.label, set()).add(card.family)
    assert all(len(families) == 1 for families in by_label.values())


def test_qcd_slices_touch() -> None:
    edges = []
    for low in (50, 200, 500, 1000):
        values = dict(line.replace(" ", "").split("=") for line in load_card(f"qcd_{low}").settings)
        edges.append((values["PhaseSpace:pTHatMin"], values.get("PhaseSpace:pTHatMax")))
    assert edges == [("50", "200"), ("200", "500"), ("500", "1000"), ("1000", None)]


def test_ones_own_card_from_a_file(tmp_path: Path) -> None:
    card = load_card(_write(tmp_path))
    assert (card.energy_tev, card.multiple_interactions, card.cross_section_pb) == (13.0, True, None)
    assert card.settings == ("HardQCD:all = on",)
    assert Card.model_validate(card.model_dump()) == card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"setings": []}, "unknown key 'setings'; nearest: settings"),
        ({"settings": []}, "key 'settings'"),
        ({"settings": ["HardQCD:all"]}, "'HardQCD:all' is no Pythia line of the form 'Group:name = value'"),
        ({"settings": ["Random:seed = 4"]}, "'Random:seed = 4' is set by the option --seed"),
        ({"settings": ["beams:eCM=14000"]}, "'beams:eCM=14000' is set by the key energy_tev"),
        ({"settings": ["PartonLevel:MPI = off"]}, "is set by the key multiple_interactions"),
        ({"label": -1}, "key 'label'"),
        ({"energy_tev": 0.0}, "key 'energy_tev'"),
        ({"cross_section_pb": 0.0}, "key 'cross_section_pb'"),
        ({"name": "no spaces"}, "key 'name'"),
    ],
)
def test_bad_cards_are_told_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load_card(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"ttbra: no such file and no built-in of configs/simulation .*nearest: ttbar"
    ):
        load_card("ttbra")
