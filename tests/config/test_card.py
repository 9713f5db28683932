from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from hepfilter.config.card import Card, card_names, cards_of_label, load_card, load_card_file, load_cards
from hepfilter.errors import ConfigError

OWN = {
    "name": "own",
    "title": "My process",
    "family": "mine",
    "is_signal": True,
    "label": 7,
    "settings": ["HardQCD:all = on"],
}
SCAN = {"parameter": "mass", "default": 500, "points": [300, 500, 1000]}
SLICES = {"edges": [20, 50, 200]}
# Cards of benchmark sets are harder cuts of a process that has a card, and W and Z come in two ranges of pT.
SHARED_LABELS = [
    {"qcd", "lhco_qcd", "toptag_qcd"},
    {"ttbar", "toptag_top"},
    {"charmonium", "bottomonium"},
    {"wjets", "w_inclusive"},
    {"zjets", "z_inclusive"},
]


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({**OWN, **changes}, sort_keys=False))
    return path


def _every_card(name: str) -> tuple[Card, ...]:
    """All processes of a card that ships."""
    file = load_card_file(name)
    return load_cards(f"{name}@all" if file.scan or file.slices else name)


@pytest.mark.parametrize("name", card_names())
def test_cards_that_ship_are_valid_and_named_like_their_file(name: str) -> None:
    for card in (*load_cards(name), *_every_card(name)):
        assert card.name.split("@")[0] == name
        assert card.is_signal == (card.label >= 100)
        assert not any("{" in text for text in (card.title, *card.settings))
        assert Card.model_validate(card.model_dump(mode="json")) == card


@pytest.mark.parametrize("name", card_names())
def test_each_process_is_found_by_its_own_name(name: str) -> None:
    for card in _every_card(name):
        assert load_cards(card.name) == (card,)


def test_what_ships() -> None:
    cards = [load_card(name) for name in card_names()]
    signals = {card.family for card in cards if card.is_signal}
    backgrounds = {card.family for card in cards if not card.is_signal}
    assert {"qcd", "top", "single_top", "wz", "diboson", "photon", "higgs", "minimum_bias"} <= backgrounds
    assert len(signals) >= 12
    assert not signals & backgrounds
    assert {card.part_of for card in cards} - {None} <= set(card_names())


def test_labels_belong_to_one_card_each_but_for_parts_of_the_same_process() -> None:
    by_label: dict[int, set[str]] = {}
    for name in card_names():
        labels = {card.label for card in _every_card(name)}
        assert len(labels) == 1, name
        by_label.setdefault(labels.pop(), set()).add(name)
    shared = [names for names in by_label.values() if len(names) > 1]
    assert sorted(map(sorted, shared)) == sorted(map(sorted, SHARED_LABELS))


def test_scans_that_ship_ascend_and_hold_their_default() -> None:
    scans = {name: file.scan for name in card_names() if (file := load_card_file(name)).scan}
    assert len(scans) > 30
    for name, scan in scans.items():
        assert scan is not None
        assert list(scan.points) == sorted(set(scan.points)), name
        assert scan.default in scan.points, name
        processes = _every_card(name)
        assert len({card.settings if card.slha is None else str(card.slha) for card in processes}) == len(scan.points)


@pytest.mark.parametrize("name", [name for name in card_names() if load_card_file(name).slices])
def test_slices_touch_and_the_last_is_open(name: str) -> None:
    edges = []
    for card in load_cards(f"{name}@all"):
        values = dict(line.replace(" ", "").split("=") for line in card.settings)
        edges.append((float(values["PhaseSpace:pTHatMin"]), values.get("PhaseSpace:pTHatMax")))
        assert card.point == edges[-1][0]
        assert card.part_of in (name, load_card(name).part_of)
    lows, highs = zip(*edges, strict=True)
    assert len(edges) >= 4
    assert [float(high) for high in highs[:-1]] == list(lows[1:])
    assert highs[-1] is None
    assert all(low < high for low, high in pairwise(lows))
    # The whole begins where the first slice does, and has no end.
    whole = load_card(name)
    assert whole.settings == tuple(s for s in load_cards(f"{name}@all")[0].settings if "pTHatMax" not in s)
    assert whole.part_of != name


