"""What inputs expand to."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hepfilter.errors import SourceError
from hepfilter.io.sources import Source, expand_inputs, expand_sources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.root", "a.root", "notes.txt", "sub/c.root", "sub/deep/d.root", "odd[1].root", "plain"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(*inputs: str) -> list[str]:
    return [source.path for source in expand_sources(inputs)]


def test_paths_in_the_order_given(folder: Path) -> None:
    assert expand_sources(["b.root", "a.root"]) == [Source("b.root"), Source("a.root")]


def test_wildcards_are_sorted(folder: Path) -> None:
    assert paths("?.root") == ["a.root", "b.root"]
    assert paths("**/*.root") == ["a.root", "b.root", "odd[1].root", "sub/c.root", "sub/deep/d.root"]
    assert paths("sub/*") == ["sub/c.root"]  # no folders
    assert paths(f"{folder}/[ab].root") == [f"{folder}/a.root", f"{folder}/b.root"]


def test_a_name_that_looks_like_a_wildcard(folder: Path) -> None:
    assert paths("odd[1].root") == ["odd[1].root"]


def test_a_folder_stands_for_its_root_files(folder: Path) -> None:
    assert paths(".") == ["a.root", "b.root", "odd[1].root"]
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match=r"^empty: no \*\.root file in this folder"):
        paths("empty")


def test_trees(folder: Path) -> None:
    assert expand_sources(["a.root:Events", "*b.root:dir/T", "plain:T", "sub:T"]) == [
        Source("a.root", "Events"),
        Source("b.root", "dir/T"),
        Source("plain", "T"),
        Source("sub/c.root", "T"),
    ]
    (folder / "x.root:y").touch()
    assert expand_sources(["x.root:y"]) == [Source("x.root:y")]


def test_addresses_pass(folder: Path) -> None:
    assert expand_sources(
        [
            "root://host:1094//store/a.root",
            "https://host/b.root?sig=a:b",
            "s3://bucket/c.root:Events",
            "https://h/d.root?x=1:T",
            "root://host//no_suffix",
        ]
    ) == [
        Source("root://host:1094//store/a.root"),
        Source("https://host/b.root?sig=a", "b"),
        Source("s3://bucket/c.root", "Events"),
        Source("https://h/d.root?x=1", "T"),
        Source("root://host//no_suffix"),
    ]
    with pytest.raises(SourceError, match="wildcards in addresses are not expanded"):
        paths("root://host//store/*.root")


def test_lists(folder: Path) -> None:
    (folder / "list.txt").write_text("# comment\n\nb.root   # why\n  a.root:T\nsub/*.root\nroot://h//x#1.root\n")
    assert expand_sources(["@list.txt"]) == [
        Source("b.root"),
        Source("a.root", "T"),
        Source("sub/c.root"),
        Source("root://h//x#1.root"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"@list\.txt: the list names no file"),
        ("missing.root", r"list\.txt: missing\.root: no such file"),
        ("@other.txt", r"list\.txt: @other\.txt: a list cannot name another list"),
    ],
)
def test_lists_that_are_refused(folder: Path, text: str, message: str) -> None:
    (folder / "list.txt").write_text(text)
    with pytest.raises(SourceError, match=message):
        paths("@list.txt")


def test_list_that_cannot_be_read(folder: Path) -> None:
    (folder / "list.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SourceError, match=r"^@list\.txt: is no UTF-8 text"):
        paths("@list.txt")
    with pytest.raises(SourceError, match=r"^@lost\.txt: cannot be read: No such file .*nearest: list\.txt"):
        paths("@lost.txt")


def test_a_list_without_end_is_refused_at_once() -> None:
    with pytest.raises(SourceError, match=r"^@/dev/zero: is no plain file"):
        paths("@/dev/zero")


def test_a_list_may_come_through_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=("a.root\n",))
    writer.start()
    assert paths("@pipe") == ["a.root"]
    writer.join(10)


def test_what_is_not_there_names_what_is(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"^sub/cc\.root: no such file; nearest: c\.root$"):
        paths("sub/cc.root")
    with pytest.raises(SourceError, match=r"^no/where/c\.root: no such file; the folder no does not exist$"):
        paths("no/where/c.root")
    with pytest.raises(SourceError, match=r"^z\*\.root: matches no file"):
        paths("z*.root")
    with pytest.raises(SourceError, match=r"^no\*/z\.root: matches no file$"):
        paths("no*/z.root")
    with pytest.raises(SourceError, match="no input"):
        expand_sources([])


def test_a_file_given_twice_is_refused(folder: Path) -> None:
    (folder / "link.root").symlink_to(folder / "a.root")
    for again in ("a.root", "./a.root", str(folder / "a.root"), "link.root", "a*.root", "a.root:T"):
        with pytest.raises(SourceError, match="given twice, its events would count twice"):
            paths("a.root", again)
    with pytest.raises(SourceError, match="given twice"):
        paths("root://h//a.root", "root://h//a.root")
    assert len(paths("a.root:T", "a.root:U")) == 2


CATALOGUE = """
datasets:
  TTbar:
    kind: mc
    cross_section: 831.76
    tree: Events
    files: [a.root, "sub/*.root", "b.root:Other"]
  TTbar_up: {files: [sub/deep]}
  Muons: {kind: data, lumi_mask: golden.json, files: [[/not/mounted/d.root, "root://h//d.root"]]}
