"""Pythia's command files."""

from pathlib import Path

import pytest

from hepfilter.config.card import load_card, load_cards
from hepfilter.errors import ConfigError

FULL = """\
! Drell-Yan, as one finds it beside a main program
# hepfilter: {family: dilepton, label: 42, is_signal: false, title: "Drell-Yan"}
Main:numberOfEvents = 1000
Next:numberShowEvent 0
Init:showProcesses = off
Random:setSeed = on
Random:seed = 7

/* not read:
WeakSingleBoson:ffbar2W = on
*/
/* in one line: HardQCD:all = on */
Beams:eCM = 14000.
PartonLevel:MPI = off          ! quicker
WeakSingleBoson:ffbar2gmZ = on
  PhaseSpace:mHatMin 60
23:onMode=off ! only muons
23:onIfAny = 13 15
23:oneChannel 1 1.0 0 13 -13
- a line of dashes is a comment
"""


def _write(folder: Path, text: str, name: str = "own.cmnd") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_command_file_is_a_card(tmp_path: Path) -> None:
    card = load_card(_write(tmp_path, FULL))
    assert card.settings == (
        "WeakSingleBoson:ffbar2gmZ = on",
        "PhaseSpace:mHatMin = 60",
        "23:onMode = off",
        "23:onIfAny = 13 15",
        "23:oneChannel = 1 1.0 0 13 -13",
    )
    assert (card.energy_tev, card.multiple_interactions) == (14.0, False)
    assert (card.name, card.family, card.label, card.is_signal) == ("own", "dilepton", 42, False)
    assert card.title == "Drell-Yan"


def test_without_keys_of_ours_it_is_a_signal_named_like_the_file(tmp_path: Path) -> None:
    card = load_card(_write(tmp_path, "HardQCD:all = on\n", "my-run.2.cmnd"))
    assert (card.name, card.title, card.family) == ("my_run_2", "my-run.2", "own")
    assert (card.label, card.is_signal) == (1000, True)
    assert (card.energy_tev, card.multiple_interactions) == (13.0, True)


@pytest.mark.parametrize(
    ("written", "meant"), [("8000.", 8.0), ("8e3", 8.0), ("13600.0", 13.6), ("100000", 100.0), ("900", 0.9)]
)
def test_the_energy_is_in_gev_there(tmp_path: Path, written: str, meant: float) -> None:
    assert load_card(_write(tmp_path, f"Beams:eCM = {written}\nHardQCD:all = on\n")).energy_tev == pytest.approx(meant)


def test_a_scan_can_stand_in_the_comment(tmp_path: Path) -> None:
    keys = "{scan: {parameter: mass, default: 500, points: [300, 500]}}"
    path = _write(tmp_path, f"! hepfilter: {keys}\nNewGaugeBoson:ffbar2gmZZprime = on\n32:m0 = {{mass}}\n")
    assert [card.name for card in load_cards(f"{path}@all")] == ["own@300", "own"]
    assert load_card(f"{path}@800").settings[-1] == "32:m0 = 800"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("HardQCD:all = on\nHardQCD:all\n", "'HardQCD:all' is no Pythia line of the form 'Group:name = value'"),
        ("HardQCD:all =\n", "'HardQCD:all =' is no Pythia line"),
        ("Beams:eCM = high\nHardQCD:all = on\n", "Beams:eCM = high is no number of GeV"),
        ("PartonLevel:MPI = perhaps\nHardQCD:all = on\n", "key 'multiple_interactions'"),
        ("! hepfilter: {family: [}\nHardQCD:all = on\n", "the comment 'hepfilter: {family: [}': not valid YAML"),
        ("! hepfilter: {famly: mine}\nHardQCD:all = on\n", "unknown key 'famly'; nearest: family"),
        ("Beams:frameType = 4\nBeams:LHEF = a.lhe\n", "'Beams:frameType = 4' is not for a card: two protons"),
        ("Main:numberOfEvents = 10\n", "switches no process on"),
        ("", "switches no process on"),
        ("HardQCD:all = on\n/* never\nPhaseSpace:pTHatMin = 50\n", "a comment begins with /* and never ends"),
        ("! hepfilter: {label: 7, label: 8}\nHardQCD:all = on\n", "key 'label' stands twice"),
        ("! hepfilter: {settings: [a]}\nHardQCD:all = on\n", "settings stand in the lines of the file"),
        ("include = other.cmnd\nHardQCD:all = on\n", "a card must hold all of its lines itself"),
        ("HadronLevel:all = off\nHardQCD:all = on\n", "the detector needs whole events"),
        ("Beams:idB = -2212\nHardQCD:all = on\n", "'Beams:idB = -2212' is not for a card: two protons"),
        ("Beams:eCM = 8000\nPartonLevel:MPI = off\n! only comments\n", "switches no process on"),
        # Pythia would take the settings of one run after the other; together they are those of none.
        ("Main:subrun = 1\nHardQCD:all = on\nMain:subrun = 2\nTop:all = on\n", "of one run"),
        ("! hepfilter: {title: &a x, family: *a}\nHardQCD:all = on\n", "aliases (*name) are not allowed"),
        ("Beams:eCM = inf\nHardQCD:all = on\n", "key 'energy_tev'"),
        ("HardQCD:all = on\n23:name = Zé\n", "holds characters that are not for Pythia"),
    ],
)
def test_bad_files_are_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_card(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "own.cmnd"
    path.write_bytes(b"HardQCD:all = \xff\xfe")
    with pytest.raises(ConfigError, match="is no UTF-8 text"):
        load_card(path)


def test_the_mark_that_begins_files_on_windows_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "own.cmnd"
    path.write_bytes(b"\xef\xbb\xbfHardQCD:all = on\r\nPhaseSpace:pTHatMin = 50\r\n")
    assert load_card(path).settings == ("HardQCD:all = on", "PhaseSpace:pTHatMin = 50")


def test_every_line_of_a_main_program_is_left_out(tmp_path: Path) -> None:
    lines = "Main:timesAllowErrors = 3\nPRINT:quiet = on\nStat:showErrors on\nnext:numberShowInfo=0\n"
    assert load_card(_write(tmp_path, f"{lines}HardQCD:all = on\n")).settings == ("HardQCD:all = on",)


def test_protons_may_be_named_as_the_beams(tmp_path: Path) -> None:
    path = tmp_path / "own.cmnd"
    path.write_text("Beams:idA = 2212\nBeams:idB = 2212\nHardQCD:all = on\n")
    assert load_card(path).settings == ("HardQCD:all = on",)