def test_names_of_variants() -> None:
    assert [card.name for card in load_cards("qcd@200")] == ["qcd@200"]
    assert [card.name for card in load_cards("qcd")] == ["qcd"]
    slices = ["qcd@15", "qcd@50", "qcd@200", "qcd@500", "qcd@1000", "qcd@1700"]
    assert [card.name for card in load_cards("qcd@all")] == slices
    assert load_card("zprime_ll").name == load_card("zprime_ll@2000").name == "zprime_ll"
    assert load_card("zprime_ll@1500").name == "zprime_ll@1500"  # between the points of the scan
    assert load_card("h_aa_4mu@0.5").name == "h_aa_4mu@0.5"
    assert [card.name for card in load_cards("zprime_ll@all")] == [
        "zprime_ll@300",
        "zprime_ll@500",
        "zprime_ll@1000",
        "zprime_ll",
        "zprime_ll@3000",
        "zprime_ll@4500",
    ]
    points = [load_card(name).point for name in ("qcd@200", "zprime_ll", "zprime_ll@1500", "charmonium")]
    assert points == [200.0, 2000.0, 1500.0, None]


def test_placeholders_are_filled_wherever_they_stand(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        scan=SCAN,
        title="X({mass}), and a tenth: {mass/10}",
        settings=["32:m0 = {mass}", "32:mMax = {mass*1.1}", "32:mMin = {mass-2.5}", "33:m0 = {mass+1}"],
        slha={"masses": {1000021: "{mass}"}, "decays": {1000021: []}},
        soft_bomb={"pdg_id": 25, "temperature": "{mass*0.01}", "meson_mass": 2},
    )
    card = load_card(f"{path}@300")
    assert card.title == "X(300), and a tenth: 30"
    assert card.settings == ("32:m0 = 300", "32:mMax = 330", "32:mMin = 297.5", "33:m0 = 301")
    assert card.slha is not None and card.slha.masses == {1000021: 300.0}
    assert card.soft_bomb is not None and card.soft_bomb.temperature == pytest.approx(3.0)
    assert [c.settings[0] for c in load_cards(f"{path}@all")] == ["32:m0 = 300", "32:m0 = 500", "32:m0 = 1000"]


def test_a_slice_has_its_edges_in_settings_and_title(tmp_path: Path) -> None:
    path = _write(tmp_path, slices=SLICES)
    low, middle, high = load_cards(f"{path}@all")
    assert low.settings == ("HardQCD:all = on", "PhaseSpace:pTHatMin = 20", "PhaseSpace:pTHatMax = 50")
    assert high.settings == ("HardQCD:all = on", "PhaseSpace:pTHatMin = 200")
    assert middle.title == "My process, 50 < pT-hat < 200 GeV"
    assert high.title == "My process, pT-hat > 200 GeV"
    assert [card.name for card in (low, middle, high)] == ["own@20", "own@50", "own@200"]
    assert {card.part_of for card in (low, middle, high)} == {"own"}
    whole = load_card(path)
    assert (whole.name, whole.title, whole.part_of) == ("own", "My process, pT-hat > 20 GeV", None)
    assert whole.settings == ("HardQCD:all = on", "PhaseSpace:pTHatMin = 20")


def test_a_whole_from_zero_says_nothing_of_it(tmp_path: Path) -> None:
    assert load_card(_write(tmp_path, slices={"edges": [0, 50]})).title == "My process"


def test_ones_own_card_from_a_file(tmp_path: Path) -> None:
    card = load_card(_write(tmp_path))
    assert (card.energy_tev, card.multiple_interactions, card.cross_section_pb) == (13.0, True, None)
    assert (card.detector, card.point, card.filtered) == ("cms", None, False)
    assert card.settings == ("HardQCD:all = on",)
    assert Card.model_validate(card.model_dump()) == card


