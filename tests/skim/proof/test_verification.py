"""The proof of outputs: untouched ones pass, and each planted fault is found and named."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.config.base import find_config
from hepfilter.errors import SourceError
from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch
from hepfilter.io.writing import Column, column_branch, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof import objects, verification
from hepfilter.skim.proof.checks import VerificationReport
from hepfilter.skim.recipe import Recipe
from hepfilter.work.streams import open_streams
from tests.io.rntuples import make_ntuple
from tests.nano import make_nano
from tests.skim.proof.faults import PROVENANCE, flip_stored_byte, rewrite

ALL = ("provenance", "sources", "schema", "order", "content", "file", "selection", "books", "cutflow", "objects")


def verify(outputs: Sequence[str], **options: Any) -> VerificationReport:
    """The proof of the outputs at these paths."""
    return verification.verify([Source(path) for path in outputs], **options)


@contextmanager
def few_open_files(count: int) -> Iterator[None]:
    """No more than `count` files can be opened beside those that are open."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def statuses(report: VerificationReport) -> dict[str, str]:
    (proof,) = report.outputs
    return {check.name: check.status for check in proof.checks}


def findings(report: VerificationReport, name: str) -> str:
    return "\n".join(line for proof in report.outputs for c in proof.checks if c.name == name for line in c.findings)


def assert_proven(report: VerificationReport, *, open_checks: tuple[str, ...] = ()) -> None:
    for proof in report.outputs:
        found = {check.name: (check.status, check.findings) for check in proof.checks}
        assert set(found) == set(ALL)
        for name, (status, lines) in found.items():
            assert status == ("not proven" if name in open_checks else "passed"), (name, lines)
    assert report.passed


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    return [
        make_nano(folder / "a.root", 60, basket=25),
        make_nano(folder / "b.root", 40, seed=2, first_event=100, basket=25),
    ]


@pytest.fixture(scope="module")
def output(sources, tmp_path_factory) -> Path:
    """A skim of two files, compressed."""
    out = tmp_path_factory.mktemp("skim") / "out.root"
    skim([str(path) for path in sources], out, Recipe(where="nMuon >= 2"))
    return out


def branch_named(branches: list[Branch], name: str) -> Branch:
    return next(branch for branch in branches if branch.name == name)


def lose_title(branches: list[Branch]) -> None:
    branch_named(branches, "Muon_pt").title = "Muon_pt/F"


def lose_leaf_title(branches: list[Branch]) -> None:
    branch_named(branches, "Muon_eta").leaves[0].title = "Muon_eta"


def change_counter(branches: list[Branch]) -> None:
    branch_named(branches, "nMuon").leaves[0].is_unsigned = True


def make_own_counter(branches: list[Branch]) -> None:
    """As some writers do: a counter of the same name that is no branch's leaf."""
    leaf = branch_named(branches, "Muon_phi").leaves[0]
    leaf.count = replace(leaf.count)


def bool_to_uchar(branches: list[Branch]) -> None:
    leaf = branch_named(branches, "HLT_any").leaves[0]
    leaf.class_name, leaf.is_unsigned = "TLeafB", True


def shrink_maximum(branches: list[Branch]) -> None:
    branch_named(branches, "nJet").leaves[0].maximum = 1


def add_branch(branches: list[Branch]) -> None:
    branches.append(column_branch(Column("sneaked_in", "uint32"), {}))


def twice(numbers: list[int], where: int) -> list[int]:
    return [*numbers[: where + 1], *numbers[where:]]


