"""Skims into the other kind of tree: from TTrees into RNTuples and back, proven, merged, and refused where need be."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.errors import OutputError, SourceError, UsageError
from hepfilter.io.container import RootFile
from hepfilter.io.layout import TreeLayout
from hepfilter.io.objects import read_cutflow, read_string
from hepfilter.io.reading import open_file
from hepfilter.io.rntuple.format import Field
from hepfilter.io.rntuple.reading import NTuple
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.sources import Source
from hepfilter.io.streamers import streamers
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch, TreeHeader
from hepfilter.io.writing import Column, column_branch, create_root
from hepfilter.skim.formats import format_notes
from hepfilter.skim.merging import merge
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.recipe import Recipe
from tests.io.rntuples import make_ntuple
from tests.nano import make_nano
from tests.skim.proof.faults import rewrite
from tests.skim.test_real_files import BY_HAND, NTUPLES, tree_of

TWO_MUONS = Recipe(where="nMuon >= 2")
KINDS = {"rntuple": "ROOT::RNTuple", "ttree": "TTree"}


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("trees")
    return [
        make_nano(folder / "a.root", 60, basket=25),
        make_nano(folder / "b.root", 40, seed=2, first_event=100, basket=25),
    ]


@pytest.fixture(scope="module")
def ntuples(trees) -> list[Path]:
    """The same events as RNTuples."""
    paths = [path.with_name(f"ntuple_{path.name}") for path in trees]
    for tree, path in zip(trees, paths, strict=True):
        skim(tree, path, Recipe(format="rntuple"))
    return paths


@pytest.fixture(scope="module")
def sources(trees, ntuples) -> dict[str, list[str]]:
    """By the format that they are to become."""
    return {"rntuple": list(map(str, trees)), "ttree": list(map(str, ntuples))}


def findings(path: Path, **options) -> dict[str, tuple[str, ...]]:
    """What a verification does not pass, by check."""
    (proof,) = verify([Source(str(path))], **options).outputs
    assert len(proof.checks) > 1, proof
    return {check.name: check.findings for check in proof.checks if check.status != "passed"}


def kinds(path: Path) -> dict[str, str]:
    with open_file(Source(str(path))) as file:
        return {name: file.class_names[name] for name in file.table_names}


def assert_same_events(sources: list[str], path: Path, where: str = "nMuon >= 2", branches: int = 36) -> None:
    """Every branch of the kept events, as uproot reads it."""
    with uproot.open({path: "Events"}) as new:
        old = uproot.concatenate([f"{source}:Events" for source in sources])
        old = old[old.nMuon >= 2] if where else old
        names = [name for name in old.fields if not name.startswith(("_collection", "HepFilter_"))]
        assert len(names) == branches and new.num_entries == len(old)
        for name in names:
            found = new[name].array()
            assert found.to_list() == old[name].to_list(), name
            if name[0] != "n":
                assert str(found.type).split(" * ")[-1] == str(old[name].type).split(" * ")[-1]


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("workers", [1, 3])
def test_events_of_several_files_become_the_other_kind(sources, tmp_path, monkeypatch, wanted, workers):
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 2000)
    monkeypatch.setattr(NTupleWriter, "CLUSTER_BYTES", 2000)
    out = tmp_path / "out.root"
    report = skim(sources[wanted], out, replace(TWO_MUONS, format=wanted), workers=workers)
    assert report.warnings == () or wanted == "ttree"  # whose sources are skims themselves
    assert kinds(out) == dict.fromkeys(("Events", "Runs", "LuminosityBlocks"), KINDS[wanted])
    assert_same_events(sources[wanted], out)
    with open_file(Source(str(out))) as file:
        facts = json.loads(read_string(file, "HepFilter_provenance"))
        assert facts["recipe"]["format"] == wanted
        assert len(file.table("Events").cluster_edges()) > 3
        assert read_cutflow(file, "HepFilter_cutflow")[0] == ("read", 100)
        assert file.table("Runs").values(["genEventSumw"])["genEventSumw"].values.tolist() == [30, 20]
    assert findings(out) == {}


@pytest.mark.parametrize("wanted", KINDS)
def test_what_has_the_format_already_is_copied(sources, tmp_path, wanted):
    other = {"rntuple": "ttree", "ttree": "rntuple"}[wanted]
    for name, recipe in (("a", TWO_MUONS), ("b", replace(TWO_MUONS, format=other))):
        skim(sources[wanted], tmp_path / f"{name}.root", recipe)
    assert kinds(tmp_path / "a.root") == kinds(tmp_path / "b.root")
    assert kinds(tmp_path / "b.root")["Events"] == KINDS[other]
    assert findings(tmp_path / "b.root") == {}


@pytest.mark.parametrize("wanted", KINDS)
def test_splitting_and_merging(sources, tmp_path, wanted):
    recipe = replace(TWO_MUONS, format=wanted, split_events=20)
    report = skim(sources[wanted], tmp_path / "out.root", recipe)
    parts = [Path(output.path) for output in report.outputs]
    assert len(parts) > 2
    assert [findings(path) for path in parts] == [{}] * len(parts)
    merged = tmp_path / "merged.root"
    merge([Source(str(path)) for path in parts], merged)
    assert kinds(merged)["Events"] == KINDS[wanted]
    assert_same_events(sources[wanted], merged)
    assert findings(merged) == {}


@pytest.mark.parametrize("wanted", KINDS)
def test_kept_branches_keep_their_counters(sources, tmp_path, wanted):
    out = tmp_path / "out.root"
    skim(sources[wanted], out, replace(TWO_MUONS, format=wanted, keep_branches=("Muon_pt", "MET_*")))
    with open_file(Source(str(out))) as file:
        names = {name for name in file.table("Events").branch_names if not name.startswith(("HepFilter", "_coll"))}
    assert names == {"run", "luminosityBlock", "event", "nMuon", "Muon_pt", "MET_pt", "MET_phi"}
    assert findings(out) == {}


def test_scores_choose_events_of_a_conversion(sources, untrained_model, tmp_path):
    out = tmp_path / "out.root"
    recipe = Recipe(keep=Fraction(1, 5), model=str(untrained_model))
    chosen = skim(sources["rntuple"], tmp_path / "tree.root", recipe)
    assert skim(sources["rntuple"], out, replace(recipe, format="rntuple")).threshold == chosen.threshold
    assert findings(out, rescore=True) == {}
    with uproot.open({tmp_path / "tree.root": "Events"}) as old, uproot.open({out: "Events"}) as new:
        assert old["HepFilter_interest"].array().to_list() == new["HepFilter_interest"].array().to_list()


def test_fills_stand_for_what_an_input_lacks(trees, tmp_path):
    lacking = make_nano(tmp_path / "c.root", 30, seed=5, first_event=500, drop=("Muon_charge", "MET_phi", "HLT_any"))
    fills = {"Muon_charge": -7.0, "MET_phi": 3.5}
    out = tmp_path / "out.root"
    recipe = replace(TWO_MUONS, format="rntuple", layout="union", fills=fills)
    report = skim([str(trees[0]), str(lacking)], out, recipe)
    with uproot.open({out: "Events"}) as tree:
        last = tree.arrays(["Muon_charge", "MET_phi", "HLT_any"])[-report.files[1].passed :]
    assert set(ak.flatten(last.Muon_charge).to_list()) == {-7} and not ak.any(last.HLT_any)
    assert set(last.MET_phi.to_list()) == {3.5}
    assert findings(out) == {}
    skim([str(trees[0]), str(lacking)], out, replace(recipe, layout="intersection", fills={}), force=True)
    assert findings(out) == {}


def test_no_event_still_gives_all_fields(sources, tmp_path):
    for wanted, paths in sources.items():
        out = tmp_path / f"{wanted}.root"
        skim(paths, out, Recipe(where="nMuon > 1000", format=wanted))
        with uproot.open({out: "Events"}) as tree:
            assert tree.num_entries == 0 and {"Muon_pt", "nMuon", "HepFilter_entry"} <= set(tree.keys())
        assert findings(out) == {}


def test_compression_is_roots_default_unless_told(trees, ntuples, tmp_path):
    asked = {"a": ("rntuple", None, 505), "b": ("rntuple", "ZLIB:3", 103), "c": ("ttree", None, 505)}
    for name, (wanted, compression, code) in asked.items():
        source = trees[0] if wanted == "rntuple" else ntuples[0]
        skim(source, tmp_path / f"{name}.root", Recipe(format=wanted, compression=compression))
        with open_file(Source(str(tmp_path / f"{name}.root"))) as file:
            assert file.directory.code == code


def obstructed(path: Path, *, other: bool) -> Path:
    """A file with a Float16_t in its events' tree, or in another."""
    half = [column_branch(Column(name, "float32"), {}) for name in ("half", "whole")]
    half[0].leaves[0].class_name = "TLeafF16"
    names = ("Events", "Other")
    with create_root(path) as new:
        for name in names[:: -1 if other else 1][:1]:
            _empty_tree(new._out, name, half)
        with new.new_tree("Other" if not other else "Events", [Column("event", "int32")]) as tree:
            tree.extend({"event": np.arange(5)})
    return path


