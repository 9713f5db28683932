"""Faults in what our reader skips but others may read: keys, a tree's own record, class descriptions, histograms."""

import re
import struct
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.sources import Source
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano
from tests.skim.proof.faults import CUTFLOW, rewrite
from tests.skim.proof.test_verification import assert_proven, findings, statuses, verify

Plant = Callable[[OpenFile], tuple[int, bytes]]
"""Tells of an output, which is not compressed, where in the file other bytes shall stand, and which."""


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """A skim of two files, not compressed."""
    folder = tmp_path_factory.mktemp("metadata")
    sources = [make_nano(folder / "a.root", 60), make_nano(folder / "b.root", 40, seed=2, first_event=100)]
    skim([str(path) for path in sources], folder / "out.root", Recipe(where="nMuon >= 2", compression="none"))
    return folder / "out.root"


def in_object(name: str, old: bytes, new: bytes, back: int = 0) -> Plant:
    """The bytes `new`, `back` bytes before the last place of `old` in an object."""

    def plant(file: OpenFile) -> tuple[int, bytes]:
        record = file.record(file.entries[name].position)
        return record.position + record.key.length + record.stored.rindex(old) - back, new

    return plant


def in_branch(branch: str, new: bytes, back: int) -> Plant:
    """The bytes `new`, `back` bytes before a branch's fTotBytes and fZipBytes."""

    def plant(file: OpenFile) -> tuple[int, bytes]:
        total, zipped = file.tree("Events").by_name[branch].source_bytes
        # of branches of the same sizes the last
        return in_object("Events", struct.pack(">qq", total, zipped), new, back)(file)

    return plant


def in_leaf_list(file: OpenFile) -> tuple[int, bytes]:
    """The tree's last leaf but one where its last should be: four bytes each, before aliases and six numbers."""
    record = file.record(file.entries["Events"].position)
    end = record.position + record.key.length + record.size - 28
    return end - 4, record.stored[-36:-32]


def in_basket_key(at: int, new: bytes) -> Plant:
    """The bytes `new` in the key of the first basket of MET_pt."""
    return lambda file: (int(file.tree("Events").by_name["MET_pt"].stored.seeks[0]) + at, new)


def in_key_list(at: int, new: bytes) -> Plant:
    """The bytes `new` in the line of the tree Runs, which stands behind all records."""

    def plant(file: OpenFile) -> tuple[int, bytes]:
        data = Path(file.path).read_bytes()
        return data.rindex(file.entries["Runs"].header) + at, new

    return plant


# what is planted → (how, the checks that must fail, what the first of them says)
PLANTS: dict[str, tuple[Plant, str, str]] = {
    "fFirstEntry": (
        in_branch("HepFilter_entry", b"\x01", 1), "schema",
        r"tree Events: its record differs at byte [\d,]+ of [\d,]+ from what .*, in branch HepFilter_entry$",
    ),
    "fEntryNumber": (in_branch("HepFilter_entry", b"\x01", 40), "schema", "in branch HepFilter_entry"),
    "fLeaves": (in_leaf_list, "schema", "tree Events: its record differs at byte"),
    "fEstimate": (
        in_object("Events", struct.pack(">q", 1_000_000), struct.pack(">q", 1_000_001)), "schema",
        "tree Events: its record differs at byte",
    ),
    "another tree": (
        in_object("Runs", struct.pack(">q", 1_000_000), struct.pack(">q", 1_000_001)), "schema",
        "tree Runs: its record differs at byte",
    ),
    "fTotBytes": (
        in_branch("HepFilter_entry", b"\x01", -3), "file schema", r"HepFilter_entry: counts [\d,]+ bytes unpacked",
    ),
    "fZipBytes": (in_branch("HepFilter_entry", b"\x01", -11), "schema", "in branch HepFilter_entry"),
    "a basket's version": (
        in_basket_key(5, b"\xed"), "file",
        "branch MET_pt: the key of basket 0 is not as it was written: fVersion is 1005, not 1004",
    ),
    "a basket's fSeekKey": (in_basket_key(18, b"\x01"), "file", r"fSeekKey is \d{10,}, not"),
    "a basket's fSeekPdir": (in_basket_key(33, b"\x65"), "file", "fSeekPdir is 101, not 100"),
    "a basket's class": (in_basket_key(36, b"X"), "file", "its class, name, title or what follows differs"),
    "a basket's buffer": (in_basket_key(60, b"\xff"), "file", "its class, name, title or what follows differs"),
    "a listed fObjlen": (
        in_key_list(9, b"\x77"), "file",
        r"object Runs;1: the list of keys does not say what its own key says: fObjlen is \d+, not \d+",
    ),
    "a listed title": (in_key_list(46, b"S"), "file", "object Runs"),
    "a histogram's colour": (
        in_object(CUTFLOW, struct.pack(">hhh", 602, 1, 1), struct.pack(">h", 603)), "cutflow",
        f"{CUTFLOW}: its bins are right, but not all else",
    ),
    "a content's last bit": (
        in_object(CUTFLOW, struct.pack(">d", 100.0), b"\x01", -7), "cutflow",
        rf"{CUTFLOW}: 'read' is 100\.00000000000001, the provenance says 100",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_a_fault_that_no_reader_of_ours_meets_is_found(output, tmp_path, name):
    plant, checks, pattern = PLANTS[name]
    with open_file(Source(str(output))) as file:
        at, new = plant(file)
    data = bytearray(output.read_bytes())
    assert data[at : at + len(new)] != new
    data[at : at + len(new)] = new
    faulty = tmp_path / "out.root"
    faulty.write_bytes(data)
    report = verify([str(faulty)])
    assert {one for one, status in statuses(report).items() if status == "failed"} == set(checks.split())
    assert re.search(pattern, findings(report, checks.split()[0])), findings(report, checks.split()[0])


def test_a_branch_that_claims_billions_of_entries_is_told_like_other_damage(output, tmp_path):
    with open_file(Source(str(output))) as file:
        at, new = in_branch("HepFilter_entry", b"\x20", 16)(file)
    data = bytearray(output.read_bytes())
    data[at : at + 1] = new
    (tmp_path / "out.root").write_bytes(data)
    report = verify([str(tmp_path / "out.root")])
    assert {"order", "file"} <= {name for name, status in statuses(report).items() if status == "failed"}
    assert "HepFilter_entry" in findings(report, "file")


def test_changed_descriptions_of_classes_are_found(output, tmp_path):
    assert_proven(verify([str(rewrite(output, tmp_path / "same.root"))]))
    changed = rewrite(output, tmp_path / "faulty.root", descriptions=lambda body: body[:15] + b"\1" + body[16:])
    assert re.fullmatch(
        r"the descriptions of classes \(StreamerInfo\) are not those of .*a\.root",
        findings(verify([str(changed)]), "objects"),
    )


def test_what_root_wrote_anew_is_proven_without_its_keys(output, tmp_path):
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    hadd = Path(find_spec("ROOT").origin).parent / "bin" / "hadd"
    again = tmp_path / "again.root"
    subprocess.run([str(hadd), str(again), str(output)], check=True, capture_output=True)
    report = verify([str(again)])
    assert_proven(report)
    whats = {check.name: check.what for check in report.outputs[0].checks}
    assert whats["file"].endswith("bytes; another tool wrote the file anew, and its keys are its own")
