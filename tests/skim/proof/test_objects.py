"""Objects beside trees, all cycles of them: copied by skims and merges, and their faults found."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.io.baskets import raw_entries
from hepfilter.io.container import RootFile
from hepfilter.io.histogram import write_cutflow
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import TreeHeader
from hepfilter.io.writing import Column, column_branch, write_empty_streamers, write_string
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.skim.proof.faults import only, rewrite, without
from tests.skim.proof.test_verification import assert_proven, findings, statuses, verify
from tests.skim.test_merging import merge


def make_source(path: Path, *, first: int, notes: Sequence[str], counts: Sequence[float]) -> Path:
    """A tree, a text for each of `notes` and a histogram for each of `counts`, each as one more cycle of its name."""
    with RootFile(path, compression=None) as out:
        write_empty_streamers(out)
        branch = column_branch(Column("x", "int32"), {})
        with TreeWriter(out, TreeHeader("Events", ""), [branch]) as tree:
            tree.append(0, raw_entries(np.arange(first, first + 20, dtype=np.int32)))
            tree.count_entries(20)
        for note in notes:
            write_string(out, "note", note)
        for count in counts:
            write_cutflow(out, "counts", "", [("all", count)])
    return path


@pytest.fixture
def sources(tmp_path) -> list[str]:
    return [
        str(make_source(tmp_path / "a.root", first=0, notes=["old", "new"], counts=[1.0, 2.0])),
        str(make_source(tmp_path / "b.root", first=50, notes=["new", "newer"], counts=[2.0])),
    ]


def cycles(path: Path, name: str) -> list:
    with uproot.open(path) as file:
        found = [key for key in file.keys(recursive=False) if key.startswith(f"{name};")]
        read = [file[key] for key in sorted(found, key=lambda key: int(key.split(";")[1]))]
        return [one.values().tolist() if hasattr(one, "values") else str(one) for one in read]


def test_all_cycles_are_copied_and_proven_through_skims_and_merges(sources, tmp_path):
    """What is no histogram stands once; a histogram as often as the inputs have it, so that its cycles add up."""
    report = skim(sources, tmp_path / "ab.root", Recipe(where="x >= 4"))
    assert cycles(tmp_path / "ab.root", "note") == ["old", "new", "newer"]
    assert cycles(tmp_path / "ab.root", "counts") == [[1.0], [2.0], [2.0]]
    assert any("histogram counts is in several inputs: each stands as a cycle" in line for line in report.warnings)
    skim([str(tmp_path / "ab.root")], tmp_path / "again.root", Recipe(where="x >= 5"))
    parts = []
    for number, source in enumerate(sources):
        parts.append(str(tmp_path / f"{number}.root"))
        skim([source], Path(parts[-1]), Recipe(where="x >= 6"))
    both = skim(parts, tmp_path / "both.root", Recipe(where="x >= 7"))
    assert [line.split(" is in ")[0] for line in both.warnings if "histogram" in line] == ["histogram counts"]
    merged = merge(parts, tmp_path / "m.root")
    assert merged.notes == (
        "histograms that are in several outputs: each stands as a cycle of the name, in the order of the outputs, and"
        " they are not added up: counts",
    )
    skim([str(tmp_path / "m.root")], tmp_path / "last.root", Recipe(where="x >= 7"))
    for name in ("ab", "again", "m", "last"):
        assert cycles(tmp_path / f"{name}.root", "note") == ["old", "new", "newer"]
        assert cycles(tmp_path / f"{name}.root", "counts") == [[1.0], [2.0], [2.0]]
        assert_proven(verify([str(tmp_path / f"{name}.root")]))
    assert len(cycles(tmp_path / "last.root", "HepFilter_provenance")) == 2


def test_the_provenance_of_ancestors_stays_in_a_merge(sources, tmp_path):
    for number, source in enumerate(sources):
        skim([source], tmp_path / f"{number}.root", Recipe(where="x >= 6"))
        skim([str(tmp_path / f"{number}.root")], tmp_path / f"{number}_2.root", Recipe(where="x >= 7"))
    merge([str(tmp_path / "0_2.root"), str(tmp_path / "1_2.root")], tmp_path / "m.root")
    assert len(cycles(tmp_path / "m.root", "HepFilter_provenance")) == 3
    assert_proven(verify([str(tmp_path / "m.root")]))
    lost = rewrite(tmp_path / "m.root", tmp_path / "f.root", reorder=without("HepFilter_provenance", 1))
    assert "object HepFilter_provenance of " in findings(verify([str(lost)]), "objects")


FAULTS = {
    "an old cycle lost": (without("note", 1), r"object note of .*a.root is missing or changed"),
    "an equal histogram lost": (without("counts", 3), "object counts of .*b.root is missing or changed"),
    "a cycle more": (only("note", [1, 2, 3, 3]), "object note is there 4 times, not 3"),
    "a histogram more": (only("counts", [1, 2, 3, 1]), "object counts is there 4 times, not 3"),
    "two cycles swapped": (only("note", [1, 3, 2]), "the cycles of object note are not in the order of the sources"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_cycle_is_found(sources, tmp_path, fault):
    reorder, pattern = FAULTS[fault]
    skim(sources, tmp_path / "ab.root", Recipe(where="x >= 4"))
    report = verify([str(rewrite(tmp_path / "ab.root", tmp_path / "faulty.root", reorder=reorder))])
    assert {check for check, status in statuses(report).items() if status == "failed"} == {"objects"}
    assert re.search(pattern, findings(report, "objects")), findings(report, "objects")
