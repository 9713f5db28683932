"""Sample sets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hepfilter.config.card import load_card, load_cards
from hepfilter.config.sample import Production, SampleSet, load_sample, overlaps, sample_names
from hepfilter.errors import ConfigError, UsageError

OWN: dict[str, Any] = {
    "name": "own",
    "title": "My set",
    "seed": 3,
    "members": [
        {"cards": ["ttbar@300", "zprime_ll"], "events": {"tiny": 5, "full": 100}},
        {"cards": ["zprime_ll@all"], "events": {"tiny": 0, "full": 20}},
    ],
}


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({**OWN, **changes}, sort_keys=False))
    return path


def test_what_ships() -> None:
    assert sample_names() == ("lhco", "lhco-shifted", "toptag", "trigger")


@pytest.mark.parametrize("name", sample_names())
def test_sets_that_ship_can_be_made_in_every_size(name: str) -> None:
    sample = load_sample(name)
    assert sample.name == name
    assert sample.sizes == ("tiny", "quick", "small", "full")
    totals = []
    for size in sample.sizes:
        productions = sample.productions(size)
        names = [production.card.name for production in productions]
        assert len(names) == len(set(names))
        assert {production.card.is_signal for production in productions} >= {False}
        totals.append(sum(production.events for production in productions))
    assert totals == sorted(totals)
    assert totals[0] <= 1000  # a minute or two


def test_the_olympics_have_the_published_numbers_of_events() -> None:
    full = load_sample("lhco").productions("full")
    assert [(p.card.name, p.events) for p in full] == [
        ("lhco_qcd", 1_000_000),
        ("wprime_xy", 100_000),
        ("wprime_xy_3prong", 100_000),
    ]


def test_the_trigger_set_holds_no_process_twice() -> None:
    # The whole of a sliced process beside its slices, or bbbar beside qcd, would be.
    for size in ("tiny", "full"):
        cards = [production.card for production in load_sample("trigger").productions(size)]
        names = {card.name for card in cards}
        assert not {card.part_of for card in cards} & names
        assert {"qcd@15", "qcd@1700", "ttbar@1200"} <= names
        assert not any(name.startswith(("bbbar", "lhco", "toptag")) for name in names)
        assert len({card.family for card in cards if card.is_signal}) >= 12


def test_members_without_events_are_left_out(tmp_path: Path) -> None:
    sample = load_sample(
        _write(tmp_path, members=[OWN["members"][0], {**OWN["members"][1], "cards": ["zprime_qq@all"]}])
    )
    assert sample.sizes == ("tiny", "full")
    assert sample.productions("tiny") == (
        Production(load_card("ttbar@300"), 5),
        Production(load_card("zprime_ll"), 5),
    )
    assert [p.events for p in sample.productions("full")] == [100, 100, 20, 20, 20, 20, 20]


def test_conditions_override_the_cards_and_add_to_them(tmp_path: Path) -> None:
    conditions = {
        "energy_tev": 14,
        "multiple_interactions": False,
        "detector": "atlas",
        "settings": ["TimeShower:alphaSvalue = 0.15"],
        "detector_filter": [{"collection": "Jet", "pt_min": 100}],
    }
    card = load_card("toptag_top")
    members = [{"cards": ["toptag_top"], "events": {"tiny": 1}}]
    (made,) = load_sample(_write(tmp_path, conditions=conditions, members=members)).productions("tiny")
    assert (made.card.energy_tev, made.card.multiple_interactions, made.card.detector) == (14.0, False, "atlas")
    assert made.card.settings == (*card.settings, "TimeShower:alphaSvalue = 0.15")
    assert [r.collection for r in made.card.detector_filter] == ["FatJet", "Jet"]
    assert made.card.detector_filter[0] == card.detector_filter[0]
    (plain,) = load_sample(_write(tmp_path, members=members)).productions("tiny")
    assert plain.card == card


def test_the_shifted_set_differs_in_the_shower_alone() -> None:
    plain, shifted = (load_sample(name).productions("tiny") for name in ("lhco", "lhco-shifted"))
    for one, two in zip(plain, shifted, strict=True):
        added = two.card.settings[len(one.card.settings) :]
        assert one.card.settings == two.card.settings[: len(one.card.settings)]
        assert added and all(line.startswith(("TimeShower", "SpaceShower", "StringZ")) for line in added)
        assert one.card.model_copy(update={"settings": two.card.settings}) == two.card
        assert one.events == two.events


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"membrs": []}, "unknown key 'membrs'; nearest: members"),
        ({"members": []}, "key 'members'"),
        ({"members": [{"cards": [], "events": {"tiny": 1}}]}, "key 'members.0.cards'"),
        (
            {"members": [OWN["members"][0], {"cards": ["ttbar"], "events": {"tiny": 1, "big": 2}}]},
            "sizes differ: tiny, full and tiny, big",
        ),
        ({"members": [{"cards": ["ttbar"], "events": {"tiny": -5}}]}, "key 'members.0.events.tiny'"),
        ({"conditions": {"energy": 14}}, "unknown key 'conditions.energy'; nearest: energy_tev"),
        ({"pileup": -1}, "key 'pileup'"),
        ({"pileup": 401}, "key 'pileup'"),
        ({"pileup": float("nan")}, "key 'pileup'"),
        ({"conditions": {"settings": ["phasespace:PTHATMAX=50"]}}, "is set by the key slices of a card"),
        ({"conditions": {"detector_filter": [{"collection": "Jet", "pt_min": float("inf")}]}}, "finite"),
        ({"seed": -1}, "key 'seed'"),
        ({"name": "Own Set"}, "key 'name'"),
    ],
)
def test_bad_sets_are_told_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load_sample(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_size_or_set_tells_those_that_there_are() -> None:
    sample = SampleSet.model_validate(OWN)
    with pytest.raises(UsageError, match=r"own: no size 'small'; sizes: tiny, full"):
        sample.productions("small")
    with pytest.raises(ConfigError, match=r"lhcoo: no such file and no built-in of configs/samples; nearest: lhco"):
        load_sample("lhcoo")


def test_bad_conditions_are_an_error_of_configuration(tmp_path: Path) -> None:
    path = _write(tmp_path, conditions={"settings": ["Random:seed = 4"]})
    with pytest.raises(ConfigError, match="set by the option --seed"):
        load_sample(path).productions("tiny")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["qcd@all", "ttbar"], {}),
        (["qcd", "qcd@200"], {"qcd@200": ("qcd",)}),
        (["qcd", "bbbar"], {"bbbar": ("qcd",)}),
        (["qcd@50", "bbbar@200"], {"bbbar@200": ("qcd@50",)}),
        (["lhco_qcd", "toptag_qcd"], {"lhco_qcd": ("toptag_qcd",), "toptag_qcd": ("lhco_qcd",)}),
        (["minimum_bias", "qcd@500"], {"qcd@500": ("minimum_bias",)}),
        (["zprime_ll@all", "zprime_tt"], {}),
        (["qcd@all", "bbbar"], {"bbbar": tuple(card.name for card in load_cards("qcd@all"))}),
        (["qcd@50", "qcd@200", "minimum_bias"], {"qcd@50": ("minimum_bias",), "qcd@200": ("minimum_bias",)}),
        (["charmonium", "bottomonium"], {}),
        (["bbbar"], {}),
    ],
)
def test_processes_that_count_twice_are_found(names: list[str], found: dict[str, tuple[str, ...]]) -> None:
    assert overlaps([Production(card, 5) for name in names for card in load_cards(name)]) == found


@pytest.mark.parametrize("name", sample_names())
def test_no_set_that_ships_counts_anything_twice(name: str) -> None:
    sample = load_sample(name)
    assert all(overlaps(sample.productions(size)) == {} for size in sample.sizes)


def test_conditions_may_not_limit_what_slices_do(tmp_path: Path) -> None:
    path = _write(tmp_path, conditions={"settings": ["PhaseSpace:pTHatMin = 50"]})
    with pytest.raises(ConfigError, match="is set by the key slices of a card"):
        load_sample(path)


def test_a_mass_must_be_within_reach_under_the_conditions_too(tmp_path: Path) -> None:
    members = [{"cards": ["zprime_ll@1500"], "events": {"tiny": 1}}]
    path = _write(tmp_path, conditions={"energy_tev": 1.5}, members=members)
    with pytest.raises(ConfigError, match=r"1500 GeV are more than the collision has \(1\.5 TeV\)"):
        load_sample(path).productions("tiny")
