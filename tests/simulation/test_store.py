"""Blocks on disk."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.config.card import Card
from hepfilter.errors import OutputError
from hepfilter.simulation import store as store_module
from hepfilter.simulation.blocks import BlockTask, MadeBlock
from hepfilter.simulation.nano import NanoBlock
from hepfilter.simulation.store import BlockStore, finished_blocks, open_store

CARD = Card(name="own@7.5", title="own", family="own", is_signal=False, label=5, settings=("HardQCD:all = on",))
TASK = BlockTask(CARD, seed=1, block=2, events=5, particles=False, pileup=0.0)


def _block(counts: tuple[int, ...] = (2, 0, 1)) -> MadeBlock:
    """A block of as many events as there are counts, of five that were generated; with a collection without objects."""
    rng, total = np.random.default_rng(4), sum(counts)
    columns = NanoBlock(
        len(counts),
        {"MET_pt": rng.exponential(size=len(counts)).astype(np.float32), "flag": np.ones(len(counts), dtype=bool)},
        {"Jet": np.array(counts, dtype=np.int64), "Muon": np.zeros(len(counts), dtype=np.int64)},
        {
            "Jet": {"pt": rng.exponential(size=total).astype(np.float32), "charge": np.arange(total, dtype=np.int32)},
            "Muon": {"pt": np.zeros(0, dtype=np.float32)},
        },
    )
    return MadeBlock(columns, np.arange(len(counts)) + 1, np.linspace(0.5, 1.5, 5), 1.25, 0.5)


def _same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return one.keys() == two.keys() and all(
        one[name].dtype == two[name].dtype and np.array_equal(one[name], two[name]) for name in one
    )


@pytest.mark.parametrize("counts", [(2, 0, 1), (0,), ()])
def test_a_block_comes_back_as_it_was(tmp_path: Path, counts: tuple[int, ...]) -> None:
    store, made = BlockStore(tmp_path), _block(counts)
    assert TASK not in store
    store.save(TASK, made)
    assert TASK in store
    back = store.load(TASK)
    assert back.columns.events == len(counts)
    assert _same(back.columns.scalars, made.columns.scalars)
    assert _same(back.columns.counts, made.columns.counts)
    assert back.columns.values.keys() == made.columns.values.keys()
    assert all(_same(back.columns.values[name], made.columns.values[name]) for name in made.columns.values)
    assert np.array_equal(back.place, made.place)
    assert np.array_equal(back.weights, made.weights)
    assert (back.generator_seconds, back.reconstruction_seconds) == (1.25, 0.5)
    assert [path.suffix for path in tmp_path.iterdir()] == [".block"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"block": 3},
        {"events": 6},
        {"particles": True},
        {"pileup": 1.0},
        {"card": CARD.model_copy(update={"settings": ("HardQCD:gg2gg = on",)})},
        {"card": CARD.model_copy(update={"energy_tev": 14.0})},
        {"card": CARD.model_copy(update={"detector": "atlas"})},
    ],
)
def test_another_task_has_another_file(tmp_path: Path, changes: dict[str, Any]) -> None:
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    assert replace(TASK) in store
    assert replace(TASK, **changes) not in store


def test_another_version_makes_its_own_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    monkeypatch.setattr(store_module, "_versions", lambda: {"hepfilter": "0.0.0"})
    assert TASK not in store


def test_blocks_of_another_sample_are_not_thrown_away(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    with pytest.raises(KeyboardInterrupt), open_store(output) as store:
        store.save(TASK, _block())
        raise KeyboardInterrupt
    for other in (replace(TASK, seed=2), replace(TASK, particles=True), replace(TASK, pileup=20.0)):
        said = r"o\.root\.blocks: holds 1 block of another sample, such as own@7\.5-"
        with pytest.raises(OutputError, match=said), open_store(output) as store:
            store.refuse_others([other])
    with open_store(output) as store:
        store.refuse_others([replace(TASK, seed=2), replace(TASK, block=0, events=500)])  # this process is among them
        assert TASK in store
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    (tmp_path / "o.root.blocks").mkdir()
    (tmp_path / "o.root.blocks" / "mine.txt").write_text("keep")
    with open_store(output) as store:
        store.save(TASK, _block())
        assert finished_blocks(output) == 1
    assert [path.name for path in (tmp_path / "o.root.blocks").iterdir()] == ["mine.txt"]
    assert finished_blocks(output) == 0


def _flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="half"),
        pytest.param(lambda data: data[:-1], id="without its last byte"),
        pytest.param(lambda data: b"PK\3\4" * 50, id="something else"),
        pytest.param(_flipped, id="one bit"),
    ],
)
def test_a_damaged_block_is_told_by_name(tmp_path: Path, damage: Any) -> None:
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    path = store.path(TASK)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OutputError) as caught:
        store.load(TASK)
    assert str(caught.value) == f"{path}: is damaged; remove it and run the same command again"


def test_any_bit_that_flips_is_noticed(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    path = store.path(TASK)
    sound = path.read_bytes()
    for place in np.random.default_rng(2).integers(len(sound), size=200):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :])
        with pytest.raises(OutputError, match="is damaged"):
            store.load(TASK)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "gone")
    with pytest.raises(OutputError, match=r"own@7\.5-\w+-000002-5\.block: cannot be written: No such file"):
        store.save(TASK, _block())


def test_a_full_disk_leaves_no_part_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        BlockStore(tmp_path).save(TASK, _block())
    assert list(tmp_path.iterdir()) == []


def test_the_store_lies_beside_the_output_and_goes_when_all_is_well(tmp_path: Path) -> None:
    with open_store(tmp_path / "o.root") as store:
        assert store.folder == tmp_path / "o.root.blocks"
        store.save(TASK, _block())
        assert TASK in store
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_it_stays_for_the_same_command_to_go_on(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    with pytest.raises(KeyboardInterrupt), open_store(output) as store:
        store.save(TASK, _block())
        (store.folder / ".own-000003-0.block.0123abcd.part").write_bytes(b"half")
        raise KeyboardInterrupt
    with open_store(output) as store:
        assert TASK in store
        assert list(store.folder.glob("*.part")) == []
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_without_any_block_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_store(tmp_path / "o.root"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_two_runs_cannot_make_the_same_output(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    with open_store(output) as store:
        store.save(TASK, _block())
        with pytest.raises(OutputError, match=r"o\.root: another run is making it; wait for it"), open_store(output):
            pass
        assert TASK in store  # the refused one has touched nothing
        with open_store(tmp_path / "other.root"):
            pass
    with open_store(output) as store:
        assert TASK not in store


def test_a_place_where_no_folder_can_be(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"o\.root: there is no folder .*gone; make it first"),
        open_store(tmp_path / "gone" / "o.root"),
    ):
        pass
    (tmp_path / "o.root.blocks").write_text("a file of the same name")
    with pytest.raises(OutputError, match="cannot be made: File exists"), open_store(tmp_path / "o.root"):
        pass
    assert (tmp_path / "o.root.blocks").read_text() == "a file of the same name"


def test_a_folder_that_vanishes_is_no_error_at_the_end(tmp_path: Path) -> None:
    with open_store(tmp_path / "o.root") as store:
        shutil.rmtree(store.folder)
    assert list(tmp_path.iterdir()) == []


def test_a_block_is_named_by_process_digest_place_and_size(tmp_path: Path) -> None:
    name, digest, block, events = BlockStore(tmp_path).path(TASK).name.removesuffix(".block").split("-")
    assert (name, block, events) == ("own@7.5", "000002", "5")
    assert len(digest) == 24 and set(digest) <= set("0123456789abcdef")
    others = [replace(TASK, block=0, events=500), replace(TASK, seed=9)]
    digests = [BlockStore(tmp_path).path(other).name.split("-")[1] for other in others]
    assert [other == digest for other in digests] == [True, False]


def test_the_lock_is_a_file_of_the_folder_and_a_dead_one_holds_nobody_up(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    (tmp_path / "o.root.blocks").mkdir()
    (tmp_path / "o.root.blocks" / "lock").write_text("left by a run that was killed")
    with open_store(output) as store:
        assert [path.name for path in store.folder.iterdir()] == ["lock"]
        assert finished_blocks(output) == 0
    assert list(tmp_path.iterdir()) == []


def test_blocks_of_a_process_that_is_wanted_no_more_are_another_sample(tmp_path: Path) -> None:
    second = replace(TASK, card=CARD.model_copy(update={"name": "second"}))
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    store.save(second, _block())
    store.refuse_others([second, TASK])
    with pytest.raises(OutputError, match=r": holds 1 block of another sample, such as second-\w+-000002-5\.block; "):
        store.refuse_others([TASK])
    with pytest.raises(OutputError, match=r": holds 2 blocks of another sample, such as own@7\.5-"):
        store.refuse_others([])
    assert TASK in store and second in store
