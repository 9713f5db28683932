"""Data files by chance: scores as Parquet and ROOT, tables in HDF5, and what an output says of itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.io.lhco import create_table, read_rows
from hepfilter.io.reading import open_file
from hepfilter.io.score_facts import parse_facts
from hepfilter.io.score_file import read_scores
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.inspection import inspect_file
from hepfilter.skim.merge_inputs import common_tree
from hepfilter.skim.merging import merge
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.provenance import PROVENANCE
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger
from tests.fuzzing.harness import JSON, altered, damaged, examples, survives
from tests.io.test_score_file import write as write_scores
from tests.nano import make_nano
from tests.skim.proof.faults import rewrite
from tests.trigger.test_lock import MENU

h5py = pytest.importorskip("h5py")
STEPS = [{"name": "read", "events": 10, "weight": 5.5}, {"name": "where", "events": 4, "weight": None}]
FACTS: dict[str, Any] = {
    "format": 1,
    "hepfilter": "0",
    "command": ["hepfilter", "skim"],
    "recipe": {
        "where": "nMuon >= 1", "schema": "nanoaod", "lumi_mask": "m.json", "dataset_masks": {"a": "n.json"},
        "events": "e.txt", "model": "interest-objects", "layout": "union", "fills": {"a": -1, "b": 0.5},
        "split_events": 40, "keep_branches": ["Jet_*"], "compression": "ZSTD:5", "format": "ttree",
        "trigger": Trigger(MENU, {"anomaly": 2 / 3, "rare": 9.2}).plain(),
    },
    "files": {"m.json": "0123"},
    "datasets": {},
    "inputs": [{
        "path": "a.root", "dataset": None, "schema": "nanoaod", "tree": "Events", "uuid": "u", "size": 12,
        "checksum": "c", "cutflow": STEPS, "absent": ["tau"],
    }],
    "outputs": [{"path": "out.root", "events": 4, "from_inputs": [4]}],
    "output": 0,
    "warnings": [],
    "problems": {},
    "model_hash": "a" * 32,
    "device_class": "cpu",
    "scores": ["interest"],
    "threshold": 0.5,
}  # fmt: skip
SHARE = {**FACTS, "recipe": {"keep": "1/100", "model": "x"}}
MERGED = {"format": 1, "parts": [FACTS, SHARE]}


def made(path: Path, text: str) -> Path:
    """A small output that says this of itself."""
    with create_root(path) as out:
        with out.new_tree("Events", [Column("run", "uint32")]) as tree:
            tree.extend({"run": np.array([1, 2])})
        out.write_string(PROVENANCE, text)
    return path


def parts_of(path: Path) -> tuple[Part, ...]:
    """The parts, and all that verify, merge and inspect ask of them."""
    source = Source(str(path))
    with open_file(source) as file:
        parts = read_parts(file)
    for part in parts:
        said = (part.tree, part.counts, part.starts, part.model_hash, part.scores, part.menu, part.calibration_hash)
        assert part.skim and said and part.cutflow()
        assert all(isinstance(path, str) for path in part.recipe.files)
        part.recipe.facts()
    if parts:
        common_tree([source], [parts])
    return parts


def test_these_facts_can_be_read(tmp_path: Path) -> None:
    for facts in (FACTS, SHARE, MERGED):
        assert parts_of(made(tmp_path / "out.root", json.dumps(facts)))


@pytest.mark.parametrize("plain", [FACTS, SHARE, MERGED], ids=["menu", "share", "merged"])
@examples(50)
@given(data=st.data())
def test_what_an_output_says_of_itself(plain: Any, tmp_path: Path, data: st.DataObject) -> None:
    path = made(tmp_path / "out.root", json.dumps(data.draw(altered(plain) | JSON)))
    survives(lambda: parts_of(path))
    survives(lambda: inspect_file(Source(str(path))))


@pytest.fixture(scope="module")
def skimmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two outputs of one skim."""
    folder = tmp_path_factory.mktemp("skim")
    report = skim([make_nano(folder / "in.root", 30)], folder / "out.root", Recipe(where="nMuon >= 1", split_events=12))
    first, second, *_ = report.outputs
    return Path(first.path), Path(second.path)