def _empty_tree(out: RootFile, name: str, branches: list[Branch]) -> None:
    TreeWriter(out, TreeHeader(name, name), branches).close()


def test_what_cannot_be_converted_is_refused_in_one_line(tmp_path):
    source = obstructed(tmp_path / "in.root", other=False)
    told = "in.root: tree Events: 1 branch cannot be held by an RNTuple: half (LeafF16); leave them out with "
    with pytest.raises(OutputError) as error:
        skim(f"{source}:Events", tmp_path / "out.root", Recipe(format="rntuple"))
    assert told in str(error.value) and str(error.value).endswith(
        "--drop-branches, or keep the TTree with --format ttree"
    )
    assert not (tmp_path / "out.root").exists()
    skim(f"{source}:Events", tmp_path / "out.root", Recipe(format="rntuple", drop_branches=("half",)))
    assert kinds(tmp_path / "out.root") == dict.fromkeys(("Events", "Other"), "ROOT::RNTuple")
    assert findings(tmp_path / "out.root") == {}
    ntuple = make_ntuple(tmp_path / "ntuple.root")
    told = r"2 fields cannot be held by a TTree: deep \(std::vector<std::vector<std::int64_t>>\), text \(std::string\);"
    with pytest.raises(OutputError, match=told):
        skim(f"{ntuple}:Events", tmp_path / "tree.root", Recipe(format="ttree"))