"""


@pytest.fixture
def catalogue(folder: Path) -> Path:
    (folder / "cat.yaml").write_text(CATALOGUE)
    return folder / "cat.yaml"


def test_a_catalogue_gives_files_with_dataset_and_replicas(catalogue: Path) -> None:
    inputs = expand_inputs(["cat.yaml", "odd[1].root"])
    assert inputs.sources == (
        Source("a.root", "Events", "TTbar"),
        Source("sub/c.root", "Events", "TTbar"),
        Source("b.root", "Other", "TTbar"),
        Source("sub/deep/d.root", None, "TTbar_up"),
        Source("/not/mounted/d.root", None, "Muons", ("root://h//d.root",)),
        Source("odd[1].root"),
    )
    assert list(inputs.datasets) == ["TTbar", "TTbar_up", "Muons"]
    assert inputs.datasets["TTbar"].cross_section == 831.76
    assert expand_inputs(["odd[1].root"]).datasets == {}


def test_datasets_are_chosen_by_name_or_wildcard(catalogue: Path) -> None:
    def names(*inputs: str) -> list[str]:
        return list(expand_inputs(inputs).datasets)

    assert names("cat.yaml:TTbar") == ["TTbar"]
    assert names("cat.yaml:TTbar*") == ["TTbar", "TTbar_up"]
    assert names("cat.yaml:Muons", "cat.yaml:TTbar") == ["Muons", "TTbar"]
    with pytest.raises(SourceError, match=r"^cat\.yaml: no dataset 'ttbar'; nearest: TTbar$"):
        names("cat.yaml:ttbar")
    with pytest.raises(SourceError, match=r"no dataset 'Z\*'; it has 3 datasets, TTbar is the first$"):
        names("cat.yaml:Z*")


def test_a_catalogue_in_another_folder_or_a_list(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(catalogue.parent / "sub")
    Path("list.txt").write_text("../cat.yaml:TTbar_up\n")
    assert expand_sources(["@list.txt"]) == [Source("../sub/deep/d.root", None, "TTbar_up")]


def test_a_fileset_of_coffea_is_a_catalogue(folder: Path) -> None:
    (folder / "set.json").write_text(
        '{"/A/B:c": {"files": {"a.root": "Events"}}, "D": ["root://h//d.root:T"], "D[1]": ["root://h//e.root"]}'
    )
    assert expand_sources(["set.json"]) == [
        Source("a.root", "Events", "/A/B:c"),
        Source("root://h//d.root", "T", "D"),
        Source("root://h//e.root", None, "D[1]"),
    ]
    assert expand_sources(["set.json:D[1]"]) == [Source("root://h//e.root", None, "D[1]")]
    assert expand_sources(["set.json:/A/B:c"]) == [Source("a.root", "Events", "/A/B:c")]


def test_a_catalogue_counts_no_event_twice(catalogue: Path) -> None:
    words = "given twice {}, its events would count twice"
    cases = {
        "A: {files: [a.root]}\n  B: {files: [./a.root]}": words.format(r"\(in A and B\)"),
        "A: {files: [a.root, a.root]}": words.format(r"\(in A\)"),
        'A: {files: [a.root, ["root://h//x.root", a.root]]}': words.format(r"\(in A\)"),
        'A: {files: [["root://h//x.root", "root://h//x.root"]]}': words.format(r"\(in A\)"),
    }
    for text, message in cases.items():
        catalogue.write_text(f"datasets:\n  {text}\n")
        with pytest.raises(SourceError, match=message):
            paths("cat.yaml")
    catalogue.write_text(CATALOGUE)
    with pytest.raises(SourceError, match=r"^a\.root: given twice \(in TTbar\)"):
        paths("a.root", "cat.yaml")
    with pytest.raises(SourceError, match="given twice"):
        paths("cat.yaml:TTbar", "cat.yaml:TTbar*")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lost.yaml", r"^lost\.yaml: no such file"),
        ("cat.yml:TTbar", r"^cat\.yml: no such file; nearest: cat\.yaml"),
        ("https://h/cat.json", r"^https://h/cat\.json: a catalogue is read from a local file; download it"),
        ("gone.yaml", r"^gone\.yaml: dataset A: x\.root: no such file"),
        ("replicas.yaml", r"^replicas\.yaml: dataset A: x\.root: no such file in any of its 2 replicas$"),
        ("trees.yaml", r"^trees\.yaml: dataset A: root://h//x\.root: replicas name the trees T and U; name it once"),
    ],
)
def test_catalogues_that_are_refused(catalogue: Path, text: str, message: str) -> None:
    folder = catalogue.parent
    (folder / "gone.yaml").write_text("datasets: {A: {files: [x.root]}}")
    (folder / "replicas.yaml").write_text("datasets: {A: {files: [[x.root, y.root]]}}")
    (folder / "trees.yaml").write_text('datasets: {A: {files: [["root://h//x.root:T", "root://h//y.root:U"]]}}')
    with pytest.raises(SourceError, match=message):
        paths(text)


def test_two_catalogues_cannot_have_the_same_dataset(catalogue: Path) -> None:
    (catalogue.parent / "other.yaml").write_text("datasets: {TTbar: {files: ['odd[1].root']}}")
    with pytest.raises(SourceError, match=r"^other\.yaml: dataset TTbar stands in cat\.yaml too; rename one of them$"):
        paths("cat.yaml", "other.yaml")


def test_sources_are_light() -> None:
    code = "import sys, hepfilter.io.sources; print([m for m in ('pydantic', 'yaml', 'numpy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_replicas_are_one_file_everywhere(catalogue: Path) -> None:
    folder = catalogue.parent
    remote = "root://h//x.root"
    (folder / "list.txt").write_text(f"{remote}|sub/c.root:Events\n")
    (folder / "own.yaml").write_text(f"datasets: {{A: {{files: ['{remote}|b.root:T']}}}}")
    (folder / "a|b.root").write_text("")
    assert expand_sources([f"b.root|{remote}|s3://b/x.root"]) == [Source("b.root", replicas=(remote, "s3://b/x.root"))]
    assert expand_sources([f"{remote}:Events|b.root"]) == [Source(remote, "Events", replicas=("b.root",))]
    assert expand_sources(["@list.txt"]) == [Source(remote, "Events", replicas=("sub/c.root",))]
    assert expand_sources(["own.yaml"]) == [Source(remote, "T", "A", ("b.root",))]
    assert expand_sources(["a|b.root"]) == [Source("a|b.root")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.root|none.root", r"^gone\.root: no such file in any of its 2 replicas$"),
        ("b.root|", r"^b\.root\|: '' is no address; write a\.root\|b\.root$"),
        ("root://h//a.root:T|b.root:U", r"^root://h//a\.root: replicas name the trees T and U; name it once$"),
        ("b.root|sub", r"^sub: replicas are listed one by one; a folder or wildcard is none$"),
        ("sub/*.root|b.root", r"^sub/\*\.root: replicas are listed one by one; a folder or wildcard is none$"),
        ("b.root|b.root", r"^b\.root: given twice"),
    ],
)
def test_replicas_that_are_refused(catalogue: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        expand_sources([text])