@examples(12)
@given(data=st.data())
def test_verify_and_merge_of_outputs_that_say_anything(
    skimmed: tuple[Path, Path], tmp_path: Path, data: st.DataObject
) -> None:
    def change(facts: dict[str, Any]) -> None:
        other = data.draw(altered(dict(facts)))
        facts.clear()
        facts.update(other if isinstance(other, dict) else {})

    bad = Source(str(rewrite(skimmed[0], tmp_path / "bad.root", provenance=change)))
    merged = tmp_path / "merged.root"
    merged.unlink(missing_ok=True)
    survives(lambda: verify([bad]))
    survives(lambda: merge([bad, Source(str(skimmed[1]))], merged))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 1, "parts": ' + "[" * 985 + "]" * 985 + "}", "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (json.dumps({**FACTS, "recipe": {"keep": "1e999999999"}}), "give a share"),
        (json.dumps({**FACTS, "recipe": {"keep": 0}}), "share must lie above 0"),
        (json.dumps({**FACTS, "recipe": {"where": 5}}), "recipe: key 'where': Input should be a valid string"),
        (json.dumps({**FACTS, "recipe": {"events": ["x"]}}), "recipe: key 'events': Input should be a valid string"),
        (json.dumps({**FACTS, "scores": 5}), "key 'scores': Input should be a valid tuple"),
        (json.dumps({**FACTS, "model_hash": 5}), "key 'model_hash': Input should be a valid string"),
        (json.dumps({**FACTS, "files": []}), "key 'files': Input should be a valid dictionary"),
        (json.dumps({**FACTS, "inputs": [{**FACTS["inputs"][0], "size": float("inf")}]}), "key 'inputs.0.size'"),
        (json.dumps({**FACTS, "inputs": [{**FACTS["inputs"][0], "absent": 5}]}), "key 'inputs.0.absent'"),
        (json.dumps({**FACTS, "output": float("inf")}), "key 'output'"),
        ('{"format": "\\u001b[2J"}', "cannot be read"),
        ("[]", "cannot be read"),
        ("\x00", "not"),
    ],
)
def test_provenance_that_crashed_or_could(text: str, said: str, tmp_path: Path) -> None:
    message = survives(lambda: parts_of(made(tmp_path / "out.root", text)))
    assert message is not None and PROVENANCE in message and (said in message or said == "not")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each kind."""
    folder = tmp_path_factory.mktemp("samples")
    with create_table(folder / "t.h5", labelled=True) as table:
        table.append(np.zeros((130, 2101), np.float32))
    found = {kind: write_scores(folder / f"s.{kind}").read_bytes() for kind in ("parquet", "root")}
    return {**found, "h5": (folder / "t.h5").read_bytes()}


def rows_of(path: Path) -> Iterator[int]:
    for rows in read_rows(path):
        yield len(rows)


@pytest.mark.parametrize("kind", ["parquet", "root", "h5"])
@examples(60)
@given(data=st.data())
def test_damaged_files(kind: str, samples: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    raw = samples[kind]
    start = data.draw(st.sampled_from((0, max(0, len(raw) - 2500))))  # the outlines stand at both ends
    stop = min(len(raw), start + 4000)
    path = tmp_path / f"x.{kind}"
    path.write_bytes(raw[:start] + data.draw(damaged(raw[start:stop])) + raw[stop:])
    survives(lambda: list(rows_of(path)) if kind == "h5" else read_scores(path))


@examples(80)
@given(data=st.data())
def test_what_scores_say_of_themselves(samples: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    raw = samples["parquet"]
    start = raw.index(b'{"format"')
    plain = json.JSONDecoder().raw_decode(raw[start:].decode("utf-8", "replace"))[0]
    del plain["checksum"]
    changed = data.draw(altered(plain) | JSON)
    if isinstance(changed, dict):
        changed = {**changed, "checksum": xxhash.xxh3_128_hexdigest(json.dumps(changed).encode())}
    survives(lambda: parse_facts(json.dumps(changed), where="s.parquet"))


def test_a_table_that_is_mostly_not_there(tmp_path: Path) -> None:
    claims: list[tuple[dict[str, Any], str]] = [
        ({"shape": (10**13, 2100), "chunks": (64, 2100)}, "says that it has 10,000,000,000,000 rows"),
        ({"shape": (10**9, 2100)}, "says that it has 1,000,000,000 rows"),
        ({"shape": (10**6, 2100), "chunks": (500_000, 2100)}, "write smaller ones"),
    ]
    for number, (claim, said) in enumerate(claims):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("df/block0_values", dtype="f4", **claim)
        assert path.stat().st_size < 10_000
        message = survives(lambda path=path: list(rows_of(path)))
        assert message is not None and said in message


def test_a_file_of_many_tables_is_told_in_few_words(tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for number in range(500):
            file.create_dataset(f"\x1b[2Jtable{number}", data=np.zeros((1, 3)))
    message = survives(lambda: list(rows_of(path)))
    assert message is not None and len(message) < 1500 and message.endswith(", …")