def test_another_tree_that_cannot_be_converted_stays_as_it_is(tmp_path):
    source = obstructed(tmp_path / "in.root", other=True)
    out = tmp_path / "out.root"
    report = skim(f"{source}:Events", out, Recipe(format="rntuple"))
    note = "tree Other: 1 branch cannot be held by an RNTuple: half (LeafF16); it stays a TTree"
    assert report.warnings == (note,)
    assert kinds(out) == {"Events": "ROOT::RNTuple", "Other": "TTree"}
    with open_file(Source(str(out))) as file:
        assert json.loads(read_string(file, "HepFilter_provenance"))["warnings"] == [note]
    assert findings(out) == {}


def test_what_a_tree_loses_is_told():
    headers = TreeHeader("Events", "", {"fWeight": 2.5}, [("all", "a + b")]), TreeHeader("Runs", "", {"fWeight": 1.0})
    layouts = {header.name: TreeLayout(header, (), {}) for header in headers}
    notes = [f"tree Events becomes an RNTuple, without its {lost}" for lost in ("aliases", "weight 2.5")]
    assert list(format_notes(layouts, "Events", "rntuple")) == notes
    assert format_notes(layouts, "Events", "ttree") == format_notes(layouts, "Events", None) == ()


def test_lists_that_their_counter_denies_are_refused(tmp_path):
    with (
        create_root(tmp_path / "in.root") as new,
        new.new_tree("Events", [Column("x", "float32", counter="nx")]) as tree,
    ):
        tree.extend({"x": (np.arange(6), [1, 2, 3])})
        tree.writer._pieces[0][0] = replace(
            tree.writer._pieces[0][0], data=np.array([0, 0, 0, 1, 0, 0, 0, 1] * 2, np.uint8)[:12]
        )
    with pytest.raises(
        SourceError, match=r"in.root: tree Events, entry 1: branch x has 2 elements, nx says 1; as a TTree"
    ):
        skim(f"{tmp_path / 'in.root'}:Events", tmp_path / "out.root", Recipe(format="rntuple"))
    skim(f"{tmp_path / 'in.root'}:Events", tmp_path / "out.root", Recipe(format="ttree"))


def test_the_command_line_knows_formats(trees, tmp_path, capsys):
    out = tmp_path / "out.root"
    assert run(["skim", str(trees[0]), "-o", str(out), "--format", "rntuple"]) == 0
    assert kinds(out)["Events"] == "ROOT::RNTuple"
    assert run(["skim", str(trees[0]), "-o", str(out), "--format", "hdf5", "--force"]) == 2
    assert "--format hdf5: known are rntuple, ttree" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--format x: known are rntuple, ttree"):
        Recipe(format="x")


