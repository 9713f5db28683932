"""Files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from hepfilter.errors import OutputError
from hepfilter.io.publishing import Publication, refuse_output, remove_unfinished, unfinished, write_whole


def test_devices_and_dangling_links_are_no_outputs(tmp_path):
    with pytest.raises(OutputError, match=r"/dev/null: is no plain file"):
        refuse_output(Path("/dev/null"), force=True)
    (tmp_path / "link.root").symlink_to(tmp_path / "gone.root")
    with pytest.raises(OutputError, match=r"link.root: exists"):
        refuse_output(tmp_path / "link.root", force=False)
    refuse_output(tmp_path / "new.root", force=False)


def test_force_replaces_files_and_links_but_no_folder(tmp_path):
    (tmp_path / "folder.root").mkdir()
    (tmp_path / "file.root").write_text("older")
    (tmp_path / "to_file.root").symlink_to(tmp_path / "file.root")
    (tmp_path / "to_folder.root").symlink_to(tmp_path / "folder.root")
    (tmp_path / "to_nothing.root").symlink_to(tmp_path / "gone.root")
    for name in ("folder.root", "to_folder.root"):
        for force in (True, False):
            with pytest.raises(OutputError, match=rf"{name}: is no plain file; give another name"):
                refuse_output(tmp_path / name, force=force)
    for name in ("file.root", "to_file.root", "to_nothing.root"):
        refuse_output(tmp_path / name, force=True)
        with pytest.raises(OutputError, match=rf"{name}: exists; .* or --force to replace it"):
            refuse_output(tmp_path / name, force=False)
    with pytest.raises(OutputError, match=r"a\.root: there is no folder .*gone; make it first"):
        refuse_output(tmp_path / "gone" / "a.root", force=True)


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_its_name_after(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def spy(number: int) -> None:
        synced.append((os.fstat(number).st_ino, (tmp_path / "a.root").exists()))
        sync(number)

    monkeypatch.setattr(os, "fsync", spy)
    (tmp_path / "a.part").write_text("whole")
    with Publication() as publication:
        publication.add(tmp_path / "a.part", tmp_path / "a.root")
        assert publication.unpublished(tmp_path / "a.root") == tmp_path / "a.part"
        assert synced == []
    assert synced == [((tmp_path / "a.root").stat().st_ino, False), (tmp_path.stat().st_ino, True)]
    assert (tmp_path / "a.root").read_text() == "whole"


def test_a_disk_that_is_full_at_last_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(number: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "a.part").write_text("whole")
    told = pytest.raises(OutputError, match=r"a\.root: cannot be written: No space left on device")
    with told, Publication() as publication:
        publication.add(tmp_path / "a.part", tmp_path / "a.root")
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_whole_takes_the_place_of_an_older_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    write_whole(path, b"one ", b"", b"two")
    assert path.read_bytes() == b"one two"

    def full(number: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    for remedy, said in (({}, "nothing is left behind"), ({"remedy": "make room"}, "make room")):
        with pytest.raises(OutputError) as caught:
            write_whole(path, b"another", **remedy)
        assert str(caught.value) == f"{path}: cannot be written: No space left on device; {said}"
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"one two"]


def test_what_killed_processes_left_is_found_by_the_names_of_files(tmp_path):
    kept = [tmp_path / name for name in ("a.part", "b.root", ".a.part", ".x.root.part", ".a.part.012345.part")]
    for path in (*kept, unfinished(tmp_path / "a.part"), unfinished(tmp_path / "b.part")):
        path.write_bytes(b"")
    remove_unfinished(tmp_path, "*.root")
    assert len(list(tmp_path.iterdir())) == len(kept) + 2
    remove_unfinished(tmp_path, "*.part")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    remove_unfinished(tmp_path / "gone", "*")
