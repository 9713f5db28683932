"""RNTuples of every kind of field that ROOT writes, skimmed, and read by ROOT as it reads the source."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.io.rntuple.plain import read_plain
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.writing import Column
from tests.io.rntuples import assert_copied, choose, open_ntuple, skim_ntuple

SCRIPT = Path(__file__).parents[1] / "rntuple_in_root.py"
ENTRIES, CLUSTER = 500, 70
UNKNOWN_CLASSES = ("xAOD", "DataVector", "SG::", "ElementLink", "AuxC", "Event")  # of ATLAS: ROOT has no dictionaries

pytestmark = pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed")


def run_root(*arguments: object) -> str:
    run = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def compare_in_root(pairs: list[tuple]) -> list[list[str]]:
    """For each (source, copy, name, kept, classes to skip) the fields that ROOT cannot read in the source.

    All others it prints for the kept entries of the source as for those of the copy.
    """
    asked = [(str(a), str(b), name, np.flatnonzero(kept).tolist(), list(skip)) for a, b, name, kept, skip in pairs]
    results = [json.loads(line) for line in run_root("compare", json.dumps(asked)).splitlines() if line[:1] == "{"]
    for (source, *_, kept, _skip), result in zip(pairs, results, strict=True):
        assert result["different"] == [], source
        assert result["entries"] == kept.sum()
    return [result["unreadable"] for result in results]


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> dict[str, Path]:
    """Files by ROOT with all kinds of fields: one cluster, several, and several without fields that came late."""
    folder = tmp_path_factory.mktemp("root")
    paths = {name: folder / f"{name}.root" for name in ("one", "several", "early")}
    settings = {"one": (0, True), "several": (CLUSTER, True), "early": (CLUSTER, False)}
    run_root("write", json.dumps([(str(paths[name]), ENTRIES, *own) for name, own in settings.items()]))
    return paths


def test_the_files_hold_what_they_should(everything):
    one, several = (open_ntuple(everything[name], "everything") for name in ("one", "several"))
    assert len(one.clusters) == 1 and several.cluster_edges() == [*range(0, ENTRIES, CLUSTER), ENTRIES]
    kinds = {name.split("(")[1][:-1] for name in map(one.schema.describe_column, range(len(one.schema.columns)))}
    assert kinds >= {"Bit", "Char", "Byte", "Switch", "Real16", "Real32", "Real32Trunc", "Real32Quant", "Index32"}
    assert kinds >= {"SplitIndex64", "SplitInt16", "SplitInt64", "SplitReal64", "SplitUInt64", "Int8", "SplitReal32"}
    assert sum(column.first > 0 for column in several.schema.columns) == 4
    assert {column.representation for column in several.schema.columns} == {0, 1, 2}
    pages = several.clusters[0].read_pages(len(several.schema.columns))
    assert max(len(own.pages) for own in pages) > 1 and any(own.suppressed for own in pages)
    assert len(one.schema.extra) == 1


def test_all_kinds_of_fields(everything, tmp_path, monkeypatch):
    pairs = []
    for name in everything:
        for share, cluster_bytes in ((0.01, 64_000_000), (0.6, 3000), (1.0, 64_000_000)):
            monkeypatch.setattr(NTupleWriter, "CLUSTER_BYTES", cluster_bytes)
            source = open_ntuple(everything[name], "everything")
            kept = choose(ENTRIES, share)
            path = tmp_path / f"{name}{share}.root"
            copy = skim_ntuple(source, kept, path)
            assert_copied(source, kept, copy)
            assert len(copy.clusters) > 1 or name == "one"
            pairs.append((everything[name], path, "everything", kept, ()))
    assert compare_in_root(pairs) == [[]] * 9


def test_several_sources(everything, tmp_path):
    sources = [open_ntuple(everything["several"], "everything"), open_ntuple(everything["one"], "everything")]
    masks = [choose(ENTRIES, 0.2, seed) for seed in (1, 2)]
    copy = skim_ntuple(list(zip(sources, masks, strict=True)), None, tmp_path / "out.root")
    assert_copied(sources[0], masks[0], copy)
    assert run_root("count", tmp_path / "out.root", "everything").splitlines()[-1] == str(
        masks[0].sum() + masks[1].sum()
    )


def test_numbers_are_those_that_root_reads(everything):
    """Also where a field changes its representation, which uproot 5.7.7 reads wrongly."""
    names = ["id", "i8", "i16", "i32", "i64", "u16", "f64", "flag", "half", "trunc", "plain", "multi", "later"]
    found = read_plain(open_ntuple(everything["several"], "everything"), names)
    wanted = json.loads(run_root("numbers", everything["several"], *names).splitlines()[-1])
    for name in names:
        assert found[name][0].tolist() == wanted[name], name


def test_real_files(shared_data, tmp_path):
    pairs = []
    for file, name, skip in (
        ("nano_dy_rntuple", "Events", ()),
        ("nano_dimuon_rntuple", "Events", ()),
        ("nano_dy_empty_rntuple", "Events", ()),
        ("pfnano_rntuple", "Events", ()),
        ("physlite_rntuple", "EventTag", ()),
        ("physlite_rntuple", "EventData", UNKNOWN_CLASSES),
    ):
        source = open_ntuple(shared_data / f"{file}.root", name)
        kept = choose(source.num_entries, 0.4)
        path = tmp_path / f"{file}_{name}.root"
        skim_ntuple(source, kept, path)
        pairs.append((shared_data / f"{file}.root", path, name, kept, skip))
    assert [len(unreadable) for unreadable in compare_in_root(pairs)] == [0, 0, 0, 0, 0, 175]


def test_dropped_and_added_fields(shared_data, tmp_path):
    source = open_ntuple(shared_data / "nano_dy_rntuple.root")
    kept = choose(40, 0.4)
    few = {"run", "event", "nMuon", "Muon_pt", "HLT_IsoMu24", "nJet"}  # of jets nothing but their number
    score = np.linspace(0, 1, kept.sum(), dtype=np.float32)
    skim_ntuple(
        source,
        kept,
        tmp_path / "out.root",
        drop=set(source.field_names) - few,
        added=[Column("HepFilter_interest", "float32", "how interesting"), Column("HepFilter_passed", "bool")],
        extra=[{"HepFilter_interest": score, "HepFilter_passed": score > 0.5}],
    )
    frame = json.loads(run_root("frame", tmp_path / "out.root", "Events").splitlines()[-1])
    assert few | {"HepFilter_interest", "HepFilter_passed"} <= set(frame)
    assert frame["HepFilter_interest"] == score.tolist() and frame["HepFilter_passed"] == (score > 0.5).tolist()
    with uproot.open({shared_data / "nano_dy_rntuple.root": "Events"}) as old:
        for field in few:
            assert frame[field] == old[field].array()[kept].to_list()