def test_a_file_with_an_at_in_its_name_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run@7.yaml"
    path.write_text(yaml.safe_dump(OWN))
    assert load_card(path).name == "own"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"setings": []}, "unknown key 'setings'; nearest: settings"),
        ({"slice": SLICES}, "unknown key 'slice'; nearest: slices"),
        ({"scann": SCAN}, "unknown key 'scann'; nearest: scan"),
        ({"scan": {**SCAN, "point": 3}}, "unknown key 'scan.point'; nearest: points"),
        ({"slices": {"edge": [1, 2]}}, "unknown key 'slices.edge'; nearest: edges"),
        ({"slices": {"edges": [50, 20]}}, "the edges must ascend"),
        ({"generator_filter": [{"pdg_id": [24], "pt_mi": 3}]}, "unknown key 'generator_filter.0.pt_mi'; nearest: pt_m"),
        ({"detector_filter": [{"colection": "Jet"}]}, "unknown key 'detector_filter.0.colection'; nearest: collection"),
        ({"generator_filter": [{"pdg_id": [24], "at_least": 2, "at_most": 1}]}, "at_most 1 is below at_least 2"),
        (
            {"generator_filter": [{"pdg_id": [24], "pt_min": 9, "pt_max": 9}]},
            "pt_max 9.0 is not above pt_min 9.0",
        ),
        ({"soft_bomb": {"pdg_id": 25, "temprature": 1}}, "unknown key 'soft_bomb.temprature'; nearest: temperature"),
        ({"detector": "alice"}, "key 'detector'"),
        ({"settings": []}, "key 'settings'"),
        ({"settings": None, "slices": SLICES}, "key 'settings'"),
        ({"settings": ["HardQCD:all"]}, "'HardQCD:all' is no Pythia line of the form 'Group:name = value'"),
        ({"settings": ["Random:seed = 4"]}, "'Random:seed = 4' is set by the option --seed"),
        ({"settings": ["beams:eCM=14000"]}, "'beams:eCM=14000' is set by the key energy_tev"),
        ({"settings": ["PartonLevel:MPI = off"]}, "is set by the key multiple_interactions"),
        ({"settings": ["SLHA:file = mine.slha"]}, "'SLHA:file = mine.slha' is set by the key slha"),
        ({"scan": SCAN, "slices": SLICES}, "has both scan and slices"),
        ({"scan": SCAN, "title": "X({mas})"}, "the placeholder {mas} is unknown; known are {mass}, {mass*1.1}"),
        # Pythia would read each of these masses as 0, and say nothing.
        ({"scan": SCAN, "settings": ["32:m0 = {mass * 2}"]}, "{mass * 2}"),
        ({"settings": ["32:m0 = {mass}"]}, "{mass}"),
        ({"slices": SLICES, "settings": ["32:m0 = {mass}"]}, "{mass}"),
        ({"label": -1}, "key 'label'"),
        ({"energy_tev": 0.0}, "key 'energy_tev'"),
        ({"cross_section_pb": 0.0}, "key 'cross_section_pb'"),
        ({"name": "no spaces"}, "key 'name'"),
        ({"scan": SCAN, "title": "{mass/0}"}, "the placeholder {mass/0} divides by 0"),
        ({"settings": ["include = other.cmnd"]}, "a card must hold all of its lines itself"),
        ({"settings": ["Print:quiet = off"]}, "'Print:quiet = off' is for a main program, not for a card"),
        ({"settings": ["Beams:idA = 11"]}, "'Beams:idA = 11' is not for a card: two protons"),
        ({"settings": ["PartonLevel:all = off"]}, "the detector needs whole events"),
        ({"settings": ["HardQCD:all = on\nRandom:seed = 4"]}, "holds characters that are not for Pythia"),
        ({"name": "a" * 101}, "key 'name'"),
        ({"cross_section_pb": 1e300}, "key 'cross_section_pb'"),
        ({"cross_section_pb": 1.0, "slices": SLICES}, "has slices, so that cross_section_pb would be that of each"),
        ({"branching_ratio": 1.5}, "key 'branching_ratio'"),
        ({"generator_filter": [{"pdg_id": [13], "pt_min": float("inf")}]}, "key 'generator_filter.0.pt_min'"),
        ({"slha": {"masses": {5: -1.0}, "decays": {}}}, "key 'slha.masses.5'"),
        ({"slha": {"masses": {5: float("inf")}, "decays": {}}}, "key 'slha.masses.5'"),
        ({"soft_bomb": {"pdg_id": 25, "temperature": float("inf"), "meson_mass": 1}}, "key 'soft_bomb.temperature'"),
        ({"detector_filter": [{"collection": "Jet", "eta_max": float("inf")}]}, "key 'detector_filter.0.eta_max'"),
        (
            {"detector_filter": {"collection": "Jet", "minimum": {"mass": float("nan")}}},
            "key 'detector_filter.0.minimum.mass'",
        ),
        ({"energy_tev": float("inf")}, "key 'energy_tev'"),
        ({"cross_section_pb": 1e-30}, "key 'cross_section_pb'"),
        ({"branching_ratio": 0.0}, "key 'branching_ratio'"),
        ({"settings": ["23:name = Zé"]}, "'23:name = Zé' holds characters that are not for Pythia"),
        ({"slices": SLICES, "settings": ["phasespace:pthatmin = 5"]}, "is set by the key slices of a card"),
        ({"slha": {"masses": {}, "decays": {9: [{"ratio": 0.4, "to": [1, -1]}]}}}, "ratios of 9 sum to 0.4, not 1"),
    ],
)
def test_bad_cards_are_told_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = _write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load_cards(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qcd@70", "qcd@70: no slice begins there; slices: 15, 50, 200, 500, 1000, 1700, or @all"),
        ("qcd@hard", "qcd@hard: no slice begins there; slices: 15, 50, 200, 500, 1000, 1700, or @all"),
        ("zprime_ll@-5", "zprime_ll@-5: @-5 is no positive number"),
        ("zprime_ll@nan", "zprime_ll@nan: @nan is no positive number"),
        ("charmonium@50", "charmonium@50: has neither scan nor slices, so that @50 means nothing"),
        ("qcd@", "qcd@: no slice begins there; slices: 15, 50"),
        ("zprime_ll@", "zprime_ll@: @ is no positive number"),
        ("zprime_ll@13000", "zprime_ll@13000: 13000 GeV are more than the collision has (13 TeV)"),
        ("qdc@200", "qdc: no such file and no built-in of configs/simulation"),
    ],
)
def test_a_point_that_is_not_there_is_told_in_one_line(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_cards(name)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_one_card_is_not_several() -> None:
    with pytest.raises(ConfigError, match=r"ttbar@all: stands for 4 processes; name one: ttbar@0, ttbar@300, .*@1200$"):
        load_card("ttbar@all")


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"^ttbra: no such file and no built-in of configs/simulation; nearest: ttbar$"
    ):
        load_card("ttbra")


