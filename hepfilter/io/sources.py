"""Which files an input means: paths, wildcards, folders, lists, remote addresses. Nothing is opened here."""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepfilter.errors import SourceError, nearest

_WITH_TREE = re.compile(r"(?P<path>.*\.root)(?P<query>\?[^:]*)?:(?P<tree>[^:\\]+)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """One input file: its path or address, and the tree that was asked for by name, or None."""

    path: str
    tree: str | None = None


def expand_sources(inputs: Sequence[str]) -> list[Source]:
    """The files that `inputs` mean, in the order given.

    An input is a path; a wildcard (``*``, ``?``, ``[…]``, and ``**`` for any depth), its files sorted by path; a
    folder, standing for its ``*.root``, sorted; ``@list.txt`` with one input per line, relative to where the command
    runs (blank lines and what follows ``#`` at a line's beginning or after a space are skipped); or an address
    (``root://``, ``https://``, ``s3://``, …), passed on as it is. ``:TREE`` after the file names the tree.

    SourceError if nothing is given, an input means no file (it names the nearest that is there), or a file occurs
    twice: its events would count twice.
    """
    if not inputs:
        raise SourceError("no input: give at least one ROOT file, folder, wildcard or @list.txt")
    sources = [source for text in inputs for source in _expand(text, within=None)]
    _refuse_duplicates(sources)
    return sources


def _expand(text: str, *, within: Path | None) -> Iterator[Source]:
    """The files of one input; `within` is the list that it stands in."""
    place = f"{within}: " if within else ""
    if text.startswith("@"):
        if within:
            raise SourceError(f"{place}{text}: a list cannot name another list; give both on the command line")
        yield from _expand_list(Path(text[1:]))
        return
    path, tree = _split_tree(text)
    if _REMOTE.match(path):
        if "*" in path:
            raise SourceError(f"{place}{path}: wildcards in addresses are not expanded; list the files in @list.txt")
        yield Source(path, tree)
    elif Path(path).is_dir():
        files = sorted(Path(path).glob("*.root"))
        if not files:
            raise SourceError(f"{place}{path}: no *.root file in this folder; '{path}/**/*.root' looks deeper")
        yield from (Source(str(file), tree) for file in files)
    elif Path(path).exists():
        yield Source(path, tree)
    elif glob.has_magic(path):
        # Not Path.glob, which takes no absolute pattern.
        matches = sorted(match for match in glob.glob(path, recursive=True) if Path(match).is_file())  # noqa: PTH207
        if not matches:
            raise SourceError(f"{place}{path}: matches no file{_nearest_file(Path(path))}")
        yield from (Source(match, tree) for match in matches)
    else:
        raise SourceError(f"{place}{path}: no such file{_nearest_file(Path(path))}")


def _expand_list(path: Path) -> Iterator[Source]:
    """The files that a list names."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text file"
        raise SourceError(f"@{path}: the list cannot be read: {reason}{_nearest_file(path)}") from error
    entries = [entry for line in lines if (entry := re.sub(r"(^|\s)#.*", "", line).strip())]
    if not entries:
        raise SourceError(f"@{path}: the list names no file")
    for entry in entries:
        yield from _expand(entry, within=path)


def _split_tree(text: str) -> tuple[str, str | None]:
    """Path and tree of ``file.root:tree``; a file of that very name is a file."""
    if Path(text).exists():
        return text, None
    path, _, tree = text.rpartition(":")
    if path and tree and not _REMOTE.match(text) and Path(path).exists():
        return path, tree
    match = _WITH_TREE.fullmatch(text)
    return (text, None) if match is None else (match["path"] + (match["query"] or ""), match["tree"])


def _nearest_file(path: Path) -> str:
    """For the end of a message: the nearest names in the folder, or the first folder on the way that is missing."""
    folder = path.parent
    if glob.has_magic(str(folder)):
        return ""
    missing = [parent for parent in (folder, *folder.parents) if not parent.is_dir()]
    if missing:
        return f"; the folder {missing[-1]} does not exist"
    return nearest(path.name, sorted(file.name for file in folder.iterdir() if file.is_file()))


def _refuse_duplicates(sources: Iterable[Source]) -> None:
    """SourceError if a file stands there twice with the same tree, whatever way its path is written."""
    seen: dict[str, list[str | None]] = {}
    for source in sources:
        key = source.path if _REMOTE.match(source.path) else str(Path(source.path).resolve())
        trees = seen.setdefault(key, [])
        if any(source.tree == tree or None in (source.tree, tree) for tree in trees):
            raise SourceError(f"{source.path}: given twice, its events would count twice; name every file once")
        trees.append(source.tree)
