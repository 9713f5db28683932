"""Which files an input means: paths, wildcards, folders, lists, catalogues, addresses. No ROOT file is opened here."""

import fnmatch
import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hepfilter.errors import ConfigError, SourceError, nearest
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset, DatasetFile

_CATALOGUE = re.compile(r"(?P<path>.*?\.(?:yaml|yml|json))(?::(?P<name>.*))?", re.DOTALL)
_WITH_TREE = re.compile(r"(?P<path>.*\.root)(?P<query>\?[^:]*)?:(?P<tree>[^:\\]+)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Source:
    """One input file: its path or address, and the tree that was asked for by name, or None.

    `dataset` names the dataset that a catalogue puts it in; `replicas` are other addresses of the same file, to be
    tried in this order where `path` cannot be read.
    """

    path: str
    tree: str | None = None
    dataset: str | None = None
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """The files that inputs mean, in the order given, and the datasets that they are of, by name."""

    sources: tuple[Source, ...]
    datasets: "Mapping[str, Dataset]"


def expand_sources(inputs: Sequence[str]) -> list[Source]:
    """The files that `inputs` mean, in the order given: the sources of `expand_inputs`, which says what inputs are."""
    return list(expand_inputs(inputs).sources)


def expand_inputs(inputs: Sequence[str]) -> Inputs:
    """The files and datasets that `inputs` mean, in the order given.

    An input is a path; a wildcard (``*``, ``?``, ``[…]``, and ``**`` for any depth), its files sorted by path; a
    folder, standing for its ``*.root``, sorted; ``@list.txt`` with one input per line, relative to where the command
    runs (blank lines and what follows ``#`` at a line's beginning or after a space are skipped); an address
    (``root://``, ``https://``, ``s3://``, …), passed on as it is; or a catalogue of datasets (``*.yaml``, ``*.yml``,
    ``*.json``, see `hepfilter.config.datasets`), all of them or, with ``:NAME`` behind it, those of that name or
    wildcard. ``:TREE`` after a file names the tree.

    SourceError if nothing is given, an input means no file or dataset (it names the nearest that is there), two
    catalogues have a dataset of the same name, or a file occurs twice: its events would count twice. ConfigError for a
    catalogue that is wrong.
    """
    if not inputs:
        raise SourceError("no input: give at least one ROOT file, folder, wildcard, @list.txt or catalogue")
    sources: list[Source] = []
    datasets: dict[str, Dataset] = {}
    homes: dict[str, Path] = {}
    for text, place in _single_inputs(inputs):
        if catalogue := _CATALOGUE.fullmatch(text):
            path = Path(catalogue["path"])
            for name, dataset in _choose_datasets(catalogue["path"], catalogue["name"], place=place).items():
                if homes.setdefault(name, path).resolve() != path.resolve():
                    raise SourceError(f"{path}: dataset {name} stands in {homes[name]} too; rename one of them")
                datasets[name] = dataset
                sources += _expand_dataset(path, name, dataset)
        else:
            sources += _expand(text, place=place)
    _refuse_duplicates(sources)
    return Inputs(tuple(sources), datasets)


def _single_inputs(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The inputs, with those of a list in its place, and how a message about each begins."""
    for text in inputs:
        if not text.startswith("@"):
            yield text, ""
            continue
        for entry in _read_list(Path(text[1:])):
            place = f"{text[1:]}: "
            if entry.startswith("@"):
                raise SourceError(f"{place}{entry}: a list cannot name another list; give both on the command line")
            yield entry, place


def _choose_datasets(path: str, name: str | None, *, place: str) -> "dict[str, Dataset]":
    """The datasets of a catalogue, or those that `name` means: one of that very name, else as a wildcard."""
    from hepfilter.config.datasets import load_datasets

    if _REMOTE.match(path):
        raise SourceError(f"{place}{path}: a catalogue is read from a local file; download it and give its path")
    if not Path(path).exists():
        raise SourceError(f"{place}{path}: no such file{_nearest_file(Path(path))}")
    datasets = load_datasets(path)
    if name is None:
        return dict(datasets)
    names = [name] if name in datasets else [one for one in datasets if fnmatch.fnmatchcase(one, name)]
    if not names:
        there = f"; it has {counted(len(datasets), 'dataset')}, {next(iter(datasets))} is the first"
        hint = nearest(name, datasets) or there
        raise SourceError(f"{place}{path}: no dataset {name!r}{hint}")
    return {one: datasets[one] for one in names}


def _expand_dataset(path: Path, name: str, dataset: "Dataset") -> Iterator[Source]:
    """The files of a dataset of the catalogue `path`."""
    place = f"{path}: dataset {name}: "
    for file in dataset.files:
        for source in _expand_entry(file, place=place):
            yield replace(source, tree=source.tree or file.tree or dataset.tree, dataset=name)


def _expand_entry(file: "DatasetFile", *, place: str) -> Iterator[Source]:
    """The files of one entry: what its address means, or one file with its replicas."""
    if len(file.addresses) == 1:
        yield from _expand(file.addresses[0], place=place)
        return
    (path, tree), *others = [_split_tree(address) for address in file.addresses]
    if different := [other for _, other in others if other != tree]:
        raise SourceError(
            f"{place}{path}: replicas name the trees {tree} and {different[0]}; name it once, by the key tree"
        )
    paths = [path, *(other for other, _ in others)]
    if not any(_REMOTE.match(one) or Path(one).is_file() for one in paths):
        raise SourceError(f"{place}{path}: no such file in any of its {len(paths)} replicas")
    yield Source(path, tree, replicas=tuple(paths[1:]))


def _expand(text: str, *, place: str) -> Iterator[Source]:
    """The files of one input that is neither a list nor a catalogue; `place` begins the message of an error."""
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


def _read_list(path: Path) -> list[str]:
    """The inputs that a list names; it may come through a pipe, as of a shell's ``@<(…)``."""
    from hepfilter.config.base import read_text

    try:
        lines = read_text(path, from_pipe=True).splitlines()
    except ConfigError as error:
        hint = "" if path.exists() else _nearest_file(path)
        raise SourceError(f"@{error}{hint}") from error
    entries = [entry for line in lines if (entry := re.sub(r"(^|\s)#.*", "", line).strip())]
    if not entries:
        raise SourceError(f"@{path}: the list names no file")
    return entries


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
    seen: dict[str, list[Source]] = {}
    for source in sources:
        for address in (source.path, *source.replicas):
            key = address if _REMOTE.match(address) else str(Path(address).resolve())
            others = seen.setdefault(key, [])
            for other in others:
                if source.tree == other.tree or None in (source.tree, other.tree):
                    where = sorted({one.dataset for one in (source, other) if one.dataset})
                    names = f" (in {' and '.join(where)})" if where else ""
                    raise SourceError(
                        f"{address}: given twice{names}, its events would count twice; name every file once"
                    )
            others.append(source)