EVERY = list(range(63))
# what is planted → (how, the checks that must fail, in which one what is named)
FAULTS = {
    "a bit": (
        {"flip": ("MET_phi", 5)}, {"content"}, "content",
        r"tree Events, branch MET_phi: an entry differs from the source, the first is entry 5, entry \d+ of .*a\.root",
    ),
    "a bit of a list": (
        {"flip": ("Jet_mass", 50)}, {"content"}, "content",
        r"branch Jet_mass: an entry .* entry 50, entry \d+ of .*b\.root",
    ),
    "an event missing": (
        {"order": {"Events": EVERY[:7] + EVERY[8:]}}, {"order", "selection"}, "selection",
        r"entry \d+ of .*a\.root passes, but is not in the output",
    ),
    "the last event missing": (
        {"order": {"Events": EVERY[:-1]}}, {"order", "selection"}, "order", r"holds 62 events, its provenance says 63"
    ),
    "an event doubled": (
        {"order": {"Events": twice(EVERY, 7)}}, {"order"}, "order",
        r"entry 8 of Events: entry \d+ of .*a\.root stands there twice"
    ),
    "two events swapped": (
        {"order": {"Events": [0, 2, 1, *EVERY[3:]]}}, {"order"}, "order",
        r"entry 2 of Events: entry \d+ of .*a\.root comes behind entry \d+",
    ),
    "a title": ({"edit": lose_title}, {"schema"}, "schema", r"branch Muon_pt: title is 'Muon_pt/F', not 'pt of Muon'"),
    "a leaf's title": (
        {"edit": lose_leaf_title}, {"schema"}, "schema",
        r"branch Muon_eta: leaf title is 'Muon_eta', not 'Muon_eta\[nMuon\]'"
    ),
    "a counter's type": (
        {"edit": change_counter}, {"schema"}, "schema", r"branch nMuon: leaf type is 'UInt_t', not 'Int_t'"
    ),
    "a counter of its own": (
        {"edit": make_own_counter}, {"schema"}, "schema",
        r"branch Muon_phi: leaf counter is 'nMuon \(Int_t\) of no branch'"
    ),
    "Bool_t to UChar_t": (
        {"edit": bool_to_uchar}, {"schema"}, "schema", r"branch HLT_any: leaf type is 'UChar_t', not 'Bool_t'"
    ),
    "a counter's maximum": ({"edit": shrink_maximum}, {"schema"}, "schema", r"branch nJet: maximum is 1, less than"),
    "a row doubled": ({"order": {"Runs": [0, 0, 1]}}, {"books"}, "books", r"tree Runs has 3 rows, its sources give 2"),
    "a row lost": ({"order": {"Runs": [1]}}, {"books"}, "books", r"genEventSumw: sum is 20\.0, that of its sources 50"),
    "rows swapped": ({"order": {"Runs": [1, 0]}}, {"books"}, "books", "branch genEventSumw: 2 entries differ"),
    "a tree lost": ({"without": ["LuminosityBlocks"]}, {"schema", "books"}, "books", "LuminosityBlocks is missing"),
    "a branch lost": ({"without": ["MET_phi"]}, {"schema"}, "schema", "tree Events, branch MET_phi: is missing"),
    "a branch more": ({"edit": add_branch}, {"schema"}, "schema", "tree Events, branch sneaked_in: is in excess"),
    "another entry": (
        {"values": {"HepFilter_entry": lambda entries: np.put(entries, 3, entries[3] + 1)}}, {"content", "selection"},
        "content", r"branch MET_pt: an entry differs from the source, the first is entry 3",
    ),
    "an entry beyond": (
        {"values": {"HepFilter_entry": lambda entries: np.put(entries, 62, 999)}}, {"content", "selection"}, "content",
        "entry 62 of Events: its source has no entry 999",
    ),
    "not passed": (
        {"values": {"HepFilter_passed": lambda passed: np.put(passed, 9, False)}}, {"selection"}, "selection",
        "entry 9: HepFilter_passed is false",
    ),
    "no provenance": ({"without": [PROVENANCE]}, {"provenance"}, "provenance", f"{PROVENANCE} is missing, though"),
    "no cutflow": ({"without": ["HepFilter_cutflow"]}, {"cutflow"}, "cutflow", "HepFilter_cutflow is missing"),
    "a cutflow's content": (
        {"cutflow": [("read", 100.0), ("where", 62.0)]}, {"cutflow"}, "cutflow",
        r"HepFilter_cutflow: 'where' is 62\.0, the provenance says 63",
    ),
    "a cutflow's label": (
        {"cutflow": [("read", 100.0), ("there", 63.0)]}, {"cutflow"}, "cutflow",
        "HepFilter_cutflow has the bins read, there",
    ),
    "a tree more": ({"extra_tree": "More"}, {"schema"}, "schema", "tree More is in excess"),
    "another selection": (
        {"provenance": lambda facts: facts["recipe"].update(where="nMuon >= 3")}, {"selection", "cutflow"}, "selection",
        r"entry \d+ of .*a\.root is in the output, but does not pass the recorded selection",
    ),
    "a looser selection": (
        {"provenance": lambda facts: facts["recipe"].update(where="nMuon >= 1")}, {"selection", "cutflow"}, "selection",
        r"a\.root: events that pass: \d+, recorded as written: \d+",
    ),
    "a selection of another tree": (
        {"provenance": lambda facts: facts["recipe"].update(where="nMuons > 1")}, {"selection", "cutflow"}, "selection",
        "the recorded selection cannot be applied: .*nMuons",
    ),
    "numbers that do not add up": (
        {"provenance": lambda facts: facts["outputs"][0].update(events=50)}, {"provenance"}, "provenance",
        "an output of 50 events, which is not the sum of",
    ),
    "another cutflow": (
        {"provenance": lambda facts: facts["inputs"][1]["cutflow"][0].update(events=41)}, {"cutflow"}, "cutflow",
        r"b\.root: events after 'read' are recorded as 41, there are 40",
    ),
}  # fmt: skip


def test_an_untouched_skim_passes(output):
    report = verify([str(output)])
    assert_proven(report)
    whats = {check.name: check.what for check in report.outputs[0].checks}
    assert whats["content"] == "63 events × 36 branches"
    assert whats["books"] == "2 rows of Runs, 2 rows of LuminosityBlocks; Runs.genEventSumw 50"


