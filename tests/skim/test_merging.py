"""Outputs of skims put together: bytes and order stay, nothing counts twice, and the whole is proven like a part."""

import json
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.errors import HepfilterError, OutputError, SourceError, UsageError
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column, create_root
from hepfilter.skim import merging
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.work.execution import open_executor
from tests.io.rntuples import make_ntuple
from tests.io.test_copying import assert_same_tree, entry_bytes
from tests.nano import make_nano
from tests.skim.proof.faults import PROVENANCE, only, rewrite
from tests.skim.proof.test_verification import (
    assert_proven,
    branch_named,
    few_open_files,
    findings,
    lumi_mask,
    statuses,
    verify,
)

CUT = Recipe(where="nMuon >= 2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three sources, and a skim of each: ``a.root`` and ``a_skim.root``, and so on; never changed."""
    folder = tmp_path_factory.mktemp("merge")
    for number, name in enumerate("abc"):
        source = make_nano(folder / f"{name}.root", 60, seed=number, first_event=100 * number, basket=25)
        skim([str(source)], folder / f"{name}_skim.root", CUT)
    return folder


def merge(outputs: Sequence[str], path: Path, **options: Any) -> merging.MergeReport:
    """Merge the outputs at these paths."""
    return merging.merge([Source(output) for output in outputs], path, **options)


def skims(folder: Path, names: str = "abc") -> list[str]:
    return [str(folder / f"{name}_skim.root") for name in names]


def read(path: Path | str, branch: str, tree: str = "Events") -> list:
    with uproot.open({path: tree}) as opened:
        return opened[branch].array(library="np").tolist()


def test_events_and_rows_stand_in_order_with_their_bytes(folder, tmp_path):
    report = merge(skims(folder, "bac"), tmp_path / "m.root")
    with uproot.open(tmp_path / "m.root") as new:
        parts = [uproot.open(path) for path in skims(folder, "bac")]
        assert report.events == new["Events"].num_entries == sum(part["Events"].num_entries for part in parts)
        for branch in new["Events"].keys(recursive=True):
            wanted = [entry for part in parts for entry in entry_bytes(part["Events"][branch])]
            assert entry_bytes(new["Events"][branch]) == wanted, branch
            assert new["Events"][branch].title == parts[0]["Events"][branch].title
        assert new["LuminosityBlocks/luminosityBlock"].array().tolist() == [101, 1, 201]
        assert new["Runs/genEventSumw"].array().tolist() == [30.0] * 3
        flows = [part["HepFilter_cutflow"].values() for part in parts]
        assert new["HepFilter_cutflow"].values().tolist() == sum(flows).tolist()
        assert new["HepFilter_cutflow_weighted"].values().tolist() == [90.0, 0.5 * report.events]
        assert [step.events for step in report.cutflow] == [180, report.events]
    assert report.notes == ()


def test_a_merged_file_is_proven_and_its_faults_are_found(folder, tmp_path):
    merge(skims(folder), tmp_path / "m.root", command=["hepfilter", "merge"])
    assert_proven(verify([str(tmp_path / "m.root")]))
    entries = read(tmp_path / "m.root", "HepFilter_entry")
    last = len(entries) - 1
    faulty = rewrite(tmp_path / "m.root", tmp_path / "bit.root", flip=("Muon_pt", last))
    assert f"the first is entry {last}, entry {entries[-1]} of {folder / 'c.root'}" in findings(
        verify([str(faulty)]), "content"
    )
    lost = rewrite(tmp_path / "m.root", tmp_path / "row.root", order={"Runs": [0, 2]})
    assert "tree Runs has 2 rows, its sources give 3" in findings(verify([str(lost)]), "books")
    swapped = rewrite(tmp_path / "m.root", tmp_path / "swap.root", order={"Events": [*range(20, last + 1), *range(20)]})
    assert "failed" in (statuses(verify([str(swapped)]))[name] for name in ("order", "content"))
    short = rewrite(tmp_path / "m.root", tmp_path / "short.root", order={"Events": range(last)})
    assert "passes, but is not in the output" in findings(verify([str(short)]), "selection")


def test_merged_files_merge_again(folder, tmp_path):
    merge(skims(folder, "ab"), tmp_path / "ab.root")
    merge([str(tmp_path / "ab.root"), *skims(folder, "c")], tmp_path / "abc.root")
    assert_proven(verify([str(tmp_path / "abc.root")]))
    merge(skims(folder), tmp_path / "direct.root")
    assert read(tmp_path / "abc.root", "event") == read(tmp_path / "direct.root", "event")
    with pytest.raises(OutputError, match=r"a_skim\.root: holds the same events as .*ab\.root"):
        merge([str(tmp_path / "ab.root"), *skims(folder, "ca")], tmp_path / "no.root")


def test_a_split_skim_is_whole_again(folder, tmp_path):
    sources = [str(folder / "a.root"), str(folder / "b.root")]
    parts = [
        out.path for out in skim(sources, tmp_path / "s.root", Recipe(where="nMuon >= 1", split_events=20)).outputs
    ]
    assert len(parts) > 3
    report = merge(parts, tmp_path / "m.root")
    assert report.notes == ()
    assert_proven(verify([str(tmp_path / "m.root")]))
    skim(sources, tmp_path / "unsplit.root", Recipe(where="nMuon >= 1"))
    with uproot.open(tmp_path / "m.root") as new, uproot.open(tmp_path / "unsplit.root") as old:
        for tree in ("Events", "Runs", "LuminosityBlocks"):
            assert_same_tree(old[tree], new[tree], np.ones(old[tree].num_entries, bool), added=[])
        assert new["HepFilter_cutflow"].values().tolist() == old["HepFilter_cutflow"].values().tolist()
        assert new.keys(cycle=False) == old.keys(cycle=False)


def test_parts_that_are_not_given_are_named(folder, tmp_path):
    parts = [
        out.path
        for out in skim([str(folder / "a.root")], tmp_path / "s.root", Recipe(where="nMuon>0", split_events=15)).outputs
    ]
    report = merge(parts[:2], tmp_path / "first.root")
    assert report.notes == (f"parts of a split skim are not here: {', '.join(parts[2:])}",)
    report = merge(parts[1:], tmp_path / "rest.root")
    assert "Runs, other trees and the cutflow of that skim stand in its first part" in report.notes[0]
    assert read(tmp_path / "rest.root", "run", "Runs") == []
    assert_proven(verify([str(tmp_path / "first.root"), str(tmp_path / "rest.root")]))


def refused(
    folder: Path, tmp: Path, model: Path, other_model: Path
) -> dict[str, tuple[list[str], type[HepfilterError], str]]:
    """What must not be merged: the outputs, the error, and what its line says."""
    source = str(folder / "a.root")
    made = {name: str(tmp / f"{name}.root") for name in ("again", "titles", "fewer", "m1", "m2", "tree", "other")}
    skim([source], made["again"], Recipe(where="nMuon >= 1"))
    skim([str(folder / "b.root")], made["fewer"], Recipe(where="nMuon >= 2", drop_branches=("MET_*",)))
    skim([source], made["m1"], Recipe(keep=Fraction(1, 2), model=str(model)))
    skim([str(folder / "b.root")], made["m2"], Recipe(keep=Fraction(1, 2), model=str(other_model)))
    with create_root(tmp / "flat.root") as out, out.new_tree("flat", [Column("x", "int32")]) as tree:
        tree.extend({"x": np.arange(9)})
    skim([str(tmp / "flat.root")], made["tree"], Recipe(where="x > 2"))

    def edit(branches):
        branch_named(branches, "Muon_pt").title = "mine"
        branch_named(branches, "HLT_any").leaves[0].class_name = "TLeafB"

    rewrite(folder / "b_skim.root", Path(made["titles"]), edit=edit)
    a, b = skims(folder, "ab")
    return {
        "twice": ([a, b, a], OutputError, r"a_skim\.root: is given twice"),
        "a copy": (
            [a, b, copy_of(a, tmp / "copy.root")], OutputError, r"copy\.root: holds the same events as .*a_skim",
        ),
        "the same input": (
            [a, b, made["again"]], OutputError,
            r"again\.root and .*a_skim\.root are two skims of .*/a\.root: its events and its books",
        ),
        "titles and types": (
            [a, made["titles"]], OutputError,
            r"branch HLT_any: leaf type is 'Char_t', not 'Bool_t'; .*branch Muon_pt: title is 'mine', not 'pt of Muon'",
        ),
        "branches": (
            [a, made["fewer"]], OutputError, r"branch MET_pt: is missing; .*, branch MET_phi: is missing; skim them",
        ),
        "added branches": ([b, made["m1"]], OutputError, r"scored by model \w{12}, .*b_skim\.root by none"),
        "models": (
            [made["m1"], made["m2"]], OutputError,
            r"m2\.root: scored by model \w{12}, .*m1\.root by \w{12}; scores of different",
        ),
        "trees": ([a, made["tree"]], OutputError, r"its events are in tree flat, those of .*a_skim\.root in Events"),
        "a source": ([a, str(folder / "b.root")], SourceError, r"b\.root: has no HepFilter_provenance"),
        "one": ([a], UsageError, "at least two"),
    }  # fmt: skip


def test_a_skim_of_another_output_is_refused(folder, tmp_path):
    """Whether it is of that very output, of what that was merged into, or of a skim of it."""
    once, twice, thrice = (str(tmp_path / f"{name}.root") for name in ("once", "twice", "thrice"))
    skim([str(folder / "a.root")], once, CUT)
    skim([once], twice, Recipe(where="nMuon >= 3"))
    skim([twice], thrice, Recipe(where="nMuon >= 4"))
    merge([once, *skims(folder, "b")], tmp_path / "m.root")
    skim([str(tmp_path / "m.root")], tmp_path / "of_merged.root", Recipe(where="nMuon >= 3"))
    wrong = [(once, twice), (thrice, once), (twice, thrice), (str(tmp_path / "of_merged.root"), once)]
    for pair in wrong:
        older, newer = sorted(pair, key=[once, twice, thrice, str(tmp_path / "of_merged.root")].index)
        with pytest.raises(OutputError, match=f"^{newer} is a skim of {older}: its events would count twice; leave"):
            merge(pair, tmp_path / "no.root")
    # of which the ancestors' provenance is lost, as by hadd, which copies the newest cycles alone
    forgetful = rewrite(Path(twice), tmp_path / "forgetful.root", reorder=only(PROVENANCE, [2]))
    with pytest.raises(OutputError, match=f"forgetful.root is a skim of {once}"):
        merge([once, str(forgetful)], tmp_path / "no.root")
    with pytest.raises(OutputError, match=r"other_twice\.root and .*a_skim\.root are two skims of .*/a\.root"):
        skim([str(folder / "a.root")], tmp_path / "other.root", Recipe(where="nMuon >= 1"))
        skim([str(tmp_path / "other.root")], tmp_path / "other_twice.root", CUT)
        merge([skims(folder)[0], str(tmp_path / "other_twice.root")], tmp_path / "no.root")


def test_skims_of_the_parts_of_a_split_skim_merge(folder, tmp_path):
    report = skim([str(folder / "a.root")], tmp_path / "s.root", Recipe(where="nMuon >= 1", split_events=20))
    again = [str(tmp_path / f"{number}.root") for number in range(len(report.outputs))]
    for output, path in zip(report.outputs, again, strict=True):
        skim([output.path], path, CUT)
    merge(again, tmp_path / "m.root")
    assert read(tmp_path / "m.root", "event") == read(skims(folder)[0], "event")
    assert_proven(verify([str(tmp_path / "m.root")]))


def copy_of(path: str, to: Path) -> str:
    to.write_bytes(Path(path).read_bytes())
    return str(to)


@pytest.fixture
def other_model(tmp_path) -> Path:
    import torch

    from hepfilter.config.base import find_config, load_yaml
    from hepfilter.config.graph import GraphSpecification
    from hepfilter.config.model import EventClass, ModelDefinition, load_architecture
    from hepfilter.models.architectures import build_network
    from hepfilter.models.checkpoint import save

    classes = (EventClass(name="background", is_signal=False), EventClass(name="other", is_signal=True))
    graph = load_yaml(find_config("graphs", "objects"), GraphSpecification)
    definition = ModelDefinition(graph=graph, architecture=load_architecture("edgeconv-small"), classes=classes)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        save(build_network(definition), tmp_path / "other.safetensors", provenance={})
    return tmp_path / "other.safetensors"


def test_what_differs_or_would_count_twice_is_refused(folder, tmp_path, untrained_model, other_model, subtests):
    for what, (outputs, error, pattern) in refused(folder, tmp_path, untrained_model, other_model).items():
        with subtests.test(what):
            with pytest.raises(error, match=pattern) as caught:
                merge(outputs, tmp_path / "merged.root")
            assert "\n" not in str(caught.value)
            assert not (tmp_path / "merged.root").exists()


def test_scored_skims_of_one_model_merge(folder, tmp_path, untrained_model):
    for name in "ab":
        skim(
            [str(folder / f"{name}.root")],
            tmp_path / f"{name}.root",
            Recipe(keep=Fraction(1, 3), model=str(untrained_model)),
        )
    merge([str(tmp_path / "a.root"), str(tmp_path / "b.root")], tmp_path / "m.root")
    assert_proven(verify([str(tmp_path / "m.root")]), open_checks=("selection", "cutflow"))
    assert_proven(verify([str(tmp_path / "m.root")], rescore=True))
    wanted = read(tmp_path / "a.root", "HepFilter_interest") + read(tmp_path / "b.root", "HepFilter_interest")
    assert read(tmp_path / "m.root", "HepFilter_interest") == wanted


def test_skims_with_and_without_a_mask_merge(folder, tmp_path):
    mask = lumi_mask(tmp_path / "mask.json", [[1, 1]])
    skim([str(folder / "a.root")], tmp_path / "masked.root", Recipe(lumi_mask=str(mask), where="nMuon >= 2"))
    report = merge([str(tmp_path / "masked.root"), *skims(folder, "b")], tmp_path / "m.root")
    assert [step.name for step in report.cutflow] == ["read", "luminosity mask", "where"]
    assert_proven(verify([str(tmp_path / "m.root")]))


def test_outputs_are_guarded(folder, tmp_path):
    (tmp_path / "there.root").write_text("precious")
    with pytest.raises(OutputError, match="exists; give another name"):
        merge(skims(folder), tmp_path / "there.root")
    with pytest.raises(UsageError, match="is one of the inputs"):
        merge(skims(folder), Path(skims(folder)[1]))
    merge(skims(folder), tmp_path / "there.root", force=True)
    assert read(tmp_path / "there.root", "run", "Runs") == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["there.root"]


@pytest.mark.parametrize("cluster_bytes", [1, 2000])
def test_small_clusters_and_processes_give_the_same(folder, tmp_path, monkeypatch, cluster_bytes):
    processes = []

    def spy(execution, job):
        processes.append(execution.workers)
        return open_executor(execution, job)

    monkeypatch.setattr("hepfilter.skim.merging.open_executor", spy)
    merge(skims(folder), tmp_path / "one.root", workers=3)
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", cluster_bytes)
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    merge(skims(folder), tmp_path / "many.root", workers=3)
    assert processes == [1, 3]  # so few bytes are not worth a process
    with uproot.open(tmp_path / "one.root") as old, uproot.open(tmp_path / "many.root") as new:
        assert new["Events"].member("fNClusterRange") > 0
        assert_same_tree(old["Events"], new["Events"], np.ones(old["Events"].num_entries, bool), added=[])


def test_few_files_are_open_at_a_time(folder, tmp_path):
    """As for a thousand parts, where a process may have 256 open."""
    split = skim([str(folder / "a.root")], tmp_path / "s.root", Recipe(where="nMuon > 0", split_events=4)).outputs
    ntuples = []
    for number in range(12):
        source = make_ntuple(tmp_path / f"n{number}.root", (10,), first=10 * number)
        ntuples.append(str(tmp_path / f"n{number}_skim.root"))
        skim([str(source)], Path(ntuples[-1]), Recipe(where="id % 3 == 0"))
    assert len(split) > 10
    with few_open_files(8):
        merge([output.path for output in split], tmp_path / "m.root")
        merge(ntuples, tmp_path / "n.root")
    assert read(tmp_path / "m.root", "event") == [event for out in split for event in read(out.path, "event")]
    assert_proven(verify([str(tmp_path / "m.root"), str(tmp_path / "n.root")]))


def test_the_tree_that_is_named_and_replicas_are_respected(folder, tmp_path):
    a, b = skims(folder, "ab")
    named = [Source(a, tree="Events"), Source(str(tmp_path / "gone.root"), replicas=(b,))]
    assert merging.merge(named, tmp_path / "m.root").events == merge([a, b], tmp_path / "same.root").events
    with pytest.raises(SourceError, match=r"a_skim\.root: its events are in tree Events, not in Runs"):
        merging.merge([Source(a, tree="Runs"), Source(b)], tmp_path / "no.root")


def test_empty_outputs_merge(folder, tmp_path):
    skim([str(folder / "a.root")], tmp_path / "none.root", Recipe(where="nMuon > 99"))
    report = merge([str(tmp_path / "none.root"), *skims(folder, "b")], tmp_path / "m.root")
    assert report.parts[0].events == 0
    assert_proven(verify([str(tmp_path / "m.root")]))
    skim([str(folder / "b.root")], tmp_path / "none2.root", Recipe(where="nMuon > 99"))
    merge([str(tmp_path / "none.root"), str(tmp_path / "none2.root")], tmp_path / "empty.root")
    assert_proven(verify([str(tmp_path / "empty.root")]))


def test_hadd_loses_nothing_of_our_outputs(folder, tmp_path):
    """FIDELITY 14: identical keys in every output, so that ROOT's own hadd keeps all events and adds the cutflows."""
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    hadd = Path(find_spec("ROOT").origin).parent / "bin" / "hadd"
    split = [
        out.path
        for out in skim([str(folder / "c.root")], tmp_path / "s.root", Recipe(where="nMuon>1", split_events=9)).outputs
    ]
    outputs = [*skims(folder, "ab"), *split]
    keys = []
    for path in outputs:
        with uproot.open(path) as file:
            keys.append(file.classnames(cycle=False))
    assert all(found == keys[0] for found in keys)
    command = [str(hadd), str(tmp_path / "h.root"), *outputs]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    merge(outputs, tmp_path / "m.root")
    with uproot.open(tmp_path / "h.root") as ours, uproot.open(tmp_path / "m.root") as merged:
        assert ours["Events/event"].array().tolist() == merged["Events/event"].array().tolist()
        assert ours["Runs/genEventSumw"].array().tolist() == [30.0] * 3
        for name in ("HepFilter_cutflow", "HepFilter_cutflow_weighted"):
            assert ours[name].values().tolist() == merged[name].values().tolist()
            assert ours[name].axis().labels() == ["read", "where"]
    facts = json.loads(str(uproot.open(tmp_path / "m.root")["HepFilter_provenance"]))
    assert [part["output"] for part in facts["parts"]] == [0, 0, *range(len(split))]


def test_skims_of_ntuples_merge(tmp_path):
    outputs = []
    for number in range(2):
        source = make_ntuple(tmp_path / f"{number}.root", (30, 40), first=100 * number)
        outputs.append(str(tmp_path / f"{number}_skim.root"))
        skim([str(source)], Path(outputs[-1]), Recipe(where="small % 3 == 0"))
    report = merge(outputs, tmp_path / "m.root")
    assert report.events == sum(part.events for part in report.parts) > 40
    assert_proven(verify([str(tmp_path / "m.root")]))
    with uproot.open(tmp_path / "m.root") as new:
        wanted = [value for path in outputs for value in uproot.open(path)["Events"].arrays("text").text.tolist()]
        assert new["Events"].arrays("text").text.tolist() == wanted
    make_nano(tmp_path / "tree.root", 20)
    skim([str(tmp_path / "tree.root")], tmp_path / "tree_skim.root", CUT)
    with pytest.raises(OutputError, match="tree Events, the tree's kind is another: TTree and RNTuple"):
        merge([outputs[0], str(tmp_path / "tree_skim.root")], tmp_path / "no.root")
