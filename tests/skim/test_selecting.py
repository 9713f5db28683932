"""Selecting by hand: expressions, masks, lists, duplicates, and the shape of the output; no model is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import ConfigError, OutputError, SchemaError, SourceError, UsageError
from hepfilter.io.baskets import raw_entries
from hepfilter.io.container import RootFile
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Leaf, TreeHeader
from hepfilter.io.writing import Column, column_branch, create_root, write_empty_streamers
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe, parse_fills
from tests.nano import make_nano

ADDED = ["HepFilter_passed", "HepFilter_entry"]


def events_of(path: Path) -> list[int]:
    with uproot.open({path: "Events"}) as tree:
        return tree["event"].array(library="np").tolist()


def test_an_expression_picks_the_events_that_numpy_picks(tmp_path):
    source = make_nano(tmp_path / "in.root", 300)
    report = skim([str(source)], tmp_path / "out.root", Recipe(where="nMuon >= 2 && Muon_pt[0] > 40 || MET_pt > 150"))
    with uproot.open({source: "Events"}) as tree:
        arrays = tree.arrays(["Muon_pt", "MET_pt", "event", "genWeight"])
    leading = ak.fill_none(ak.firsts(arrays.Muon_pt), 0)
    passed = ((ak.num(arrays.Muon_pt) >= 2) & (leading > 40)) | (arrays.MET_pt > 150)
    assert events_of(tmp_path / "out.root") == arrays.event[passed].tolist()
    assert 0 < report.written == ak.sum(passed) < 300
    assert [(step.name, step.events, step.weight) for step in report.cutflow()] == [
        ("read", 300, 150.0),
        ("where", report.written, 0.5 * report.written),
    ]
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        assert tree["HepFilter_entry"].array(library="np").tolist() == np.flatnonzero(passed).tolist()
        assert "HepFilter_interest" not in tree


def test_no_torch_no_uproot_is_imported_for_a_selection_by_hand(tmp_path):
    source = make_nano(tmp_path / "in.root", 50)
    script = (
        "import sys\nfrom hepfilter.cli.app import run\n"
        f"code = run(['skim', {str(source)!r}, '-o', {str(tmp_path / 'o.root')!r}, '--where', 'nMuon > 0'])\n"
        "assert code == 0\nprint([name for name in ('torch', 'uproot', 'awkward') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_output_is_the_same_for_any_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    monkeypatch.setattr("hepfilter.io.treewriter.TreeWriter.CLUSTER_BYTES", 3000)
    sources = [str(make_nano(tmp_path / f"{i}.root", 200, seed=i, first_event=200 * i)) for i in range(3)]
    contents = set()
    for workers in (1, 2, 5):
        skim(sources, tmp_path / "out.root", Recipe(where="nJet > 4"), workers=workers, force=True)
        with uproot.open({tmp_path / "out.root": "Events"}) as tree:
            seeks = [tuple(branch.member("fBasketSeek")) for branch in tree.branches]
            contents.add((tuple(seeks), tree.arrays(how=tuple)[2].to_list().__str__()))
            assert tree.num_baskets > 1 if hasattr(tree, "num_baskets") else len(seeks[0]) > 1
    assert len(contents) == 1


def test_a_damaged_basket_in_a_worker_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    source = make_nano(tmp_path / "in.root", 100)
    damaged = bytearray(source.read_bytes())
    with uproot.open({source: "Events"}) as tree:
        branch = tree["Jet_pt"]
        damaged[branch.member("fBasketSeek")[0] + branch.member("fBasketBytes")[0] - 60] ^= 0xFF
    source.write_bytes(damaged)
    with pytest.raises(SourceError, match=r"in\.root: tree Events, branch Jet_pt, entries 0 to 49 cannot be read"):
        skim([str(source)], tmp_path / "out.root", Recipe(where="nMuon >= 0"), workers=2)
    assert sorted(tmp_path.iterdir()) == [source, tmp_path / "out.root.ledger"]


def test_a_luminosity_mask_holds_for_events_and_books(tmp_path):
    source = make_nano(tmp_path / "in.root", 300)  # luminosity blocks 1, 2, 3 of run 1
    (tmp_path / "golden.json").write_text('{"1": [[2, 2]], "7": [[1, 5]]}')
    report = skim([str(source)], tmp_path / "out.root", Recipe(lumi_mask=str(tmp_path / "golden.json")))
    assert events_of(tmp_path / "out.root") == [*range(100, 200)]
    assert [(step.name, step.events) for step in report.cutflow()] == [("read", 300), ("luminosity mask", 100)]
    with uproot.open(tmp_path / "out.root") as file:
        assert file["Runs"].num_entries == 1
        assert file["LuminosityBlocks"].num_entries == 0  # the file lists block 1 alone
    (tmp_path / "other.json").write_text('{"7": [[1, 5]]}')
    skim([str(source)], tmp_path / "none.root", Recipe(lumi_mask=str(tmp_path / "other.json")))
    with uproot.open(tmp_path / "none.root") as file:
        assert file["Events"].num_entries == file["Runs"].num_entries == file["LuminosityBlocks"].num_entries == 0
        assert file["Events"].keys()[:3] == ["run", "luminosityBlock", "event"]


def test_a_golden_mask_of_2017_leaves_nothing_of_a_file_of_2018(shared_data, tmp_path):
    mask = str(shared_data / "Cert_2017_golden.json")
    report = skim([str(shared_data / "nano_dimuon.root")], tmp_path / "out.root", Recipe(lumi_mask=mask))
    assert (report.read, report.written) == (40, 0)
    with uproot.open(tmp_path / "out.root") as file:
        assert file["Runs"].num_entries == 0
        assert len(file["Events"].keys()) == 1601 + len(ADDED)


def test_listed_events_are_kept_and_those_that_are_nowhere_are_named(tmp_path):
    source = make_nano(tmp_path / "in.root", 300)
    (tmp_path / "ids.txt").write_text("1:3:250\n1 1 7 # mine\n1:1:7\n1:9:999\n")
    report = skim([str(source)], tmp_path / "out.root", Recipe(events=str(tmp_path / "ids.txt")))
    assert events_of(tmp_path / "out.root") == [7, 250]
    assert any(note == "listed and in no input: 1, namely 1:9:999" for note in report.warnings)


def test_the_list_of_kept_events_leads_back_to_them(tmp_path):
    source = make_nano(tmp_path / "in.root", 300)
    skim([str(source)], tmp_path / "a.root", Recipe(where="MET_pt > 60"), list_events=tmp_path / "ids.txt")
    skim([str(source)], tmp_path / "b.root", Recipe(events=str(tmp_path / "ids.txt")))
    assert events_of(tmp_path / "a.root") == events_of(tmp_path / "b.root") != []
    with pytest.raises(OutputError, match=r"ids\.txt: exists"):
        skim([str(source)], tmp_path / "c.root", Recipe(where="MET_pt > 60"), list_events=tmp_path / "ids.txt")
    assert not (tmp_path / "c.root").exists()


def test_of_overlapping_inputs_each_event_is_kept_once(tmp_path):
    whole = make_nano(tmp_path / "whole.root", 200)
    part = make_nano(tmp_path / "part.root", 120, seed=9, first_event=150)
    report = skim([str(whole), str(part)], tmp_path / "out.root", Recipe(deduplicate=True))
    assert events_of(tmp_path / "out.root") == [*range(200), *range(200, 270)]
    assert [(step.name, step.events) for step in report.cutflow()] == [("read", 320), ("not seen before", 270)]
    (tmp_path / "copy.root").write_bytes(whole.read_bytes())
    skim([str(whole), str(tmp_path / "copy.root")], tmp_path / "once.root", Recipe(deduplicate=True))
    with uproot.open(tmp_path / "once.root") as file:
        assert file["Events"].num_entries == 200
        assert file["Runs/genEventSumw"].array().tolist() == [100.0]  # the copy's books do not count again


def test_cuts_apply_in_the_order_of_the_cutflow(tmp_path):
    source = make_nano(tmp_path / "in.root", 300)
    (tmp_path / "golden.json").write_text('{"1": [[1, 2]]}')
    (tmp_path / "ids.txt").write_text("".join(f"1:{1 + n // 100}:{n}\n" for n in range(50, 250)))
    recipe = Recipe(
        where="event % 2 == 0",
        lumi_mask=str(tmp_path / "golden.json"),
        events=str(tmp_path / "ids.txt"),
        deduplicate=True,
    )
    report = skim([str(source)], tmp_path / "out.root", recipe)
    flow = [(step.name, step.events) for step in report.cutflow()]
    assert flow == [
        ("read", 300), ("not seen before", 300), ("luminosity mask", 200), ("event list", 150), ("where", 75),
    ]  # fmt: skip
    assert events_of(tmp_path / "out.root") == [*range(50, 200, 2)]


def test_branches_are_kept_and_dropped_and_what_is_needed_stays(tmp_path):
    source = make_nano(tmp_path / "in.root", 60)
    skim([str(source)], tmp_path / "a.root", Recipe(keep_branches=("Muon_*", "MET_pt"), drop_branches=("*_flag",)))
    with uproot.open({tmp_path / "a.root": "Events"}) as tree:
        muon = [f"Muon_{name}" for name in ("pt", "eta", "phi", "mass", "charge")]
        assert tree.keys() == ["run", "luminosityBlock", "event", "MET_pt", "nMuon", *muon, *ADDED]
    (tmp_path / "rules.txt").write_text(
        "drop *\nkeep Jet_pt\nkeepmatch Jet_(eta|phi)\ndrop Jet_phi\nkeep nothing_here\n"
    )
    report = skim([str(source)], tmp_path / "b.root", Recipe(branches=str(tmp_path / "rules.txt")))
    with uproot.open({tmp_path / "b.root": "Events"}) as tree:
        assert tree.keys() == ["run", "luminosityBlock", "event", "nJet", "Jet_pt", "Jet_eta", *ADDED]
    assert any("line 5" in note and "matches no branch" in note for note in report.warnings)
    with pytest.raises(UsageError, match=r"Muon_tp.*nearest: Muon_pt"):
        skim([str(source)], tmp_path / "c.root", Recipe(keep_branches=("Muon_tp",)))


@pytest.mark.parametrize("recipe", [Recipe(split_events=40), Recipe(where="event < 0", split_events=40)])
def test_outputs_are_split_in_order_and_the_books_stand_once(tmp_path, recipe):
    sources = [str(make_nano(tmp_path / f"{i}.root", 50, seed=i, first_event=50 * i)) for i in range(2)]
    report = skim(sources, tmp_path / "out.root", recipe)
    paths = sorted(tmp_path.glob("out*"))
    expected = [40, 40, 20] if recipe.where is None else [0]
    assert [path.name for path in paths] == [f"out_{n}.root" for n in range(1, len(expected) + 1)]
    assert [output.events for output in report.outputs] == expected
    assert [n for path in paths for n in events_of(path)] == [*range(100)][: sum(expected)]
    keys = set()
    for number, path in enumerate(paths):
        with uproot.open(path) as file:
            keys.add(tuple(file.keys(cycle=False)))
            assert file["Runs/genEventSumw"].array().tolist() == ([25.0, 25.0] if number == 0 else [])
            assert file["HepFilter_cutflow"].values()[0] == (100 if number == 0 else 0)
            assert json.loads(str(file["HepFilter_provenance"]))["output"] == number
    assert len(keys) == 1


def test_a_split_by_size_is_about_that_size(tmp_path):
    source = make_nano(tmp_path / "in.root", 4000, basket=1000)
    size = source.stat().st_size
    report = skim([str(source)], tmp_path / "out.root", Recipe(split_bytes=size // 4))
    assert len(report.outputs) in (4, 5)
    assert sum(output.events for output in report.outputs) == 4000
    for path in tmp_path.glob("out_*"):
        assert path.stat().st_size < size / 2


def test_when_the_last_output_fails_none_appears(tmp_path, monkeypatch):
    source = make_nano(tmp_path / "in.root", 100)
    (tmp_path / "out_1.root").write_text("precious")
    real = "hepfilter.skim.pipeline.write_provenance"

    def fail(out, report, recipe, number, **given):
        if number == 2:
            raise OutputError("no room")

    monkeypatch.setattr(real, fail)
    with pytest.raises(OutputError, match="no room"):
        skim([str(source)], tmp_path / "out.root", Recipe(split_events=30), force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.root", "out_1.root"]
    assert (tmp_path / "out_1.root").read_text() == "precious"


def different_files(folder: Path) -> list[str]:
    """Two files of one kind of which each has a branch that the other lacks."""
    paths = []
    for name, own in (("a", "HLT_old"), ("b", "HLT_new")):
        columns = [Column("event", "uint64"), Column(own, "bool"), Column("x_pt", "float32", counter="nx")]
        columns += [Column("y_pt", "float32", counter="ny")] if name == "b" else []
        with create_root(folder / f"{name}.root") as out, out.new_tree("Events", columns) as tree:
            values = {"event": range(4), own: [True] * 4, "x_pt": ([1.5] * 6, [0, 1, 2, 3])}
            tree.extend(values | ({"y_pt": ([2.5] * 4, [1] * 4)} if name == "b" else {}))
        paths.append(str(folder / f"{name}.root"))
    return paths


def test_inputs_that_differ_are_united_cut_or_refused(tmp_path):
    inputs = different_files(tmp_path)
    with pytest.raises(OutputError, match=r"b\.root: tree Events differs from .*a\.root in HLT_old.*--layout union"):
        skim(inputs, tmp_path / "s.root", Recipe(where="event > 0"))
    assert not (tmp_path / "s.root").exists()
    report = skim(inputs, tmp_path / "u.root", Recipe(where="event > 0", layout="union"))
    with uproot.open({tmp_path / "u.root": "Events"}) as tree:
        assert tree.keys() == ["event", "HLT_old", "nx", "x_pt", "HLT_new", "ny", "y_pt", *ADDED]
        arrays = tree.arrays()
    assert arrays.HLT_old.tolist() == [True] * 3 + [False] * 3
    assert arrays.HLT_new.tolist() == [False] * 3 + [True] * 3
    assert arrays.ny.tolist() == [0] * 3 + [1] * 3
    assert arrays.y_pt.tolist() == [[]] * 3 + [[2.5]] * 3
    filled = "stands for what an input lacks: HLT_old = 0, HLT_new = 0, ny = 0, y_pt = 0"
    assert filled in report.warnings
    report = skim(inputs, tmp_path / "i.root", Recipe(where="event > 0", layout="intersection"))
    assert "not all inputs have, and the output has not: HLT_old, HLT_new, ny, y_pt" in report.warnings
    with uproot.open({tmp_path / "i.root": "Events"}) as tree:
        assert tree.keys() == ["event", "nx", "x_pt", *ADDED]
        assert tree.num_entries == 6


def test_what_is_missing_and_no_bool_needs_a_value(tmp_path):
    paths = []
    for name, more in (("a", []), ("b", [Column("rho", "float32"), Column("x_id", "int32", counter="nx")])):
        columns = [Column("event", "uint64"), Column("x_pt", "float32", counter="nx"), *more]
        with create_root(tmp_path / f"{name}.root") as out, out.new_tree("Events", columns) as tree:
            values = {"event": range(3), "x_pt": ([1.0] * 3, [2, 0, 1])}
            tree.extend(values | ({"rho": [7.0] * 3, "x_id": ([5] * 3, [2, 0, 1])} if more else {}))
        paths.append(str(tmp_path / f"{name}.root"))
    recipe = Recipe(where="event >= 0", layout="union")
    with pytest.raises(OutputError, match=r"a\.root: has no branch (rho|x_id).*--fill (rho|x_id)=VALUE"):
        skim(paths, tmp_path / "o.root", recipe)
    recipe = Recipe(where="event >= 0", layout="union", fills={"rho": -1.0, "x_id": -9.0})
    skim(paths, tmp_path / "o.root", recipe)
    with uproot.open({tmp_path / "o.root": "Events"}) as tree:
        assert tree["rho"].array().tolist() == [-1.0] * 3 + [7.0] * 3
        assert tree["x_id"].array().tolist() == [[-9, -9], [], [-9], [5, 5], [], [5]]


def test_a_catalogue_gives_books_for_each_dataset_and_its_masks(tmp_path):
    for name, first in (("a", 0), ("b", 200), ("c", 400)):
        make_nano(tmp_path / f"{name}.root", 100, first_event=first)
    (tmp_path / "golden.json").write_text('{"1": [[5, 5]]}')
    (tmp_path / "all.yaml").write_text(
        "datasets:\n  mc:\n    kind: mc\n    cross_section: 2.5\n    files: [a.root, b.root]\n"
        "  data:\n    kind: data\n    lumi_mask: golden.json\n    files: [c.root]\n"
    )
    report = skim([str(tmp_path / "all.yaml")], tmp_path / "out.root", Recipe(where="event % 4 == 0"))
    assert report.datasets == ("mc", "data")
    flow = [(step.name, step.events) for step in report.cutflow("mc")]
    assert flow == [("read", 200), ("luminosity mask", 200), ("where", 50)]
    assert [step.events for step in report.cutflow()] == [300, 300, 75]
    with uproot.open(tmp_path / "out.root") as file:
        assert file["HepFilter_cutflow"].values().tolist() == [300, 300, 75]
    flow = [(step.name, step.events) for step in report.cutflow("data")]
    assert flow == [("read", 100), ("luminosity mask", 100), ("where", 25)]
    assert report.written == 75


def test_branches_that_are_dropped_may_differ(tmp_path):
    """That trigger paths come and go between files is the commonest case."""
    inputs = different_files(tmp_path)
    recipe = Recipe(where="event > 0", drop_branches=("HLT_*", "y_pt"))
    skim(inputs, tmp_path / "out.root", recipe)
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        assert tree.keys() == ["event", "nx", "x_pt", *ADDED]
        assert tree.num_entries == 6
    typed = []
    for name, dtype in (("c", "float32"), ("d", "float64")):
        columns = [Column("event", "uint64"), Column("rho", dtype)]
        with create_root(tmp_path / f"{name}.root") as out, out.new_tree("Events", columns) as tree:
            tree.extend({"event": range(2), "rho": [1, 2]})
        typed.append(str(tmp_path / f"{name}.root"))
    with pytest.raises(OutputError, match=r"d\.root: .* in the type of rho; .* drop the branches with --drop-branches"):
        skim(typed, tmp_path / "o.root", Recipe(where="event > 0"))
    assert skim(typed, tmp_path / "o.root", Recipe(where="event > 0", drop_branches=("rho",))).written == 2


def test_an_output_is_never_an_input_or_another_output(tmp_path):
    source = make_nano(tmp_path / "out_1.root", 20)
    before = source.read_bytes()
    with pytest.raises(UsageError, match=r"out_1\.root: is one of the inputs"):
        skim([str(source)], tmp_path / "out.root", Recipe(split_events=5), force=True)
    with pytest.raises(UsageError, match=r"x\.root: is written or read otherwise"):
        skim([str(source)], tmp_path / "x.root", Recipe(where="1"), list_events=tmp_path / "x.root", force=True)
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out_1.root"]


def test_a_list_that_cannot_be_written_leaves_no_output(tmp_path, monkeypatch):
    source = make_nano(tmp_path / "in.root", 20)

    def fail(*_, **__):
        raise OutputError("no room")

    monkeypatch.setattr("hepfilter.skim.pipeline.write_event_list", fail)
    with pytest.raises(OutputError, match="no room"):
        skim([str(source)], tmp_path / "out.root", Recipe(where="1"), list_events=tmp_path / "ids.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["in.root"]


def test_skims_of_one_input_are_noted_when_they_meet_again_and_parts_of_one_skim_are_not(tmp_path):
    source = make_nano(tmp_path / "in.root", 100)
    for name, where in (("x", "nMuon >= 1"), ("y", "nMuon == 0")):
        skim([str(source)], tmp_path / f"{name}.root", Recipe(where=where))
    both = [str(tmp_path / "x.root"), str(tmp_path / "y.root")]
    report = skim(both, tmp_path / "xy.root", Recipe(where="1"))
    assert any(
        "y.root and" in note and "are skims of the same input: its books count" in note for note in report.warnings
    )
    skim(source, tmp_path / "p.root", Recipe(split_events=40))
    parts = [tmp_path / f"p_{number}.root" for number in (1, 2, 3)]
    report = skim(parts, tmp_path / "whole.root", Recipe(where="1"))
    assert report.written == 100
    assert not any("skims of the same input" in note for note in report.warnings)


def test_the_replica_that_was_read_is_recorded(tmp_path):
    make_nano(tmp_path / "there.root", 20)
    (tmp_path / "no.root").write_text("no ROOT file at all, but longer than a header")
    (tmp_path / "all.yaml").write_text(
        "datasets:\n  a:\n    kind: mc\n    cross_section: 2.5\n    files: [[no.root, there.root]]\n"
    )
    report = skim([tmp_path / "all.yaml"], tmp_path / "out.root", Recipe(where="1"))
    assert report.files[0].path == str(tmp_path / "there.root")
    assert any("no.root cannot be read; " in note for note in report.warnings)
    with uproot.open(tmp_path / "out.root") as file:
        facts = json.loads(str(file["HepFilter_provenance"]))
    assert facts["datasets"] == {"a": {"kind": "mc", "cross_section": 2.5, "luminosity": None}}


def test_what_leaves_nothing_is_told(tmp_path):
    source = make_nano(tmp_path / "in.root", 20)
    (tmp_path / "golden.json").write_text('{"7": [[1, 5]]}')
    report = skim(source, tmp_path / "out.root", Recipe(lumi_mask=str(tmp_path / "golden.json"), where="1"))
    assert "no event is left after the cut 'luminosity mask'" in report.warnings


def test_events_without_identity_cannot_be_listed(tmp_path):
    with create_root(tmp_path / "t.root") as out, out.new_tree("mine", [Column("x", "float32")]) as tree:
        tree.extend({"x": np.arange(10)})
    with pytest.raises(SchemaError, match="--list-events cannot name its events"):
        skim(tmp_path / "t.root", tmp_path / "o.root", Recipe(where="x > 1"), list_events=tmp_path / "ids.txt")


def test_branches_of_one_name_are_refused(tmp_path):
    write_twice = [Column("x", "int32"), Column("v", "int32"), Column("v", "int32")]
    leaves: dict[str, Leaf] = {}
    with RootFile(tmp_path / "in.root", compression=None) as out:
        write_empty_streamers(out)
        with TreeWriter(out, TreeHeader("t", ""), [column_branch(column, leaves) for column in write_twice]) as writer:
            for index in range(3):
                writer.append(index, raw_entries(np.arange(5, dtype=np.int32)))
            writer.count_entries(5)
    with pytest.raises(OutputError, match="has several branches of the name v; leave them out"):
        skim(tmp_path / "in.root", tmp_path / "out.root", Recipe(where="x > 1"))
    recipe = Recipe(where="x > 1", drop_branches=("v",))
    assert skim(tmp_path / "in.root", tmp_path / "out.root", recipe).written == 3


def test_a_fill_keeps_all_its_bits(tmp_path):
    paths = []
    for name, more in (("a", []), ("b", [Column("big", "int64")])):
        with create_root(tmp_path / f"{name}.root") as out, out.new_tree("t", [Column("x", "int32"), *more]) as tree:
            tree.extend({"x": [1]} | ({"big": [1]} if more else {}))
        paths.append(tmp_path / f"{name}.root")
    recipe = Recipe(where="x > 0", layout="union", fills=parse_fills(["big=9007199254740993"]))
    skim(paths, tmp_path / "out.root", recipe)
    with uproot.open({tmp_path / "out.root": "t"}) as tree:
        assert tree["big"].array().tolist() == [9007199254740993, 1]


def test_a_dot_means_the_branch_with_a_dot_before_that_with_a_colon(tmp_path):
    columns = [Column("a.b", "int32"), Column("a:b", "int32")]
    for number, order in enumerate((columns, columns[::-1])):
        with create_root(tmp_path / f"{number}.root") as out, out.new_tree("t", order) as tree:
            tree.extend({"a.b": [1, 2], "a:b": [9, 9]})
        assert skim(tmp_path / f"{number}.root", tmp_path / f"o{number}.root", Recipe(where="a.b < 2")).written == 1


def test_what_is_no_plain_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceError, match="fifo: is no plain file"):
        skim(tmp_path / "fifo", tmp_path / "out.root", Recipe(where="1"))
    source = make_nano(tmp_path / "in.root", 5)
    with pytest.raises(ConfigError, match="fifo: is no plain file"):
        skim(source, tmp_path / "out.root", Recipe(events=str(tmp_path / "fifo")))


def test_a_run_that_is_no_run_number_is_told(tmp_path):
    columns = [Column("run", "int64"), Column("lumi", "uint32"), Column("event", "uint64"), Column("mu_pt", "float32")]
    with create_root(tmp_path / "in.root") as out, out.new_tree("t", columns) as tree:
        tree.extend({"run": [1, -1], "lumi": [1, 1], "event": [1, 2], "mu_pt": [1, 2]})
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: mine\ntree: t\nidentity: {run: run, luminosity_block: lumi, event: event}\n"
        "collections:\n  muon:\n    alternatives:\n      - {pt: [mu_pt], eta: [mu_pt], phi: [mu_pt]}\n"
    )
    recipe = Recipe(deduplicate=True, schema=str(tmp_path / "mine.yaml"))
    with pytest.raises(SchemaError, match="branch run: holds -1; runs and luminosity blocks have 32 bits"):
        skim([str(tmp_path / "in.root")], tmp_path / "out.root", recipe)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({}, UsageError, "nothing to select by"),
        ({"where": "nMuonn > 1"}, UsageError, "nearest.*nMuon"),
        ({"where": "Muon_pt > 10"}, UsageError, "one value per object"),
        ({"where": "__import__('os')"}, UsageError, "column"),
        ({"lumi_mask": "nowhere.json"}, ConfigError, r"nowhere\.json"),
        ({"events": "nowhere.txt"}, ConfigError, r"nowhere\.txt"),
        ({"branches": "nowhere.txt"}, ConfigError, r"nowhere\.txt"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(tmp_path, options, error, said):
    source = make_nano(tmp_path / "in.root", 20)
    with pytest.raises(error, match=said) as caught:
        skim([str(source)], tmp_path / "out.root", Recipe(**options))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_without_a_schema_an_expression_serves_and_a_mask_does_not(tmp_path):
    with create_root(tmp_path / "t.root") as out, out.new_tree("mine", [Column("x", "float32")]) as tree:
        tree.extend({"x": np.arange(10)})
    report = skim([str(tmp_path / "t.root")], tmp_path / "out.root", Recipe(where="x > 6.5"))
    assert report.written == 3
    with pytest.raises(SchemaError, match="no run, luminosityBlock and event"):
        skim([str(tmp_path / "t.root")], tmp_path / "o.root", Recipe(deduplicate=True))


def test_cuts_before_the_score_decide_what_is_scored(tmp_path, untrained_model):
    source = make_nano(tmp_path / "in.root", 200)
    from fractions import Fraction

    whole = Recipe(keep=Fraction(1), model=str(untrained_model))
    skim([str(source)], tmp_path / "whole.root", whole)
    with uproot.open({tmp_path / "whole.root": "Events"}) as tree:
        scores = tree["HepFilter_interest"].array(library="np")
    best = np.sort(scores[::2])[-10]
    recipe = Recipe(where="event % 2 == 0", keep=Fraction(1, 10), model=str(untrained_model))
    report = skim([str(source)], tmp_path / "out.root", recipe)
    assert report.threshold == best and report.written == 10
    assert [step.events for step in report.cutflow()] == [200, 100, 10]
    by_score = Recipe(where="event % 2 == 0", threshold=float(best), model=str(untrained_model))
    skim([str(source)], tmp_path / "above.root", by_score)
    assert set(events_of(tmp_path / "out.root")) <= set(events_of(tmp_path / "above.root"))
    with uproot.open({tmp_path / "above.root": "Events"}) as tree:
        kept = tree["HepFilter_entry"].array(library="np")
        assert tree["HepFilter_interest"].array(library="np").tobytes() == scores[kept].tobytes()
        assert kept.tolist() == np.flatnonzero((scores >= best) & (np.arange(200) % 2 == 0)).tolist()