def test_an_empty_file_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("")
    with pytest.raises(ConfigError, match="is empty; it needs a mapping with the keys name, title, family"):
        load_cards(path)


def test_one_requirement_needs_no_list(tmp_path: Path) -> None:
    card = load_card(_write(tmp_path, generator_filter={"pdg_id": [13], "pt_min": 20}))
    assert [requirement.pt_min for requirement in card.generator_filter] == [20.0]


def test_our_words_stand_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_card(_write(tmp_path, settings=["Random:seed = 4"]))
    assert str(caught.value).endswith("key 'settings': 'Random:seed = 4' is set by the option --seed")


def test_a_folder_is_no_card(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder; give a file or the name of a built-in"):
        load_card(tmp_path)


def test_all_that_is_not_for_a_card_is_refused_however_it_is_written(tmp_path: Path) -> None:
    keys = """Beams:idB Beams:frameType Beams:LHEF Beams:eA Beams:eB ProcessLevel:all HadronLevel:all Main:subrun
    Main:numberOfEvents Random:setSeed Init:showProcesses Next:numberCount Stat:showProcessLevel Print:quiet"""
    for key in keys.split():
        for line in (f"{key} = 1", f"  {key.upper()}=1", f"{key.lower()}  =  1"):
            with pytest.raises(ConfigError, match=r"key 'settings': '.*' is (not )?(for|set by) "):
                load_card(_write(tmp_path, settings=["HardQCD:all = on", line]))
    # What only begins alike is Pythia's own.
    alike = ("PartonLevel:FSR = off", "HadronLevel:Hadronize = on", "Beams:allowMomentumSpread = off")
    assert load_card(_write(tmp_path, settings=list(alike))).settings == alike


def test_braces_that_are_no_placeholder_are_pythias(tmp_path: Path) -> None:
    lines = ("UncertaintyBands:List = {loud fsr:muRfac=0.5, soft fsr:muRfac=2.0}", "PhaseSpace:x = {3,6}")
    assert load_card(_write(tmp_path, settings=list(lines))).settings == lines
    assert load_card(_write(tmp_path, settings=list(lines), scan=SCAN)).settings == lines


def test_a_name_has_up_to_a_hundred_characters(tmp_path: Path) -> None:
    assert load_card(_write(tmp_path, name="a" * 100)).name == "a" * 100
    # The point is a part of the name, which becomes that of a file.
    with pytest.raises(ConfigError, match="key 'name'"):
        load_card(f"{_write(tmp_path, name='a' * 100, scan=SCAN)}@300")


def test_a_mass_must_be_within_reach_of_the_collision(tmp_path: Path) -> None:
    path = _write(tmp_path, scan=SCAN, energy_tev=0.9)
    assert load_card(f"{path}@899.5").point == 899.5
    for mass in ("900", "all"):  # one of the points is 1000 GeV
        with pytest.raises(ConfigError, match=r"(900|1000) GeV are more than the collision has \(0\.9 TeV\)$"):
            load_cards(f"{path}@{mass}")


def test_one_mapping_is_a_filter_of_the_detector_too(tmp_path: Path) -> None:
    requirement = {"collection": "Jet", "pt_min": 50, "minimum": {"mass": 5}}
    one, many = (load_card(_write(tmp_path, detector_filter=given)) for given in (requirement, [requirement]))
    assert one == many
    assert one.filtered and one.detector_filter[0].minimum == {"mass": 5.0}


def test_ratios_sum_to_one_within_a_thousandth(tmp_path: Path) -> None:
    def written(*ratios: float) -> Path:
        channels = [{"ratio": ratio, "to": [1, -1]} for ratio in ratios]
        return _write(tmp_path, slha={"masses": {}, "decays": {1000021: channels}})

    for ratios in ((), (1.0,), (0.3333, 0.3333, 0.3333)):
        assert load_card(written(*ratios)).slha is not None
    for ratios in ((0.998,), (0.6, 0.5)):
        with pytest.raises(ConfigError, match=r"key 'slha.decays': the branching ratios of 1000021 sum to .*, not 1$"):
            load_card(written(*ratios))


def test_quarkonia_are_two_cards_with_the_branching_ratios_to_muons() -> None:
    # S. Navas et al. (Particle Data Group), Phys. Rev. D 110 (2024) 030001: 5.961 % and 2.48 %.
    ratios = [load_card(name).branching_ratio for name in ("charmonium", "bottomonium")]
    assert ratios == pytest.approx([0.05961, 0.0248], rel=1e-3)
    assert "quarkonia" not in card_names()
    assert load_card("qcd").part_of == load_card("qcd@200").part_of == "minimum_bias"


def test_a_name_that_is_like_none_tells_how_many_there_are() -> None:
    first, *_, last = card_names()
    with pytest.raises(
        ConfigError, match=rf"^0{{9}}: no such file .*; there are {len(card_names())}, from {first} to "
    ):
        load_card("000000000")
    with pytest.raises(ConfigError, match=rf" to {last}$"):
        load_card("000000000")


def test_the_cards_of_a_label() -> None:
    """Slices and points are not told apart; cards that share a label all count."""
    assert cards_of_label(load_card("zprime_ll@1500").label) == ("zprime_ll",)
    assert cards_of_label(load_card("qcd@200").label) == ("lhco_qcd", "qcd", "toptag_qcd")
    assert cards_of_label(2**31 - 1) == ()