def test_a_copy_without_a_fault_passes(output, tmp_path):
    """What plants the faults plants nothing by itself."""
    assert_proven(verify([str(rewrite(output, tmp_path / "same.root"))]))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_named(output, tmp_path, fault):
    how, failing, name, pattern = FAULTS[fault]
    report = verify([str(rewrite(output, tmp_path / "faulty.root", **how))])
    assert {check for check, status in statuses(report).items() if status == "failed"} == failing

    assert re.search(pattern, findings(report, name)), findings(report, name)
    assert not report.passed


@pytest.mark.parametrize("compression", ["none", "ZLIB:1", "ZSTD:5"])
def test_a_flipped_byte_of_the_file_is_found(sources, tmp_path, compression):
    out = tmp_path / "out.root"
    skim([str(path) for path in sources], out, Recipe(where="nMuon >= 2", compression=compression))
    assert_proven(verify([str(out)]))
    flip_stored_byte(out, "MET_pt")
    report = verify([str(out)])
    assert statuses(report)["content"] == "failed"
    assert "branch MET_pt" in findings(report, "content")
    assert findings(report, "content").count("\n") == 0  # of all branches that one alone


def test_a_basket_in_the_place_of_another_is_found(sources, tmp_path):
    out = tmp_path / "out.root"
    skim([str(sources[0])], out, Recipe(where="nMuon >= 2", compression="none"))
    with open_file(Source(str(out))) as file:
        seeks = [int(file.tree("Events").by_name[name].stored.seeks[0]) for name in ("MET_pt", "MET_phi")]
    data = out.read_bytes()
    place = data.rindex(seeks[1].to_bytes(8, "big"))  # in the tree's own record, behind all baskets
    out.write_bytes(data[:place] + seeks[0].to_bytes(8, "big") + data[place + 8 :])
    report = verify([str(out)])
    assert findings(report, "file") == "in the place of others: 1 basket"
    assert "branch MET_phi" in findings(report, "content")


def test_a_byte_copy_among_the_inputs_counts_once(sources, tmp_path):
    again = tmp_path / "again.root"
    again.write_bytes(sources[0].read_bytes())
    inputs = [str(sources[0]), str(again), str(sources[1])]
    skim(inputs, tmp_path / "out.root", Recipe(where="nMuon >= 2", deduplicate=True))
    report = verify([str(tmp_path / "out.root")])
    assert_proven(report)
    assert "2 rows of Runs" in report.outputs[0].checks[7].what


def test_a_source_that_changed_is_found(sources, output, tmp_path):
    moved = []
    for path in sources:
        moved.append(tmp_path / path.name)
        moved[-1].write_bytes(path.read_bytes())
    assert_proven(verify([str(output)], sources=[Source(str(path)) for path in moved]))
    make_nano(moved[0], 60, seed=3, basket=25)
    report = verify([str(output)], sources=[Source(str(path)) for path in moved])
    assert statuses(report)["sources"] == "failed"
    assert "its uuid changed from" in findings(report, "sources")
    assert {"content", "selection"} <= {name for name, status in statuses(report).items() if status == "failed"}


def test_a_source_that_is_gone_leaves_what_needs_it_not_proven(sources, output, tmp_path):
    (tmp_path / "b.root").write_bytes(sources[1].read_bytes())
    report = verify([str(output)], sources=[Source(str(tmp_path / "b.root"))])
    assert report.passed
    assert "a.root: none of the given sources is this one" in findings(report, "sources")
    open_checks = {name for name, status in statuses(report).items() if status == "not proven"}
    assert open_checks == {"sources", "content", "selection", "books", "objects"}
    faulty = rewrite(output, tmp_path / "faulty.root", flip=("MET_pt", 50))  # of the source that is there
    assert statuses(verify([str(faulty)], sources=[Source(str(tmp_path / "b.root"))]))["content"] == "failed"


def test_a_damaged_source_is_told_and_is_no_fault_of_the_output(sources, output, tmp_path):
    moved = []
    for path in sources:
        moved.append(tmp_path / path.name)
        moved[-1].write_bytes(path.read_bytes())
    flip_stored_byte(moved[0], "Jet_phi")
    report = verify([str(output)], sources=[Source(str(path)) for path in moved])
    assert statuses(report)["content"] == "not proven"
    assert "branch Jet_phi, entries 0 to 24 cannot be read" in findings(report, "content")


def test_a_sample_is_the_same_every_time_and_says_so(output, tmp_path):
    report = verify([str(output)], sample=10)
    assert statuses(report)["content"] == "not proven"
    assert "only a sample of 10 events was compared (seed 1)" in findings(report, "content")
    chosen = np.sort(np.random.default_rng(1).choice(63, 10, replace=False))
    for entry, expected in ((int(chosen[4]), "failed"), (int(np.setdiff1d(EVERY, chosen)[0]), "not proven")):
        faulty = rewrite(output, tmp_path / f"{entry}.root", flip=("MET_pt", entry))
        assert statuses(verify([str(faulty)], sample=10))["content"] == expected


