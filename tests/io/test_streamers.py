"""The class descriptions that a file carries."""

import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError, SourceError
from hepfilter.io import output
from hepfilter.io.compression import unpack
from hepfilter.io.container import RootFile
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.streamers import _OURS, described_classes, streamers
from hepfilter.io.writing import create_root, write_string
from tests.io.copies import copy


def test_real_files_describe_what_uproot_says_they_do(shared_data):
    described = 0
    for path in sorted(shared_data.glob("*.root")):
        with open_file(Source(str(path))) as file, uproot.open(path) as wanted:
            infos = wanted.file.streamers if file.directory.info else {}
            theirs = {(name, version) for name, versions in infos.items() for version in versions if name not in _OURS}
            found = described_classes(file)
            assert {(name.replace(" ", ""), version) for name, version in found} == {
                (name.replace(" ", ""), version) for name, version in theirs
            }, path.name
            described += len(theirs)
    assert described > 100


def test_what_describes_a_tree_is_left_out(shared_data):
    with open_file(Source(str(shared_data / "nano_dy.root"))) as file:
        assert not {name for name, _ in described_classes(file)} & {"TTree", "TBranch", "TLeafF", "TObjArray"}


def test_files_without_descriptions(tmp_path):
    with create_root(tmp_path / "empty.root") as out:
        out.write_string("tag", "text")
    with RootFile(tmp_path / "none.root", compression=None) as out:
        write_string(out, "tag", "text")
    with open_file(Source(str(tmp_path / "empty.root"))) as file:
        assert described_classes(file) == frozenset()
        assert streamers(file) is not None
    with open_file(Source(str(tmp_path / "none.root"))) as file:
        assert described_classes(file) == frozenset()
        assert streamers(file) is None


def test_a_copy_carries_the_same_record(shared_data, tmp_path):
    source = shared_data / "treemaker.root"
    copy([source], tmp_path / "out.root", [np.ones(10, bool)], tree="PreSelection")
    with open_file(Source(str(source))) as old, open_file(Source(str(tmp_path / "out.root"))) as new:
        before, after = streamers(old), streamers(new)
        assert before is not None
        assert after is not None
        assert (before.stored, before.size, before.key) == (after.stored, after.size, after.key)
        assert described_classes(old) == described_classes(new) != frozenset()


def test_a_later_source_may_not_need_other_descriptions(shared_data, tmp_path, monkeypatch):
    seen = iter([frozenset({("A", 1)}), frozenset({("A", 1), ("B", 2), ("A", 3)})])
    monkeypatch.setattr(output, "described_classes", lambda _: next(seen))
    path = shared_data / "uproot-Zmumu.root"
    with pytest.raises(
        OutputError, match=r"Zmumu\.root: describes classes that the first input does not: A 3, B 2; skim it"
    ):
        copy([path, path], tmp_path / "out.root", [np.zeros(2304, bool)] * 2, tree="events")
    assert not (tmp_path / "out.root").exists()


def test_damaged_descriptions_are_a_source_error(shared_data, tmp_path):
    source = shared_data / "uproot-HZZ.root"
    data = source.read_bytes()
    with open_file(Source(str(source))) as file:
        record, start = streamers(file), file.directory.info
    assert record is not None
    assert len(bytes(unpack(memoryview(record.stored), record.size))) == record.size
    refused = 0
    for at in range(start, start + record.key.length + len(record.stored), 17):
        (tmp_path / "bad.root").write_bytes(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :])
        with open_file(Source(str(tmp_path / "bad.root"))) as file:
            try:
                described_classes(file)
            except SourceError as error:
                refused += "bad.root: " in str(error)
    assert refused > 20
