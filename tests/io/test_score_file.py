"""The file of scores: written in pieces, read back the same, and never believed when it is damaged."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
import xxhash

from hepfilter.errors import OutputError, SourceError, UsageError
from hepfilter.events.identity import Identity
from hepfilter.io.score_facts import FACTS, ScoredFile, ScoreFacts, facts_text, parse_facts
from hepfilter.io.score_file import StoredScores, create_scores, read_scores

SUFFIXES = ("parquet", "root")
NAMES = ("interest", "density")
ENTRIES = (250, 0, 100)
HASH = "0123456789abcdef" * 2


def file_number(number: int, entries: int, **changes: Any) -> ScoredFile:
    facts: dict[str, Any] = {
        "path": f"data/{number}.root", "dataset": "muons" if number else None, "size": 1000 + number, "tree": "Events",
        "uuid": f"11111111-2222-3333-4444-00000000000{number}", "checksum": f"{number:032x}", "entries": entries,
        "schema_name": "nanoaod", "schema_checksum": HASH, "weighted": True, "problems": {"jet: no finite pt": 3},
        "absent": ("tau",), "warnings": ("a note",),
    }  # fmt: skip
    return ScoredFile(**(facts | changes))


def facts_of(files: tuple[ScoredFile, ...]) -> ScoreFacts:
    return ScoreFacts(
        hepfilter="0", model="mine", model_hash=HASH, calibration_hash=None, device_class="cpu float32", names=NAMES,
        extrapolated_below={}, datasets={"muons": {"kind": "mc", "cross_section": 1.5, "luminosity": None}},
        files=files,
    )  # fmt: skip


FILES = tuple(file_number(number, entries) for number, entries in enumerate(ENTRIES))


def columns_of(count: int, seed: int) -> tuple[Identity, Any, Any, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    who = Identity(
        rng.integers(0, 2**32, count, dtype=np.uint32),
        rng.integers(0, 2**32, count, dtype=np.uint32),
        rng.integers(0, 2**64, count, dtype=np.uint64),
    )
    scores = {name: (np.rint(rng.normal(0, 4000, count)) / 1024).astype(np.float32) for name in NAMES}
    return who, rng.normal(1, 3, count), rng.random(count) < 0.9, scores


def write(path: Path, *, step: int = 60, facts: ScoreFacts | None = None) -> Path:
    """All rows, in pieces of `step`."""
    with create_scores(path, NAMES) as writer:
        for number, entries in enumerate(ENTRIES):
            who, weights, there, scores = columns_of(entries, number)
            writer.begin_file(FILES[number].path, FILES[number].uuid, FILES[number].dataset)
            for start in range(0, entries, step):
                some = slice(start, start + step)
                part = Identity(who.run[some], who.luminosity_block[some], who.event[some])
                writer.append(part, weights[some], there[some], {name: scores[name][some] for name in NAMES})
        writer.finish(facts or facts_of(FILES))
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_read_is_what_was_written(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("hepfilter.io.score_parquet._ROWS", 80)
    found = read_scores(write(tmp_path / f"s.{suffix}"))
    assert found.facts == facts_of(FILES) and found.starts == (0, 250, 250, 350)
    whole = [columns_of(entries, number) for number, entries in enumerate(ENTRIES)]
    assert found.identity is not None and found.weights is not None
    for name in ("run", "luminosity_block", "event"):
        expected = np.concatenate([getattr(who, name) for who, *_ in whole])
        assert getattr(found.identity, name).dtype == expected.dtype
        assert np.array_equal(getattr(found.identity, name), expected)
    assert found.weights.tobytes() == np.concatenate([weights for _, weights, _, _ in whole]).tobytes()
    assert np.array_equal(found.has_objects, np.concatenate([there for _, _, there, _ in whole]))
    for name in NAMES:
        assert found.scores[name].tobytes() == np.concatenate([scores[name] for *_, scores in whole]).tobytes()
    short = read_scores(tmp_path / f"s.{suffix}", identified=False)
    assert short.identity is None and short.weights is None and short.facts == found.facts
    assert list(tmp_path.iterdir()) == [tmp_path / f"s.{suffix}"]


def test_others_read_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr("hepfilter.io.score_parquet._ROWS", 80)
    parquet = pq.ParquetFile(write(tmp_path / "s.parquet"))
    assert parquet.num_row_groups >= 3  # of bounded size
    rows = parquet.read().to_pydict()
    with uproot.open(write(tmp_path / "s.root")) as file:
        tree = file["Scores"].arrays(library="np")
        assert json.loads(str(file[FACTS]))["facts"] == json.loads(parquet.metadata.metadata[FACTS.encode()])["facts"]
    assert set(rows) == {*tree, "path", "uuid", "dataset"}
    assert all(np.array_equal(rows[name], tree[name]) for name in tree)
    assert rows["file"] == [0] * 250 + [2] * 100 and rows["entry"] == [*range(250), *range(100)]
    assert rows["path"] == ["data/0.root"] * 250 + ["data/2.root"] * 100
    assert rows["dataset"] == [None] * 250 + ["muons"] * 100 and rows["uuid"][-1] == FILES[2].uuid


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pieces_leave_no_trace_and_no_rows_are_rows(tmp_path, suffix):
    one, other = (read_scores(write(tmp_path / f"{step}.{suffix}", step=step)) for step in (7, 1000))
    assert one.scores["interest"].tobytes() == other.scores["interest"].tobytes() and one.facts == other.facts
    with create_scores(tmp_path / f"none.{suffix}", NAMES) as writer:
        writer.begin_file("none.root", "", None)
        writer.finish(facts_of((file_number(0, 0, uuid=""),)))
    empty = read_scores(tmp_path / f"none.{suffix}")
    assert len(empty.scores["interest"]) == 0 and empty.facts.entries == 0


def test_entries_are_found_by_uuid_and_refused_when_changed(tmp_path):
    found = read_scores(write(tmp_path / "s.parquet"))
    moved = found.for_file(FILES[2].uuid, "Events", 100, path="elsewhere/x.root", checksum=FILES[2].checksum)
    assert moved.file == FILES[2]
    assert moved.scores["density"].tobytes() == found.scores["density"][250:].tobytes()
    assert np.array_equal(moved.has_objects, found.has_objects[250:])
    assert len(found.for_file(FILES[1].uuid, "Events", 0, path="x").has_objects) == 0
    changed = r"^x\.root: changed since .*s\.parquet was made of it; score it anew$"
    with pytest.raises(SourceError, match=changed):
        found.for_file(FILES[2].uuid, "Events", 101, path="x.root")
    with pytest.raises(SourceError, match=changed):
        found.for_file(FILES[2].uuid, "Events", 100, path="x.root", checksum=HASH)
    with pytest.raises(SourceError, match=r"^data/2\.root: changed since"):  # made anew under its old name
        found.for_file("9" * 36, "Events", 100, path="data/2.root")
    with pytest.raises(SourceError, match=r"^y\.root: tree Events has no scores in .*s\.parquet; score it too$"):
        found.for_file("9" * 36, "Events", 100, path="y.root")
    with pytest.raises(SourceError, match=r"tree Other has no scores"):
        found.for_file(FILES[2].uuid, "Other", 100, path="x.root")


def test_files_without_a_uuid_are_told_apart_by_their_checksums(tmp_path):
    nobody = "00000000-0000-0000-0000-000000000000"
    files = tuple(file.model_copy(update={"uuid": nobody}) for file in FILES)
    found = read_scores(write(tmp_path / "s.parquet", facts=facts_of(files)))
    for number, entries in enumerate(ENTRIES):
        one = found.for_file(nobody, "Events", entries, path="moved.root", checksum=files[number].checksum)
        assert one.file == files[number] and len(one.has_objects) == entries
    with pytest.raises(SourceError, match=r"^new\.root: tree Events has no scores"):
        found.for_file(nobody, "Events", 7, path="new.root", checksum=HASH)


def fault_of(path: Path, good: StoredScores) -> str:
    """What is said of a damaged file; nothing where the damage is in what nobody asks for: what is read is right."""
    try:
        found = read_scores(path)
    except SourceError as error:
        return str(error)
    assert found.facts == good.facts
    assert all(found.scores[name].tobytes() == good.scores[name].tobytes() for name in NAMES)
    return ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_damage_is_one_line(tmp_path, suffix):
    path = write(tmp_path / f"s.{suffix}")
    whole, good = path.read_bytes(), read_scores(path)
    rng, refused = np.random.default_rng(1), 0
    cuts = [whole[:size] for size in (0, 3, 40, len(whole) // 2, len(whole) - 1)]
    for number in range(200 + len(cuts)):
        if number < len(cuts):
            damaged = bytearray(cuts[number])
        else:
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        said = fault_of(path, good)
        assert "\n" not in said and said.startswith(f"{path}: " if said or number < len(cuts) else "")
        refused += bool(said)
    assert refused > 100


def test_foreign_files_are_told(tmp_path):
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "other.parquet")
    with uproot.recreate(tmp_path / "other.root") as file:
        file["Scores"] = {"x": np.arange(3)}
    (tmp_path / "text.parquet").write_text("no scores at all")
    for name, what in (("other.parquet", "holds no scores;"), ("other.root", "holds no scores;"),
                       ("text.parquet", "which are Parquet or ROOT"), ("none.parquet", "cannot be read: No such file"),
                       (".", "is no plain file")):  # fmt: skip
        with pytest.raises(SourceError, match=what):
            read_scores(tmp_path / name)


def signed(content: dict[str, Any]) -> str:
    """The text with a checksum that fits."""
    content = {key: value for key, value in content.items() if key != "checksum"}
    return json.dumps(content | {"checksum": xxhash.xxh3_128_hexdigest(json.dumps(content).encode())})


def test_rows_that_are_not_those_that_it_names_are_told(tmp_path):
    path = write(tmp_path / "s.parquet")
    table = pq.read_table(path)
    content = json.loads(table.schema.metadata[FACTS.encode()])
    content["facts"]["files"][0]["entries"] += 1
    pq.write_table(table.replace_schema_metadata({FACTS: signed(content)}), path)
    with pytest.raises(SourceError, match=r"s\.parquet: has 350 rows for 351 events"):
        read_scores(path)
    content["facts"]["files"][0]["entries"] -= 1
    for column, said in (
        ("event", "event holds no uint64"),
        ("HepFilter_density", "HepFilter_density holds no float32"),
    ):
        pq.write_table(table.drop_columns(column).replace_schema_metadata({FACTS: signed(content)}), path)
        with pytest.raises(SourceError, match=said):
            read_scores(path)
    pq.write_table(table.sort_by("event").replace_schema_metadata({FACTS: signed(content)}), path)
    with pytest.raises(SourceError, match="column HepFilter_interest is damaged"):
        read_scores(path)


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for suffix in SUFFIXES:
        with pytest.raises(OutputError, match=f"{suffix}: cannot be written: No space left on device"):
            write(tmp_path / f"s.{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "has format 2, this version knows up to 1; update hepfilter"),
        ({"facts": {"names": ["interest", "../x"]}}, "names"),
        ({"facts": {"names": ["density"]}}, "interest is the first"),
        ({"facts": {"model_hash": "x"}}, "model_hash"),
        ({"facts": {"later": 1}}, "later"),
        ({"columns": {"run": 1}}, "columns"),
    ],
)
def test_what_it_says_of_itself_is_not_trusted(change, said):
    content = json.loads(facts_text(facts_of(FILES), {"run": HASH}))
    for key, value in change.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    with pytest.raises(SourceError, match="damaged" if "format" not in change else said):
        parse_facts(json.dumps(content), where="s.parquet")
    with pytest.raises(SourceError, match=said) as caught:
        parse_facts(signed(content), where="s.parquet")
    assert str(caught.value).startswith("s.parquet: ") and "\n" not in str(caught.value)


def test_reports_show_nothing_that_steers_a_terminal():
    file = file_number(0, 1, warnings=("\x1b[2Jgone",), problems={"a\nb": 1})
    assert file.warnings == ("?[2Jgone",) and file.problems == {"a?b": 1}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_whole_never_appears(tmp_path, suffix):
    path = tmp_path / f"s.{suffix}"
    with pytest.raises(RuntimeError), create_scores(path, NAMES) as writer:
        writer.begin_file("a.root", "", None)
        writer.append(*columns_of(10, 1))
        raise RuntimeError
    with pytest.raises(OutputError, match="was not finished"), create_scores(path, NAMES):
        pass
    with pytest.raises(OutputError, match=r"events written: 350, read: 351"):
        write(path, facts=facts_of((*FILES[:2], FILES[2].model_copy(update={"entries": 101}))))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "no" / f"s.{suffix}")
    with pytest.raises(UsageError, match=r"s\.csv: scores are written as \.parquet or \.root"):
        write(tmp_path / "s.csv")