@pytest.mark.parametrize("cluster_bytes", [1, 3000])
def test_small_windows_find_the_same(output, tmp_path, monkeypatch, cluster_bytes):
    faulty = rewrite(output, tmp_path / "faulty.root", flip=("Muon_pt", 33))
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", cluster_bytes)
    assert_proven(verify([str(output)]))
    assert "branch Muon_pt: an entry differs from the source, the first is entry 33" in findings(
        verify([str(faulty)]), "content"
    )


def test_several_processes_find_the_same(output, tmp_path, monkeypatch):
    processes = []

    def spy(generate, arguments):
        processes.append(len(arguments))
        return open_streams(generate, arguments)

    monkeypatch.setattr("hepfilter.skim.proof.comparing.open_streams", spy)
    assert_proven(verify([str(output)], workers=3))
    assert set(processes) == {1}  # so few bytes are not worth a process
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    assert_proven(verify([str(output)], workers=3))
    assert max(processes) == 3
    faulty = rewrite(output, tmp_path / "faulty.root", flip=("Muon_pt", 33))
    assert "branch Muon_pt: an entry" in findings(verify([str(faulty)], workers=3), "content")


def lumi_mask(path: Path, blocks: list[list[int]]) -> Path:
    path.write_text(json.dumps({"1": blocks}))
    return path


def make_listed(path: Path) -> Path:
    path.write_text("1:1:3\n1:2:110\n")
    return path


def test_every_kind_of_cut_is_made_again(sources, tmp_path):
    mask, listed = lumi_mask(tmp_path / "mask.json", [[2, 2]]), make_listed(tmp_path / "events.txt")
    recipes = [
        Recipe(lumi_mask=str(mask)), Recipe(events=str(listed)), Recipe(deduplicate=True),
        Recipe(where="MET_pt > 20", drop_branches=("Jet_*",)), Recipe(where="MET_pt > 1e9"),
        Recipe(where="nMuon > 0", keep_branches=("Muon_*", "event")), Recipe(where="nMuon > 0", split_events=17),
    ]  # fmt: skip
    for number, recipe in enumerate(recipes):
        out = tmp_path / f"{number}.root"
        report = skim([str(path) for path in sources], out, recipe)
        assert_proven(verify([output.path for output in report.outputs]))


def test_rows_follow_the_luminosity_mask(sources, tmp_path):
    mask = lumi_mask(tmp_path / "mask.json", [[101, 101]])
    skim([str(path) for path in sources], tmp_path / "out.root", Recipe(lumi_mask=str(mask)))
    report = verify([str(tmp_path / "out.root")])
    assert_proven(report)
    assert "1 row of LuminosityBlocks" in report.outputs[0].checks[7].what
    other = rewrite(tmp_path / "out.root", tmp_path / "faulty.root", order={"LuminosityBlocks": [0, 0]})
    report = verify([str(other)])
    assert "tree LuminosityBlocks has 2 rows, its sources give 1" in findings(report, "books")
    lumi_mask(mask, [[1, 101]])
    for said in (r"mask.json: is not the file that the skim was made with", r"mask.json: cannot be read"):
        report = verify([str(tmp_path / "out.root")])
        assert report.passed
        assert statuses(report)["selection"] == statuses(report)["books"] == "not proven"
        assert said in findings(report, "selection")
        mask.unlink(missing_ok=True)


def test_a_schema_of_ones_own_is_that_of_the_skim_or_proves_nothing(sources, tmp_path):
    schema = tmp_path / "mine.yaml"
    schema.write_text(find_config("schemas", "nanoaod").read_text())
    skim([str(sources[0])], tmp_path / "out.root", Recipe(where="nMuon >= 1", schema=str(schema)))
    assert_proven(verify([str(tmp_path / "out.root")]))
    schema.write_text(schema.read_text().replace("weight: genWeight", "weight: MET_pt"))
    for said in ("mine.yaml: is not the file that the skim was made with", "mine.yaml: no such file"):
        report = verify([str(tmp_path / "out.root")])
        assert report.passed and statuses(report)["selection"] == "not proven"
        assert said in findings(report, "selection")
        schema.unlink(missing_ok=True)


def test_what_a_source_lacks_holds_the_fill(sources, tmp_path):
    lacking = make_nano(tmp_path / "c.root", 30, seed=5, first_event=300, drop=("MET_phi", "HLT_any"))
    recipe = Recipe(where="nMuon >= 1", layout="union", fills={"MET_phi": -9.0})
    skim([str(sources[0]), str(lacking)], tmp_path / "out.root", recipe)
    assert_proven(verify([str(tmp_path / "out.root")]))
    last = verify([str(tmp_path / "out.root")]).outputs[0].checks[3].what
    count = int(last.split()[0])
    faulty = rewrite(tmp_path / "out.root", tmp_path / "faulty.root", flip=("MET_phi", count - 1))
    assert "branch MET_phi: an entry differs" in findings(verify([str(faulty)]), "content")


