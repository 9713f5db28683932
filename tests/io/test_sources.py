"""What inputs expand to."""

from pathlib import Path

import pytest

from hepfilter.errors import SourceError
from hepfilter.io.sources import Source, expand_sources


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
    with pytest.raises(SourceError, match=r"@list\.txt: the list cannot be read: no text file"):
        paths("@list.txt")
    with pytest.raises(SourceError, match=r"@lost\.txt: the list cannot be read: No such file .*nearest: list\.txt"):
        paths("@lost.txt")


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
