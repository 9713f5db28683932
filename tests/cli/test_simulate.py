import json
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import uproot
from typer.testing import CliRunner

from hepfilter.cli.notices import lines_on_stderr
from hepfilter.cli.simulate import simulate
from hepfilter.config.card import card_names
from hepfilter.config.sample import sample_names
from hepfilter.errors import ConfigError, OutputError, SimulationError, UsageError
from hepfilter.wording import counted

OWN = """
name: own
title: quick
family: own
is_signal: true
label: 7
multiple_interactions: false
settings: ["HardQCD:all = on", "PhaseSpace:pTHatMin = 100"]
"""


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(lines_on_stderr()(simulate))
    return made


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return str(path)


def test_list_names_every_card_and_set(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--list"])
    assert result.exit_code == 0
    cards, sets = (part.splitlines() for part in result.stdout.split("\n\n"))
    assert cards[0].split() == ["card", "family", "label", "kind", "points", "title"]
    assert [line.split()[0] for line in cards[1:]] == list(card_names())
    by_name = {line.split()[0]: line for line in cards[1:]}
    assert by_name["zprime_ll"].split()[:5] == ["zprime_ll", "dilepton", "102", "signal", "@300…4500"]
    qcd = by_name["qcd"].split()
    assert qcd[:7] == ["qcd", "qcd", "0", "background", "@15…1700", "QCD", "multijets,"]
    assert qcd[7:] == ["pT-hat", ">", "15", "GeV"]  # that of all slices together
    assert by_name["charmonium"].split()[3:5] == ["background", "Charmonium,"]
    assert "{" not in result.stdout
    assert sets[0].split() == ["set", "sizes", "title"]
    assert [line.split()[0] for line in sets[1:]] == list(sample_names())
    assert "tiny, quick, small, full" in sets[1]


def test_list_as_json(app: typer.Typer) -> None:
    listed = json.loads(CliRunner().invoke(app, ["--list", "--json"]).stdout)
    assert [entry["name"] for entry in listed["cards"]] == list(card_names())
    assert [entry["name"] for entry in listed["sets"]] == list(sample_names())
    scans = {entry["name"]: entry["scan"] for entry in listed["cards"]}
    assert scans["zprime_ll"]["default"] == 2000.0
    assert scans["qcd"] is None


def test_table_of_what_was_made(app: typer.Typer, card: str, tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    result = CliRunner().invoke(app, [card, "-n", "6", "--seed", "2", "-o", str(output), "--particles"])
    assert result.exit_code == 0, result.output
    header, row, last = result.stdout.splitlines()
    assert header.startswith("process")
    assert row.split()[:3] == ["own", "7", "6"]
    assert last.startswith(f"{output}: 6 events in ")
    assert result.stderr == ""
    with uproot.open(output) as file:
        assert file["Events"].num_entries == 6
        assert "PFCands_pt" in file["Events"]


def test_json_is_all_there_is_on_stdout(card: str, tmp_path: Path) -> None:
    # In a process of its own, where libraries that print at their first use would be seen.
    program = "import typer; from hepfilter.cli.simulate import simulate; typer.run(simulate)"
    options = [card, "-n", "4", "-o", str(tmp_path / "o.root"), "--json"]
    done = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert (report["events"], report["seed"]) == (4, 1)
    assert report["processes"][0]["name"] == "own"
    assert report["processes"][0]["cross_section_pb"] > 0
    assert done.stderr == ""


def test_all_points_of_a_scan_are_processes_of_the_file(app: typer.Typer, card: str, tmp_path: Path) -> None:
    scan = "scan: {parameter: mass, default: 100, points: [50, 100, 200]}"
    Path(card).write_text(OWN.replace("= 100", "= {mass}") + scan)
    options = ["-n", "3", "-o", str(tmp_path / "o.root"), "--json"]
    report = json.loads(CliRunner().invoke(app, [f"{card}@all", *options]).stdout)
    assert [(process["name"], process["events"]) for process in report["processes"]] == [
        ("own@50", 3),
        ("own", 3),
        ("own@200", 3),
    ]
    one, two, three = (process["cross_section_pb"] for process in report["processes"])
    assert one > 5 * two > 25 * three
    with uproot.open(tmp_path / "o.root") as file:
        assert file["Events/HepFilterTruth_point"].array().tolist() == [50.0] * 3 + [100.0] * 3 + [200.0] * 3
    report = json.loads(CliRunner().invoke(app, [f"{card}@150", *options, "--force"]).stdout)
    assert [process["name"] for process in report["processes"]] == ["own@150"]


def test_a_filtered_process_tells_its_efficiency(app: typer.Typer, card: str, tmp_path: Path) -> None:
    cut = "generator_filter: [{pdg_id: [5], pt_min: 10}]\ncross_section_pb: 8.0\n"
    Path(card).write_text(OWN + cut)
    output = str(tmp_path / "o.root")
    (process,) = json.loads(CliRunner().invoke(app, [card, "-n", "20", "-o", output, "--json"]).stdout)["processes"]
    assert process["events"] == 20 < process["generated"]
    assert process["filter_efficiency"] == pytest.approx(19 / (process["generated"] - 1), rel=1e-6)
    assert (process["cross_section_pb"], process["cross_section_error_pb"]) == (8.0, 0.0)
    with uproot.open(output) as file:
        weights = file["Events/genWeight"].array(library="np")
    assert weights.sum() == pytest.approx(8.0 * process["filter_efficiency"], rel=1e-5)


@pytest.fixture
def sample(tmp_path: Path, card: str) -> str:
    path = tmp_path / "set.yaml"
    members = f"[{{cards: ['{card}'], events: {{tiny: 4, small: 7}}}}]"
    path.write_text(f"name: mine\ntitle: My set\nseed: 77\nparticles: true\nmembers: {members}\n")
    return str(path)


def test_a_set_decides_cards_events_and_seed(app: typer.Typer, sample: str, tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    made = []
    for options in ([], ["--size", "small"], ["--seed", "5", "--no-particles"]):
        result = CliRunner().invoke(app, ["--set", sample, "-o", str(output), "--force", "--json", *options])
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        with uproot.open(output) as file:
            made.append((report["events"], report["seed"], "PFCands_pt" in file["Events"]))
    assert made == [(4, 77, True), (7, 77, True), (4, 5, False)]


def test_pile_up_is_added_and_noted(
    app: typer.Typer, card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hepfilter.simulation.pileup.POOL_CARD", card)  # far quicker than minimum bias
    monkeypatch.setattr("hepfilter.simulation.pileup.POOL_EVENTS", 50)
    output = tmp_path / "o.root"
    result = CliRunner().invoke(app, [card, "-n", "40", "-o", str(output), "--pileup", "6"])
    assert result.exit_code == 0, result.output
    with uproot.open(output) as file:
        assert json.loads(str(file["HepFilterTruth_processes"]))["pileup"] == 6.0
        numbers = file["Events/Pileup_nPU"].array(library="np")
    assert abs(numbers.mean() - 6.0) < 4 * (6.0 / 40) ** 0.5


def test_what_counts_twice_is_said_on_stderr(app: typer.Typer, card: str, tmp_path: Path) -> None:
    part = tmp_path / "part.yaml"
    part.write_text(OWN.replace("name: own", "name: part").replace("label: 7", "label: 8") + "part_of: own\n")
    options = ["-n", "2", "-o", str(tmp_path / "o.root"), "--json", "--force"]
    both = CliRunner().invoke(app, [card, str(part), *options])
    assert both.stderr == "hepfilter: part has events of own: the weights count them twice\n"
    assert len(json.loads(both.stdout)["processes"]) == 2
    assert CliRunner().invoke(app, [str(part), *options]).stderr == ""


@pytest.mark.parametrize("part_of", [None, "qcd"])
def test_a_slice_beside_the_whole_counts_twice(
    app: typer.Typer, card: str, tmp_path: Path, part_of: str | None
) -> None:
    sliced = OWN.replace(', "PhaseSpace:pTHatMin = 100"', "") + "slices: {edges: [100, 200]}\n"
    Path(card).write_text(sliced + (f"part_of: {part_of}\n" if part_of else ""))
    options = ["-n", "2", "-o", str(tmp_path / "o.root"), "--json", "--force"]
    both = CliRunner().invoke(app, [card, f"{card}@200", *options])
    assert both.stderr == "hepfilter: own@200 has events of own: the weights count them twice\n"
    assert CliRunner().invoke(app, [f"{card}@all", *options]).stderr == ""


def test_what_waits_after_an_error_is_said_on_stderr(app: typer.Typer, card: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    hard = OWN.replace("own", "broken", 1).replace("= 100", "= 8000")
    broken.write_text(hard + "cross_section_pb: 1.0\n")  # spares the pilot: the block fails
    output = tmp_path / "o.root"
    failed = CliRunner().invoke(app, [card, str(broken), "-n", "2", "-o", str(output)])
    assert isinstance(failed.exception, SimulationError)
    assert failed.stderr == "hepfilter: kept: 1 finished block; the same command goes on from there\n"
    again = CliRunner().invoke(app, [card, str(broken), "-n", "2", "-o", str(output)])
    assert again.stderr.startswith(f"hepfilter: going on from 1 finished block in {output}.blocks\n")
    none = CliRunner().invoke(app, [str(broken), "-n", "2", "-o", str(tmp_path / "other.root")])
    assert isinstance(none.exception, SimulationError)
    assert none.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ([], UsageError, "-o FILE.root"),
        (["CARD"], UsageError, "-o FILE.root"),
        (["-o", "OUT"], UsageError, "no card given; `hepfilter simulate --list` names those that ship"),
        (["ttbra", "-o", "OUT"], ConfigError, "nearest: ttbar"),
        (["CARD", "--set", "lhco", "-o", "OUT"], UsageError, "a set decides cards and events itself"),
        (["--set", "lhco", "-n", "5", "-o", "OUT"], UsageError, "a set decides cards and events itself"),
        (["CARD", "-n", "2", "--size", "small", "-o", "OUT"], UsageError, "--set"),
        (["--set", "lhcoo", "-o", "OUT"], ConfigError, "nearest: lhco"),
        (["--set", "lhco", "--size", "huge", "-o", "OUT"], UsageError, "sizes: tiny, quick, small, full"),
        (["CARD", "-n", "0", "-o", "OUT"], UsageError, "events must lie between 1 and"),
        (["CARD", "-n", "2", "--pileup", "-3", "-o", "OUT"], UsageError, "pileup"),
        (["CARD", "CARD", "-o", "OUT"], UsageError, "cards of the same name: own"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    app: typer.Typer, card: str, tmp_path: Path, arguments: list[str], error: type[Exception], said: str
) -> None:
    output = tmp_path / "o.root"
    places = {"CARD": card, "OUT": str(output)}
    result = CliRunner().invoke(app, [places.get(word, word) for word in arguments])
    assert isinstance(result.exception, error), result.output
    assert said in str(result.exception)
    assert not output.exists()


def test_the_command_imports_nothing_heavy() -> None:
    heavy = "{'awkward', 'numpy', 'torch', 'pythia8mc', 'uproot'}"
    program = f"import sys, hepfilter.cli.simulate; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_table_has_the_weights_in_the_file_and_says_which_cross_sections_are_stated(
    app: typer.Typer, card: str, tmp_path: Path
) -> None:
    stated = tmp_path / "stated.yaml"
    cut = "generator_filter: {pdg_id: [5], pt_min: 10}\ncross_section_pb: 0.1\n"
    stated.write_text(OWN.replace("name: own", "name: stated").replace("label: 7", "label: 8") + cut)
    output = tmp_path / "o.root"
    result = CliRunner().invoke(app, [card, str(stated), "-n", "20", "-o", str(output)])
    assert result.exit_code == 0, result.output
    header, *rows, _ = result.stdout.splitlines()
    places = [header.index(word) for word in ("cross-section [pb]", "kept", "in file [pb]", "generator [s]")]
    cells = [[row[begin:end].strip() for begin, end in pairwise(places)] for row in rows]
    with uproot.open(output) as file:
        weights, labels = (file[f"Events/{name}"].array(library="np") for name in ("genWeight", "HepFilterTruth_label"))
    sums = [weights[labels == label].sum(dtype=float) for label in (7, 8)]
    (section, error), (kept, unit) = cells[0][0].split(" ± "), cells[0][1].split()
    assert (kept, unit) == ("100", "%")
    assert float(section) == pytest.approx(sums[0], rel=1e-3) and 0 < float(error) < float(section)
    assert cells[1][0] == "0.1 (card)"
    assert float(cells[1][1].split()[0]) / 100 * 0.1 == pytest.approx(sums[1], rel=1e-2)
    assert [float(row[2]) for row in cells] == pytest.approx(sums, rel=1e-3)
    again = [card, str(stated), "-n", "20", "-o", str(output), "--force", "--json"]
    processes = json.loads(CliRunner().invoke(app, again).stdout)["processes"]
    assert [process["weight_sum_pb"] for process in processes] == pytest.approx(sums, rel=1e-9)


def test_after_a_signal_what_is_kept_is_told_and_taken_up_next_time(
    app: typer.Typer, card: str, tmp_path: Path
) -> None:
    output = tmp_path / "o.root"
    command = [sys.executable, "-m", "hepfilter", "simulate", card, "-n", "100000", "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        patience = time.monotonic() + 60.0
        while not list(tmp_path.glob("o.root.blocks/*.block")) and time.monotonic() < patience:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, error = running.communicate(timeout=60)
    blocks = len(list(tmp_path.glob("o.root.blocks/*.block")))
    assert (running.returncode, out, output.exists()) == (130, "", False)
    assert blocks >= 1
    finished = counted(blocks, "finished block")
    assert error.splitlines()[-1] == f"hepfilter: kept: {finished}; the same command goes on from there"
    # Fewer events of the same process: the block that is there is taken up.
    resumed = CliRunner().invoke(app, [card, "-n", "500", "-o", str(output)])
    assert resumed.exit_code == 0, resumed.output
    assert resumed.stderr == f"hepfilter: going on from {finished} in {output}.blocks\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.root", "own.yaml"]


def test_wrong_options_say_nothing_of_blocks_that_wait(app: typer.Typer, card: str, tmp_path: Path) -> None:
    folder = tmp_path / "o.root.blocks"
    folder.mkdir()
    (folder / "other-0123-000000-500.block").write_bytes(b"of another sample")
    for options, error in ((["--pileup", "401"], UsageError), ([], OutputError)):
        result = CliRunner().invoke(app, [card, "-n", "2", "-o", str(tmp_path / "o.root"), *options])
        assert isinstance(result.exception, error), result.output
        assert "kept: " not in result.stderr
    assert "holds 1 block of another sample, such as other-0123-000000-500.block" in str(result.exception)
    assert (folder / "other-0123-000000-500.block").read_bytes() == b"of another sample"