def test_a_part_of_a_split_skim_is_proven_alone(sources, tmp_path):
    report = skim([str(path) for path in sources], tmp_path / "out.root", Recipe(where="nMuon >= 2", split_events=20))
    for output in report.outputs:
        assert_proven(verify([output.path]))
    third = tmp_path / "out_3.root"
    third.write_bytes((tmp_path / "out_2.root").read_bytes())
    changed = rewrite(third, tmp_path / "x.root", provenance=lambda facts: facts.update(output=0))
    report = verify([str(changed)])
    assert "belongs to another output" in findings(report, "selection")


def test_scores_are_proven_by_scoring_again_alone(sources, tmp_path, untrained_model):
    out = tmp_path / "out.root"
    recipe = Recipe(keep=Fraction(1, 4), model=str(untrained_model), where="nMuon > 0")
    skim([str(path) for path in sources], out, recipe)
    assert_proven(verify([str(out)]), open_checks=("selection", "cutflow"))
    assert_proven(verify([str(out)], rescore=True))
    faulty = rewrite(
        out, tmp_path / "faulty.root", values={"HepFilter_interest": lambda x: np.put(x, 2, np.nextafter(x[2], np.inf))}
    )
    assert statuses(verify([str(faulty)]))["selection"] == "not proven"
    report = verify([str(faulty)], rescore=True)
    assert "entry 2: HepFilter_interest" in findings(report, "selection")
    low = rewrite(out, tmp_path / "low.root", values={"HepFilter_interest": lambda x: np.put(x, 2, -1e6)})
    assert "is below the threshold" in findings(verify([str(low)]), "selection")
    renamed = rewrite(out, tmp_path / "other.root", provenance=lambda facts: facts.update(model_hash="0" * 64))
    report = verify([str(renamed)], rescore=True)
    assert "is another model now" in findings(report, "selection")


def test_a_skim_of_a_skim_is_proven(sources, tmp_path):
    skim([str(sources[0])], tmp_path / "once.root", Recipe(where="nMuon > 0"))
    skim([str(tmp_path / "once.root")], tmp_path / "twice.root", Recipe(where="nMuon > 1"))
    assert_proven(verify([str(tmp_path / "twice.root")]))


def test_objects_are_compared(tmp_path):
    source = tmp_path / "in.root"
    with create_root(source) as out:
        with out.new_tree("Events", [Column("x", "int32")]) as tree:
            tree.extend({"x": np.arange(20)})
        out.write_string("tag", "as it was")
    skim([str(source)], tmp_path / "out.root", Recipe(where="x > 4"))
    assert_proven(verify([str(tmp_path / "out.root")]))
    lost = rewrite(tmp_path / "out.root", tmp_path / "lost.root", without=["tag"])
    assert f"object tag of {source} is missing or changed" in findings(verify([str(lost)]), "objects")
    with create_root(tmp_path / "other.root") as out, out.new_tree("Events", [Column("x", "int32")]) as tree:
        tree.extend({"x": np.arange(20)})
    report = verify([str(tmp_path / "out.root")], sources=[Source(str(tmp_path / "other.root"))])
    assert findings(report, "objects") == "object tag is there 1 time, not 0"


def test_descriptions_of_classes_are_compared(shared_data, tmp_path, monkeypatch):
    out = tmp_path / "out.root"
    skim([str(shared_data / "delphes.root")], out, Recipe(where=REAL["delphes.root"]))
    real = objects.described_classes

    def forget(file: OpenFile) -> frozenset[tuple[str, int]]:
        known = real(file)
        return frozenset(own for own in known if own[0] != "Jet") if file.path == str(out) else known

    monkeypatch.setattr(objects, "described_classes", forget)
    assert re.search(r"class Jet \d+ of .*delphes\.root is not described", findings(verify([str(out)]), "objects"))


def test_an_output_that_cannot_be_read_fails_and_all_others_are_proven(sources, output, tmp_path):
    """Cut short, no ROOT file, without its tree, with a damaged tree, of another tree than asked for."""
    faulty = {
        "half": "is cut short", "text": "is no ROOT file", "treeless": "no tree Events", "foreign": "no tree Events",
        "damaged": "tree Events cannot be read",
    }  # fmt: skip
    paths = {name: tmp_path / f"{name}.root" for name in faulty}
    paths["half"].write_bytes(output.read_bytes()[:-100])
    paths["text"].write_text("no ROOT file at all, but longer than a header")
    rewrite(output, paths["treeless"], without=["Events"])
    with create_root(paths["foreign"]) as out, out.new_tree("a", [Column("x", "int32")]), out.new_tree("b", []):
        pass
    with open_file(Source(str(output))) as file:
        place = file.entries["Events"].position
    data = bytearray(output.read_bytes())
    data[place + 100 : place + 200] = bytes(100)
    paths["damaged"].write_bytes(data)
    report = verify([*(str(path) for path in paths.values()), str(output)], sources=[Source(str(p)) for p in sources])
    for (name, path), proof in zip(paths.items(), report.outputs, strict=False):
        assert [(check.name, check.status) for check in proof.checks] == [("file", "failed")], name
        assert proof.checks[0].findings[0].startswith(f"{path}: {faulty[name]}")
    assert_proven(replace(report, outputs=report.outputs[-1:]))
    asked = verification.verify([Source(str(output), tree="Runs")])
    assert findings(asked, "file") == f"{output}: its events are in tree Events, not in Runs"
    with pytest.raises(SourceError, match=r"gone\.root: no such file"):
        verify([str(output), str(tmp_path / "gone.root")])