def rewrite_ntuple(path: Path, out: Path, *, flip: str = "", lose: str = "", skip: int | None = None) -> Path:
    """Write an output again with a fault: a bit of a column, the description of a field, or an event."""
    with open_file(Source(str(path))) as file, RootFile(out, compression=file.compression) as new:
        record = streamers(file)
        new.set_streamers(record.key, record.stored, record.size)
        for name, entry in file.entries.items():
            if name in file.table_names:
                _write_ntuple(
                    new, file.table(name).ntuple, *((flip, lose, skip) if name == "Events" else ("", "", None))
                )
            else:
                record = file.record(entry.position)
                new.add_stored(record.key, record.stored, record.size)
    return out


def _write_ntuple(new: RootFile, ntuple: NTuple, flip: str, lose: str, skip: int | None) -> None:
    def without_title(item: Field) -> Field:
        if item.name != lose:
            return item
        shown = {"role": item.role, "source": item.source}
        return Field.new(item.parent, item.name, item.type_name, "", **shown)

    schema = replace(ntuple.schema, fields=tuple(map(without_title, ntuple.schema.fields)))
    ntuple = replace(ntuple, schema=schema, description="" if lose == ntuple.name else ntuple.description)
    with NTupleWriter(new, ntuple) as writer:
        add = writer._cluster.add

        def faulty(number: int, items: np.ndarray) -> None:
            if schema.describe_column(number) == flip:
                items = items.copy()
                items[3] ^= 1
            add(number, items)

        writer._cluster.add = faulty
        kept = np.ones(ntuple.num_entries, bool)
        kept[[] if skip is None else [skip]] = False
        writer.copy(ntuple, kept)


@pytest.fixture(scope="module")
def made(sources, tmp_path_factory) -> dict[str, Path]:
    """A skim into each format."""
    folder = tmp_path_factory.mktemp("made")
    for wanted, paths in sources.items():
        skim(paths, folder / f"{wanted}.root", replace(TWO_MUONS, format=wanted))
    return {wanted: folder / f"{wanted}.root" for wanted in sources}


def test_written_again_without_a_fault_both_pass(made, tmp_path):
    assert findings(rewrite_ntuple(made["rntuple"], tmp_path / "a.root")) == {}
    assert findings(rewrite(made["ttree"], tmp_path / "b.root")) == {}


@pytest.mark.parametrize("flip", ["_collection2._0.Muon_pt (SplitReal32)", "MET_pt (SplitReal32)", "HLT_any (Bit)"])
def test_a_flipped_value_is_found_in_an_rntuple(made, tmp_path, flip):
    found = findings(rewrite_ntuple(made["rntuple"], tmp_path / "out.root", flip=flip))
    name = flip.partition(" ")[0].rpartition(".")[2]
    (line,) = found.pop("content")
    assert f"tree Events, branch {name}: an entry differs from the source, the first is entry" in line
    assert found == {}


@pytest.mark.parametrize("lose", ["Muon_pt", "nMuon", "MET_pt"])
def test_a_lost_title_is_found_in_an_rntuple(made, tmp_path, lose):
    found = findings(rewrite_ntuple(made["rntuple"], tmp_path / "out.root", lose=lose))
    (line,) = found.pop("schema")
    assert f"tree Events, branch {lose}: description is ''" in line
    assert found == {}


def test_a_lost_title_of_the_tree_is_found_in_an_rntuple(made, tmp_path):
    found = findings(rewrite_ntuple(made["rntuple"], tmp_path / "out.root", lose="Events"))
    assert found == {"schema": ("tree Events, the tree's title is '', not 'Events'",)}


def test_a_missing_event_is_found_in_an_rntuple(made, tmp_path):
    found = findings(rewrite_ntuple(made["rntuple"], tmp_path / "out.root", skip=4))
    assert "is not in the output" in "\n".join(found["selection"]) and "order" in found


def test_faults_are_found_in_a_tree(made, tmp_path):
    def lose_title(branches: list[Branch]) -> None:
        next(branch for branch in branches if branch.name == "Muon_eta").title = "x"

    def widen(branches: list[Branch]) -> None:
        next(branch for branch in branches if branch.name == "nMuon").leaves[0].maximum = 1

    source, out = made["ttree"], tmp_path / "out.root"
    found = findings(rewrite(source, out, flip=("Jet_pt", 3)))
    assert [line.split(":")[0] for line in found["content"]] == ["tree Events, branch Jet_pt"]
    found = findings(rewrite(source, out, edit=lose_title))
    assert [line.split(" is ")[0] for line in found["schema"]] == ["tree Events, branch Muon_eta: title"]
    found = findings(rewrite(source, out, edit=widen))
    assert any("branch nMuon: maximum is 1, less than its" in line for line in found["schema"])
    with open_file(Source(str(source))) as file:
        count = file.table("Events").num_entries
    found = findings(rewrite(source, out, order={"Events": [*range(7), *range(8, count)]}))
    assert "is not in the output" in "\n".join(found["selection"])


