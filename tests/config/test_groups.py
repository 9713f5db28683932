"""The groups of families, and that those that ship are complete."""

from pathlib import Path

import pytest

from hepfilter.config.base import shipped
from hepfilter.config.card import load_cards
from hepfilter.config.groups import FamilyGroups, load_groups
from hepfilter.errors import ConfigError


def test_every_family_of_signals_that_ships_is_in_one_group() -> None:
    families = {card.family for name in shipped("simulation") for card in load_cards(name) if card.is_signal}
    grouped = [family for members in load_groups().groups.values() for family in members]
    assert sorted(grouped) == sorted(families)


def test_families_are_grouped_in_order_and_none_is_lost() -> None:
    groups = FamilyGroups(groups={"lepton": ("dilepton", "lepton_met"), "dark": ("dark_shower",)})
    assert groups.grouped(["mine", "lepton_met", "dilepton"]) == {
        "lepton": ("lepton_met", "dilepton"),
        "other": ("mine",),
    }
    assert groups.families("dark") == ("dark_shower",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: {a: [x], b: [y, x]}", "the family x stands in two groups"),
        ("groups: {a: []}", "groups.a"),
        ("group: {a: [x]}", "nearest: groups"),
    ],
)
def test_faults_of_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_groups(path)


def test_an_unknown_group_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no group 'leptons' of families; nearest: lepton"):
        load_groups().families("leptons")