def test_damage_fails_the_checks_that_meet_it_and_no_others(sources, output, tmp_path):
    """Another tree of the output cannot be read; of a file of another tool, what finds its events."""
    damaged = tmp_path / "damaged.root"
    with open_file(Source(str(output))) as file:
        place = file.entries["LuminosityBlocks"].position
    data = bytearray(output.read_bytes())
    data[place + 100 : place + 200] = bytes(100)
    damaged.write_bytes(data)
    report = verify([str(damaged)])
    assert {name for name, status in statuses(report).items() if status == "failed"} == {"schema", "file", "books"}
    for name in ("schema", "file", "books"):
        assert findings(report, name).startswith(f"{damaged}: tree LuminosityBlocks cannot be read")
    foreign = tmp_path / "foreign.root"
    foreign.write_bytes(sources[0].read_bytes())
    flip_stored_byte(foreign, "event")
    report = verify([str(foreign)], sources=[Source(str(sources[0]))])
    assert "branch event, entries 0 to 24 cannot be read" in findings(report, "file") and not report.passed


def test_damaged_objects_of_a_source_are_no_fault_of_the_output(tmp_path):
    source = tmp_path / "in.root"
    with create_root(source) as out:
        with out.new_tree("Events", [Column("x", "int32")]) as tree:
            tree.extend({"x": np.arange(20)})
        out.write_string("tag", "as it was" * 50)
    skim([str(source)], tmp_path / "out.root", Recipe(where="x > 4"))
    assert_proven(verify([str(tmp_path / "out.root")]))
    with open_file(Source(str(source))) as file:
        record = file.record(file.entries["tag"].position)
    for path, status in ((source, "not proven"), (tmp_path / "out.root", "failed")):
        data = path.read_bytes()
        place = data.index(record.stored)
        path.write_bytes(data[: place + 9] + b"damaged" + data[place + 16 :])
        report = verify([str(tmp_path / "out.root")])
        assert statuses(report)["objects"] == status
        assert f"{path}: object tag cannot be read" in findings(report, "objects")
        path.write_bytes(data)


def test_the_tree_that_is_named_is_the_one_compared(tmp_path):
    """Of files of another tool with two trees; one that the sources do not have is not proven by comparing nothing."""
    types = {"run": "uint32", "luminosityBlock": "uint32", "event": "uint64", "Jet_pt": "float32"}
    values = {name: np.arange(9) for name in types}
    contents = {
        "in": {"Events": values, "Tree": values},
        "out": {"Events": values | {"Jet_pt": np.ones(9)}, "Tree": values, "Mine": values},
    }
    for name, trees in contents.items():
        with create_root(tmp_path / f"{name}.root") as out:
            for tree, own in trees.items():
                with out.new_tree(tree, [Column(*column) for column in types.items()]) as new:
                    new.extend(own)
    for named, source, status in (
        ("Tree", "Tree", "passed"), ("Events", "Events", "failed"), (None, None, "failed"),
        ("Mine", None, "not proven"),
    ):  # fmt: skip
        given = [Source(str(tmp_path / "in.root"), tree=source)]
        report = verification.verify([Source(str(tmp_path / "out.root"), tree=named)], sources=given)
        assert statuses(report)["content"] == status, named
    assert findings(report, "content") == "not proven: the branches that tree Mine should have are not known"


def test_replicas_stand_in_for_outputs_and_sources(sources, output, tmp_path):
    report = verification.verify(
        [Source(str(tmp_path / "gone.root"), replicas=(str(output),))],
        sources=[Source(str(tmp_path / "gone" / path.name), replicas=(str(path),)) for path in sources],
    )
    assert_proven(report)


def test_few_files_are_open_at_a_time(tmp_path):
    """As for a skim of a thousand files, where a process may have 256 open."""
    ntuples = [str(make_ntuple(tmp_path / f"n{number}.root", (10,), first=10 * number)) for number in range(12)]
    trees = [str(make_nano(tmp_path / f"t{number}.root", 10, first_event=10 * number)) for number in range(12)]
    skim(ntuples, tmp_path / "ntuple.root", Recipe(where="id % 3 == 0"))
    skim(trees, tmp_path / "tree.root", Recipe(where="nMuon > 0"))
    with few_open_files(8):
        report = verify([str(tmp_path / "ntuple.root"), str(tmp_path / "tree.root")])
    assert_proven(report)