def test_a_tree_that_was_not_converted_is_found(made, trees, tmp_path):
    """The events of a TTree under the provenance of a conversion."""
    plain = tmp_path / "plain.root"
    skim(list(map(str, trees)), plain, TWO_MUONS)
    out = rewrite(plain, tmp_path / "out.root", provenance=lambda facts: facts["recipe"].update(format="rntuple"))
    assert "tree Events, the tree's kind is a TTree, not an RNTuple" in "\n".join(findings(out)["schema"])


REFUSED = {"PHYSLITE_example": "xTrigDecisionAux.", "treemaker": "Electrons", "delphes": "Event (TClonesArray)"}


@pytest.mark.parametrize("name", sorted(set(BY_HAND) - set(NTUPLES)))
def test_real_trees_become_rntuples_that_are_proven_or_are_refused(shared_data, tmp_path, name):
    out = tmp_path / f"{name}.root"
    recipe = Recipe(where=BY_HAND[name][0], format="rntuple")
    if name in REFUSED:
        with pytest.raises(OutputError) as error:
            skim(str(shared_data / out.name), out, recipe)
        assert f"{name}.root: tree {tree_of(name)}: " in str(error.value) and REFUSED[name] in str(error.value)
        assert "\n" not in str(error.value) and "leave them out with --drop-branches" in str(error.value)
        return
    assert skim(str(shared_data / out.name), out, recipe).written == BY_HAND[name][1]
    assert kinds(out)[tree_of(name)] == "ROOT::RNTuple"
    assert findings(out) == {}


def test_real_trees_become_rntuples_without_what_cannot_be_held(shared_data, tmp_path):
    recipe = Recipe(where=BY_HAND["treemaker"][0], format="rntuple")
    with open_file(Source(str(shared_data / "treemaker.root"))) as file:
        branches = file.tree("PreSelection").branches
    split = tuple(branch.name for branch in branches if branch.children)
    skim(str(shared_data / "treemaker.root"), tmp_path / "out.root", replace(recipe, drop_branches=split))
    assert len(split) == 19 and findings(tmp_path / "out.root") == {}


@pytest.mark.parametrize("name", ["nano_dy_rntuple", "nano_dimuon_rntuple", "nano_dy_empty_rntuple", "pfnano_rntuple"])
def test_real_rntuples_become_trees_that_are_proven(shared_data, tmp_path, name):
    out = tmp_path / f"{name}.root"
    skim(str(shared_data / out.name), out, Recipe(where=BY_HAND[name][0], format="ttree"))
    assert kinds(out)["Events"] == "TTree"
    assert findings(out) == {}
    other = name.removesuffix("_rntuple")
    with uproot.open({out: "Events"}) as new, uproot.open({shared_data / f"{other}.root": "Events"}) as old:
        kept = new["HepFilter_entry"].array(library="np")
        for own in ("Muon_pt", "nMuon", "Jet_jetId", "event", "HLT_IsoMu24"):
            assert old[own].array()[kept].to_list() == new[own].array().to_list()


def test_coffea_reads_both(shared_data, tmp_path):
    from coffea import nanoevents

    branches = ("Muon_*", "genWeight", "HLT_IsoMu24")
    for wanted, name in (("rntuple", "nano_dy"), ("ttree", "nano_dy_rntuple")):
        recipe = Recipe(format=wanted, keep_branches=branches, where="nJet > 3")
        skim(str(shared_data / f"{name}.root"), tmp_path / f"{wanted}.root", recipe)
    old, ntuple, tree = (
        nanoevents.NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=nanoevents.NanoAODSchema, mode="virtual"
        ).events()
        for path in (shared_data / "nano_dy.root", tmp_path / "rntuple.root", tmp_path / "ttree.root")
    )
    kept = ak.materialize(tree.HepFilter.entry).to_list()
    assert 0 < len(kept) < 40 and ak.materialize(ntuple.HepFilter.entry).to_list() == kept
    for path in (("Muon", "pt"), ("Muon", "charge"), ("HLT", "IsoMu24"), ("genWeight",)):
        expected, *found = (ak.materialize(events[path]) for events in (old, ntuple, tree))
        assert [array.to_list() for array in found] == [expected[kept].to_list()] * 2
    docs = [ak.materialize(events.Muon.charge).layout.parameters.get("__doc__") for events in (old, ntuple)]
    assert docs[0] == docs[1] and "electric charge" in str(ntuple.Muon.charge.type)
