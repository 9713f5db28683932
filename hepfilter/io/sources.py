"""Which files an input means: paths, wildcards, folders, lists, catalogues, addresses. No ROOT file is opened here."""

import fnmatch
import glob
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hepfilter.config.files import exists, is_file, is_folder
from hepfilter.errors import ConfigError, SourceError, UsageError, nearest
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset, DatasetFile

_LOGGER = logging.getLogger(__name__)
_CATALOGUE = re.compile(r"(?P<path>.*?\.(?:yaml|yml|json))(?::(?P<name>.*))?", re.DOTALL)
_WITH_TREE = re.compile(r"(?P<path>.*\.root)(?P<query>\?[^:]*)?:(?P<tree>[^:\\]+)")
_LONGEST_PATH = 4096  # what Linux takes
_LONGEST_ADDRESS = 8192
_COMMENT = re.compile(r"(^|\s)#.*")
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


def refuse_inputs(outputs: Iterable[Path], sources: Sequence[Source]) -> None:
    """UsageError if an output would take the place of an input."""
    inputs = {Path(address).resolve() for source in sources for address in (source.path, *source.replicas)}
    for output in outputs:
        if output.resolve() in inputs:
            raise UsageError(f"{output}: is one of the inputs; give another name")


def expand_inputs(inputs: Sequence[str]) -> Inputs:
    """The files and datasets that `inputs` mean, in the order given.

    An input is a path; a wildcard (``*``, ``?``, ``[…]``, and ``**`` for any depth), its files sorted by path; a
    folder, standing for its ``*.root``, sorted; ``@list.txt`` with one input per line, relative to where the command
    runs (blank lines and what follows ``#`` at a line's beginning or after a space are skipped); an address
    (``root://``, ``https://``, ``s3://``), passed on as it is; replicas of one file, ``a.root|root://host//a.root``, of
    which the next is read where one fails; or a catalogue of datasets (``*.yaml``, ``*.yml``,
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
    _LOGGER.info("%s found", counted(len(sources), "input"))
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
    if not exists(path):
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
    else:
        yield _join_replicas(file.addresses, place=place)


def _join_replicas(addresses: Sequence[str], *, place: str) -> Source:
    """One file at several addresses; those that name a tree must name the same."""
    found = [_split_tree(address) for address in addresses]
    paths, trees = [path for path, _ in found], dict.fromkeys(tree for _, tree in found if tree is not None)
    if len(trees) > 1:
        raise SourceError(f"{place}{paths[0]}: replicas name the trees {' and '.join(trees)}; name it once")
    for path in paths:
        if not path or (_REMOTE.match(path) and not path.isprintable()):
            raise SourceError(f"{place}{'|'.join(addresses)}: {path!r} is no address; write a.root|b.root")
        if not _REMOTE.match(path) and (is_folder(path) or (glob.has_magic(path) and not exists(path))):
            raise SourceError(f"{place}{path}: replicas are listed one by one; a folder or wildcard is none")
    if not any(_REMOTE.match(one) or is_file(one) for one in paths):
        raise SourceError(f"{place}{paths[0]}: no such file in any of its {len(paths)} replicas")
    return Source(paths[0], next(iter(trees), None), replicas=tuple(paths[1:]))


def _expand(text: str, *, place: str) -> Iterator[Source]:
    """The files of one input that is neither a list nor a catalogue; `place` begins the message of an error."""
    path, tree = _split_tree(text)
    if "|" in text and not exists(path):
        yield _join_replicas(text.split("|"), place=place)
    elif _REMOTE.match(path):
        if not path.isprintable():
            raise SourceError(f"{place}{path}: has signs that no address has; spell them as %XX")
        if "*" in path:
            raise SourceError(f"{place}{path}: wildcards in addresses are not expanded; list the files in @list.txt")
        yield Source(path, tree)
    elif is_folder(path):
        files = sorted(Path(path).glob("*.root"))
        if not files:
            raise SourceError(f"{place}{path}: no *.root file in this folder; '{path}/**/*.root' looks deeper")
        yield from (Source(str(file), tree) for file in files)
    elif exists(path):
        yield Source(path, tree)
    elif glob.has_magic(path) and "\0" not in path and len(path) <= _LONGEST_PATH:
        # Not Path.glob, which takes no absolute pattern.
        matches = sorted(match for match in glob.glob(path, recursive=True) if is_file(match))  # noqa: PTH207
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
        hint = "" if exists(path) else _nearest_file(path)
        raise SourceError(f"@{error}{hint}") from error
    entries = [entry for line in lines if (entry := _COMMENT.sub("", line).strip())]
    if not entries:
        raise SourceError(f"@{path}: the list names no file")
    return entries


def in_list(source: Source) -> str | None:
    """A file as a list names it, with its replicas and tree; None if no list can."""
    text = "|".join((source.path, *source.replicas)) + (f":{source.tree}" if source.tree else "")
    unlike = text != _COMMENT.sub("", text).strip() or text.startswith("@") or not text.isprintable()
    return None if unlike else text


def _split_tree(text: str) -> tuple[str, str | None]:
    """Path and tree of ``file.root:tree``; a file of that very name is a file."""
    if exists(text):
        return text, None
    path, _, tree = text.rpartition(":")
    if path and tree and not _REMOTE.match(text) and exists(path):
        return path, tree
    # a text has as many ways to end its path as it has ".root?"
    match = _WITH_TREE.fullmatch(text) if len(text) <= _LONGEST_ADDRESS else None
    return (text, None) if match is None else (match["path"] + (match["query"] or ""), match["tree"])


def _nearest_file(path: Path) -> str:
    """For the end of a message: the nearest names in the folder, or the first folder on the way that is missing."""
    folder = path.parent
    if glob.has_magic(str(folder)) or len(str(folder)) > _LONGEST_PATH:
        return ""
    missing = [parent for parent in (folder, *folder.parents) if not is_folder(parent)]
    if missing:
        return f"; the folder {missing[-1]} does not exist"
    try:
        return nearest(path.name, sorted(file.name for file in folder.iterdir() if is_file(file)))
    except OSError:  # it is not for us to list
        return ""


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