def test_another_tools_file_is_compared_by_identity(sources, output, tmp_path):
    added = ["HepFilter_passed", "HepFilter_entry", "HepFilter_cutflow", "HepFilter_cutflow_weighted", PROVENANCE]
    plain = rewrite(output, tmp_path / "plain.root", without=added)
    given = [Source(str(path)) for path in sources]
    report = verify([str(plain)], sources=given)
    found = statuses(report)
    assert report.passed and found["content"] == found["schema"] == found["books"] == "passed"
    assert found["provenance"] == found["selection"] == "not proven"
    faulty = rewrite(
        plain, tmp_path / "faulty.root", order={"Events": [2, 1, 0, *EVERY[3:]]}, edit=lose_title, flip=("MET_pt", 9)
    )
    report = verify([str(faulty)], sources=given)
    assert "branch Muon_pt: title is" in findings(report, "schema")
    assert "comes behind entry" in findings(report, "order")
    assert "branch MET_pt: an entry differs from the source, the first is entry 9" in findings(report, "content")
    assert "sources" in statuses(verify([str(plain)]))


SNAPSHOT = """
import sys
import ROOT
ROOT.RDataFrame("Events", sys.argv[1]).Filter("nMuon >= 2").Snapshot("Events", sys.argv[2], "")
"""


def test_a_snapshot_of_the_same_cut_differs_in_titles_and_books_alone(sources, tmp_path):
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    command = [sys.executable, "-c", SNAPSHOT, str(sources[0]), str(tmp_path / "snapshot.root")]
    subprocess.run(command, check=True, capture_output=True)
    report = verify([str(tmp_path / "snapshot.root")], sources=[Source(str(sources[0]))])
    assert {name for name, status in statuses(report).items() if status == "failed"} == {"schema", "books"}
    assert statuses(report)["content"] == statuses(report)["order"] == "passed"
    assert "branch Muon_pt: title is" in findings(report, "schema") or "title of" in report.outputs[0].checks[2].what


def test_another_tools_change_of_types_is_told_and_all_else_compared(sources, tmp_path):
    """As Snapshots and uproot do now and then: float becomes double, a title is lost, a tree left out."""
    with uproot.open(sources[0]) as file:
        arrays = file["Events"].arrays(["run", "luminosityBlock", "event", "MET_pt", "MET_phi"], library="np")
    types = {"run": "uint32", "luminosityBlock": "uint32", "event": "uint64", "MET_pt": "float64", "MET_phi": "float32"}
    arrays["MET_phi"][3] += 1
    with (
        create_root(tmp_path / "other.root") as out,
        out.new_tree("Events", [Column(name, kind) for name, kind in types.items()]) as tree,
    ):
        tree.extend(arrays)
    report = verify([str(tmp_path / "other.root")], sources=[Source(str(sources[0]))])
    found = findings(report, "schema")
    assert "branch MET_pt: leaf type is 'Double_t', not 'Float_t'" in found
    assert "branch genWeight: is missing" in found
    assert "branch MET_phi: an entry differs from the source, the first is entry 3, entry 3" in findings(
        report, "content"
    )
    assert report.outputs[0].checks[4].what == "60 events × 4 branches"
    assert findings(report, "books") == "tree Runs is missing\ntree LuminosityBlocks is missing"
    with create_root(tmp_path / "bare.root") as out, out.new_tree("Events", [Column("MET_pt", "float32")]) as tree:
        tree.extend({"MET_pt": np.ones(3)})
    report = verify([str(tmp_path / "bare.root")], sources=[Source(str(sources[0]))])
    assert report.passed and "has no branch 'run'" in findings(report, "sources")


