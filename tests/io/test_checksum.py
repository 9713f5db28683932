"""What tells one input from another."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hepfilter.errors import DifferentInputsError, SourceError
from hepfilter.io.checksum import FileFacts, file_facts, open_unchanged, refuse_copy
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root


def facts(path: Path) -> FileFacts:
    with open_file(Source(str(path))) as file:
        return file_facts(file)


def make(path: Path, clusters: int = 2) -> Path:
    with create_root(path, compression="none") as out:
        for name in ("Events", "Runs"):
            with out.new_tree(name, [Column("x", "int32")]) as tree:
                for numbers in np.split(np.arange(12), clusters):
                    tree.extend({"x": numbers})
                    tree.writer.flush()
        out.write_string("tag", "text")
    return path


def test_a_byte_copy_is_the_same_and_a_second_writing_is_not(tmp_path):
    first, again = make(tmp_path / "a.root"), make(tmp_path / "b.root")
    (tmp_path / "copy.root").write_bytes(first.read_bytes())
    assert facts(first) == facts(first) == facts(tmp_path / "copy.root")
    assert facts(first).uuid != facts(again).uuid
    assert facts(first).checksum != facts(again).checksum
    assert facts(first).size == first.stat().st_size
    assert len(facts(first).checksum) == 32


def test_a_copy_is_refused_and_another_tree_of_a_file_is_not(tmp_path):
    path = make(tmp_path / "a.root")
    (tmp_path / "copy.root").write_bytes(path.read_bytes())
    seen: dict[tuple[str, str], str] = {}
    with open_file(Source(str(path))) as file:
        for tree in ("Events", "Runs", "Events"):
            refuse_copy(file, tree, seen)
    with open_file(Source(str(tmp_path / "copy.root"))) as file:
        refuse_copy(file, "Other", seen)
        with pytest.raises(DifferentInputsError, match=r"copy\.root: is a copy of .*a\.root, its events would count"):
            refuse_copy(file, "Runs", seen)


def test_files_without_a_uuid_are_no_copies_of_each_other():
    seen: dict[tuple[str, str], str] = {}
    for none in ("", "00000000-0000-0000-0000-000000000000"):
        for path in "ab":
            refuse_copy(SimpleNamespace(uuid=none, path=path), "Events", seen)
    assert not seen


def test_any_change_of_header_keys_and_tree_records_is_seen(tmp_path):
    path = make(tmp_path / "a.root")
    known, data = facts(path), path.read_bytes()
    with open_file(Source(str(path))) as file:
        places = [40, 60, *(file.entries[name].position + 100 for name in ("Events", "Runs"))]
        keys = data.rindex(b"\x0aTObjString\x03tag")
    for at in [*places, keys + 13]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert facts(path) != known, at
    path.write_bytes(data)
    assert facts(path) == known


def test_what_the_baskets_hold_is_not_read(tmp_path):
    path = make(tmp_path / "a.root")
    known, data = facts(path), bytearray(path.read_bytes())
    with open_file(Source(str(path))) as file:
        file_facts(file)
        assert file.source.read < len(data) * 0.9
        stored = file.tree("Events").branches[0].stored
    assert stored is not None
    data[int(stored.seeks[0] + stored.sizes[0]) - 1] ^= 1
    path.write_bytes(data)
    assert facts(path) == known


def test_a_tree_whose_record_is_gone_is_a_source_error(tmp_path):
    path = make(tmp_path / "a.root")
    with open_file(Source(str(path))) as file:
        position = file.entries["Runs"].position
    data = bytearray(path.read_bytes())
    data[position : position + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=rf"a\.root: the record at byte {position} cannot be read"):
        facts(path)


def test_real_files_are_all_different(shared_data):
    paths = sorted(shared_data.glob("*.root"))
    assert len({facts(path).checksum for path in paths}) == len(paths) > 20


def test_a_file_that_is_another_now_is_refused(tmp_path):
    source = Source(str(make(tmp_path / "a.root")))
    known = facts(Path(source.path))
    for expected in (known, None):
        with open_unchanged(source, expected) as file:
            assert file.table_names == ("Events", "Runs")
    make(tmp_path / "a.root")
    with pytest.raises(SourceError, match=r"a\.root: changed since its events were chosen"):
        open_unchanged(source, known).__enter__()
