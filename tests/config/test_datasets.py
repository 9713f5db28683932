"""Catalogues of datasets, ours and coffea's."""

import json
from pathlib import Path
from typing import Any

import pytest

from hepfilter.config.datasets import Dataset, DatasetFile, load_datasets
from hepfilter.errors import ConfigError

CATALOGUE = """
datasets:
  TT:
    kind: mc
    cross_section: 366.9
    files: [tt/*.root, [/data/tt.root, "root://h//tt.root"]]
  Mu:
    kind: data
    luminosity: 4.8
    lumi_mask: golden.json
    tree: Events
    files: ["https://h/mu.root"]
"""


def addresses(dataset: Dataset) -> list[tuple[str, ...]]:
    return [file.addresses for file in dataset.files]


def test_a_catalogue_of_ours(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CATALOGUE)
    found = load_datasets(tmp_path / "c.yaml")
    assert list(found) == ["TT", "Mu"]
    assert found["TT"] == Dataset(
        kind="mc",
        cross_section=366.9,
        files=(
            DatasetFile(addresses=(f"{tmp_path}/tt/*.root",)),
            DatasetFile(addresses=("/data/tt.root", "root://h//tt.root")),
        ),
    )
    muons = found["Mu"]
    assert (muons.kind, muons.luminosity, muons.tree, muons.cross_section) == ("data", 4.8, "Events", None)
    assert muons.lumi_mask == tmp_path / "golden.json"
    assert addresses(muons) == [("https://h/mu.root",)]


def test_ours_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"datasets": {"A": {"files": ["a.root"], "kind": "mc", "cross_section": 2}}}')
    assert load_datasets(tmp_path / "c.json")["A"].cross_section == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; it needs a mapping with the keys datasets"),
        ("datasets: {}", "key 'datasets': "),
        ("dataset: {A: {files: [a.root]}}", "unknown key 'dataset'; nearest: datasets"),
        ("datasets: {A: {kind: mc}}", "key 'datasets.A.files' is missing"),
        ("datasets: {A: {files: []}}", "key 'datasets.A.files': "),
        ("datasets: {A: {files: a.root}}", r"key 'datasets.A.files': needs a list of files; write \[a.root\]"),
        ("datasets: {A: {files: [[]]}}", "key 'datasets.A.files.0.addresses': "),
        ("datasets: {A: {files: [7]}}", "key 'datasets.A.files.0': "),
        ("datasets: {A: {files: [[a*.root, b.root]]}}", r"'a\*.root' among replicas; replicas are listed one by one"),
        ("datasets: {A: {files: ['a*.root|b.root']}}", r"'a\*.root' among replicas; replicas are listed one by one"),
        ("datasets: {A: {files: ['a.root|']}}", "key 'datasets.A.files.0.addresses.1'"),
        ("datasets: {A: {files: ['@l.txt']}}", "'@l.txt': a dataset names ROOT files"),
        ("datasets: {A: {files: [b.yaml]}}", "'b.yaml': a dataset names ROOT files"),
        ("datasets: {A: {files: [a.root], knd: mc}}", "unknown key 'datasets.A.knd'; nearest: kind"),
        ("datasets: {A: {files: [a.root], kind: MC}}", "key 'datasets.A.kind': .*'data' or 'mc'"),
        ("datasets: {A: {files: [a.root], kind: mc, cross_section: -1}}", "greater than 0"),
        ("datasets: {A: {files: [a.root], kind: mc, cross_section: .inf}}", "finite"),
        ("datasets: {A: {files: [a.root], kind: data, cross_section: 1}}", "needs kind: mc, and kind is data"),
        ("datasets: {A: {files: [a.root], cross_section: 1}}", "needs kind: mc, and kind is not given"),
        ("datasets: {A: {files: [a.root], kind: mc, luminosity: 1}}", "luminosity needs kind: data"),
        ("datasets: {A: {files: [a.root], kind: mc, lumi_mask: g}}", "lumi_mask needs kind: data"),
        ("datasets: {A: {files: [a.root]}, A: {files: [b.root]}}", "key 'A' stands twice"),
    ],
)
def test_catalogues_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_datasets(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


COMPLETE = {"object_path": "Events", "steps": [[5, 10], [0, 5]], "num_entries": 10, "uuid": "x", "format": "root"}

FILESETS: dict[str, tuple[Any, str | None, list[tuple[str, str | None]]]] = {
    "list": (["f.root", "g.root:T"], None, [("f.root", None), ("g.root:T", None)]),
    "mapping": ({"f.root": "Events", "g.root": None}, None, [("f.root", "Events"), ("g.root", None)]),
    "files as a list": ({"files": ["f.root"], "metadata": {"a": 1}}, None, [("f.root", None)]),
    "files as a mapping": ({"files": {"f.root": "Events"}, "form": None}, None, [("f.root", "Events")]),
    "files with steps": ({"files": {"f.root": COMPLETE}, "metadata": None}, None, [("f.root", "Events")]),
    "no steps yet": ({"files": {"f.root": {"object_path": "E", "steps": None}}}, None, [("f.root", "E")]),
    "treename": ({"treename": "T", "files": ["f.root"]}, "T", [("f.root", None)]),
}  # fmt: skip


@pytest.mark.parametrize("shape", FILESETS)
def test_filesets_of_coffea(tmp_path: Path, shape: str) -> None:
    value, tree, files = FILESETS[shape]
    (tmp_path / "s.json").write_text(json.dumps({"A": value, "B": ["root://h//b.root"]}))
    found = load_datasets(tmp_path / "s.json")
    assert list(found) == ["A", "B"]
    assert found["A"].tree == tree
    assert found["A"].kind is None
    assert [(file.addresses, file.tree) for file in found["A"].files] == [
        ((f"{tmp_path}/{name}",), tree) for name, tree in files
    ]
    assert addresses(found["B"]) == [("root://h//b.root",)]


@pytest.mark.parametrize("shape", ["files as a mapping", "files with steps", "no steps yet"])
def test_coffea_takes_the_same_filesets(shape: str) -> None:
    from coffea.dataset_tools.filespec import DatasetSpec

    value, _, files = FILESETS[shape]
    assert {name: spec.object_path for name, spec in DatasetSpec(**value).files.items()} == dict(files)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "is no fileset"),
        ({}, "is no fileset"),
        ({"A": "f.root"}, "dataset 'A': needs a list of files, or a mapping of files to trees"),
        ({"297050": [[12, 137]]}, "dataset '297050': needs a list of files"),
        ({"A": {"files": []}}, "key 'datasets.A.files': "),
        ({"A": {"files": {"f.root": 3}}}, "file 'f.root': needs the name of its tree, or a mapping with object_path"),
        ({"A": {"f.parquet": {"format": "parquet"}}}, "file 'f.parquet': has the format 'parquet'; only ROOT"),
        ({"A": {"f.root": {"object_path": "E", "steps": [[0, 5]], "num_entries": 10}}}, "leave entries out"),
        ({"A": {"f.root": {"object_path": "E", "steps": [[5, 10]]}}}, "leave entries out"),
        ({"A": {"f.root": {"object_path": "E", "steps": [[0, 5], [6, 10]]}}}, "leave entries out"),
        ({"A": {"f.root": {"object_path": "E", "steps": [3]}}}, r"steps are a list of \[START, STOP\]"),
    ],
)
def test_filesets_that_are_refused(tmp_path: Path, data: Any, message: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=message) as raised:
        load_datasets(path)
    assert str(raised.value).startswith(f"{path}: ")