REAL = {
    "nano_dy.root": "nMuon >= 1", "nano_tt_v15.root": "PuppiMET_pt > 50", "Run2012B_SingleMu_1000.root": "nMuon >= 2",
    "PHYSLITE_example.root": "EventInfoAuxDyn.eventNumber % 2 == 0", "delphes.root": "Jet_size > 2",
    "treemaker.root": "MET > 20", "pfnano.root": "nJet > 5",
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_skims_of_real_files_pass(shared_data, tmp_path, name):
    report = skim([str(shared_data / name)], tmp_path / "out.root", Recipe(where=REAL[name]))
    assert 0 < report.passed < report.read
    assert_proven(verify([str(tmp_path / "out.root")]))


@pytest.mark.parametrize(("name", "branch"), [("delphes.root", "Jet.Eta"), ("nano_dy.root", "HLT_IsoMu24")])
def test_a_bit_of_a_real_file_is_found(shared_data, tmp_path, name, branch):
    skim([str(shared_data / name)], tmp_path / "out.root", Recipe(where=REAL[name], compression="none"))
    flip_stored_byte(
        tmp_path / "out.root",
        branch,
        tree="Delphes" if "delphes" in name else "Events",
        back=100 if "delphes" in name else 1,
    )
    assert f"branch {branch}:" in findings(verify([str(tmp_path / "out.root")]), "content")


NTUPLES = {
    "nano_dy_rntuple.root": "nMuon >= 1",
    "pfnano_rntuple.root": "nJet > 5",
    "nano_dimuon_rntuple.root": "nMuon > 2",
}


@pytest.mark.parametrize("name", NTUPLES)
def test_skims_of_real_ntuples_pass(shared_data, tmp_path, name):
    recipe = Recipe(where=NTUPLES[name], drop_branches=("HLT_*",))
    report = skim([str(shared_data / name)], tmp_path / "out.root", recipe)
    assert 0 < report.passed < report.read
    assert_proven(verify([str(tmp_path / "out.root")]))


def test_faults_of_an_ntuple_are_found(tmp_path):
    source = make_ntuple(tmp_path / "in.root", (30, 40))
    skim([str(source)], tmp_path / "out.root", Recipe(where="id % 3 == 0", compression="none"))
    assert_proven(verify([str(tmp_path / "out.root")]))
    data = bytearray((tmp_path / "out.root").read_bytes())
    data[data.index(b"event 0event 3") + 2] ^= 1
    (tmp_path / "bit.root").write_bytes(data)
    report = verify([str(tmp_path / "bit.root")])
    assert "ntuple Events, field text" in findings(report, "content") and not report.passed
    make_ntuple(source, (30, 40), first=1)
    report = verify([str(tmp_path / "out.root")])
    assert {"sources", "content", "selection"} <= {
        name for name, status in statuses(report).items() if status == "failed"
    }
    assert "branch id (Int64): an entry differs from the source, the first is entry 0" in findings(report, "content")


def test_what_is_stored_with_fewer_bits_is_said(sources, tmp_path):
    def shorten(branches: list[Branch]) -> None:
        branch_named(branches, "MET_pt").leaves[0].class_name = "TLeafD32"

    source = rewrite(sources[0], tmp_path / "in.root", edit=shorten)
    skim([str(source)], tmp_path / "out.root", Recipe(where="nMuon >= 2"))
    report = verify([str(tmp_path / "out.root")])
    assert_proven(report)
    assert "; 1 of Float16_t or Double32_t stay as stored" in report.outputs[0].checks[2].what


def test_the_masks_of_a_catalogue_are_applied_again(sources, tmp_path):
    lumi_mask(tmp_path / "mask.json", [[1, 1]])
    catalogue = f"datasets:\n  mu:\n    kind: data\n    lumi_mask: mask.json\n    files: [{sources[0]}]\n"
    (tmp_path / "cat.yaml").write_text(catalogue)
    skim([str(tmp_path / "cat.yaml")], tmp_path / "out.root", Recipe(where="nMuon >= 2"))
    assert_proven(verify([str(tmp_path / "out.root")]))
    lumi_mask(tmp_path / "mask.json", [[1, 2]])
    report = verify([str(tmp_path / "out.root")])
    assert statuses(report)["selection"] == "not proven"


def test_a_file_of_branch_rules_that_changed_leaves_the_schema_not_proven(sources, tmp_path):
    (tmp_path / "rules.txt").write_text("drop Jet_*\n")
    skim([str(sources[0])], tmp_path / "out.root", Recipe(branches=str(tmp_path / "rules.txt")))
    assert_proven(verify([str(tmp_path / "out.root")]))
    (tmp_path / "rules.txt").write_text("drop Muon_*\n")
    report = verify([str(tmp_path / "out.root")])
    assert report.passed and statuses(report)["schema"] == "not proven"
    assert "rules.txt: is not the file that the skim was made with" in findings(report, "schema")


HOSTILE = [
    lambda facts: facts.clear(), lambda facts: facts.update(format=99), lambda facts: facts.update(inputs=[]),
    lambda facts: facts.update(output=7), lambda facts: facts["recipe"].update(keep="1/0"),
    lambda facts: facts["recipe"].update(unknown=1), lambda facts: facts["outputs"][0].update(from_inputs=[70, -7]),
    lambda facts: facts.update(parts=[1]), lambda facts: facts["inputs"][0].update(cutflow=[]),
    lambda facts: facts["recipe"].update(keep_branches=["*"], branches="there"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_provenance_that_cannot_be_used_is_one_line(output, tmp_path, number):
    report = verify([str(rewrite(output, tmp_path / "faulty.root", provenance=HOSTILE[number]))])
    assert statuses(report) == {"provenance": "failed"}
    assert findings(report, "provenance").count("\n") == 0
    assert PROVENANCE in findings(report, "provenance")


def test_of_many_faults_the_first_are_told(output, tmp_path):
    faulty = rewrite(output, tmp_path / "f.root", values={"HepFilter_passed": lambda passed: passed.fill(False)})
    lines = findings(verify([str(faulty)]), "selection").split("\n")
    assert lines[0] == "entry 0: HepFilter_passed is false" and lines[-1].startswith("and ") and len(lines) == 11
