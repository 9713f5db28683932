"""The second pass as a whole: what is staged, what is told of bad inputs, what is checked at the end."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError, UnreadableEventsError
from hepfilter.io.treewriter import TreeWriter
from hepfilter.skim import outputs
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.work.parts import PartStore
from tests.io.test_copying import assert_same_tree
from tests.nano import make_nano
from tests.skim.test_cluster_copy import spoil

MUONS = Recipe(where="nMuon > 0")


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    return [str(make_nano(tmp_path / f"{i}.root", 200, seed=i, first_event=200 * i)) for i in range(2)]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[PartStore | None]:
    """Where each second pass stages."""
    found: list[PartStore | None] = []

    class Spy(outputs.ClusterCopy):
        def __init__(self, *args) -> None:
            found.append(args[4])
            super().__init__(*args)

    monkeypatch.setattr(outputs, "ClusterCopy", Spy)
    return found


def test_what_is_quickly_done_again_is_not_staged(sources, tmp_path, stores, monkeypatch):
    skim(sources, tmp_path / "out.root", MUONS)
    assert stores == [None]
    monkeypatch.setattr(outputs, "STAGED_BYTES", 0)
    skim(sources, tmp_path / "out.root", MUONS, force=True)
    assert isinstance(stores[1], PartStore)


def test_a_second_pass_goes_on_where_it_was_ended(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "STAGED_BYTES", 0)
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 10_000)
    skim(sources, tmp_path / "whole.root", MUONS)
    write, made, room = PartStore.write, list[str](), 2

    def limited(self: PartStore, name: str, *pieces: bytes) -> None:
        if name.startswith("copy-"):
            if len(made) == room:
                raise OutputError("the disk is full") from OSError(28, "No space left on device")
            made.append(name)
        write(self, name, *pieces)

    monkeypatch.setattr(PartStore, "write", limited)
    with pytest.raises(OutputError, match="the disk is full"):
        skim(sources, tmp_path / "out.root", MUONS)
    assert not list(tmp_path.glob("*out.root*.part")) and not (tmp_path / "out.root").exists()
    room = 1000
    skim(sources, tmp_path / "out.root", MUONS)
    assert len(made) == len(set(made)) > 4
    with uproot.open(tmp_path / "whole.root") as old, uproot.open(tmp_path / "out.root") as new:
        assert old["Events"].num_entries > 50
        assert_same_tree(old["Events"], new["Events"], np.ones(old["Events"].num_entries, bool), added=[])


def test_an_input_whose_books_cannot_be_read_is_told_as_a_whole(sources, tmp_path):
    spoil(sources[1], "genEventSumw", 0, tree="Runs", header=True)
    with pytest.raises(
        UnreadableEventsError, match=r"1\.root: tree Runs, branch genEventSumw, entries 0 to 0 cannot"
    ) as caught:
        skim(sources, tmp_path / "out.root", MUONS)
    fault = caught.value
    assert (fault.source, fault.first, fault.last, fault.whole) == (1, 0, 199, True)


def test_an_input_that_is_gone_is_told_with_its_entries(sources, tmp_path, monkeypatch):
    write = outputs.OutputWriter.write

    def lose(self: outputs.OutputWriter, *args, **options) -> outputs.Written:
        Path(sources[1]).unlink()
        return write(self, *args, **options)

    monkeypatch.setattr(outputs.OutputWriter, "write", lose)
    with uproot.open({sources[1]: "Events"}) as tree:
        kept = np.flatnonzero(tree["nMuon"].array(library="np") > 0)
    with pytest.raises(UnreadableEventsError, match=r"1\.root: cannot be read") as caught:
        skim(sources, tmp_path / "out.root", MUONS)
    fault = caught.value
    assert (fault.source, fault.first, fault.last, fault.whole) == (1, kept[0], kept[-1], True)


def test_an_output_that_reads_back_otherwise_does_not_appear(sources, tmp_path, monkeypatch):
    seen = []

    def refuse(partial: Path, path: Path, tree: str, events: int) -> None:
        seen.append((partial.exists(), path.exists(), path.name, tree, events))
        if len(seen) == 2:
            raise OutputError("not as written")

    monkeypatch.setattr(outputs, "refuse_unlike", refuse)
    with pytest.raises(OutputError, match="not as written"):
        skim(sources, tmp_path / "out.root", Recipe(where="nMuon > 0", split_events=60))
    assert seen == [(True, False, f"out_{number}.root", "Events", 60) for number in (1, 2)]
    assert not list(tmp_path.glob("*out_*"))
