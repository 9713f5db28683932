"""Catalogues of datasets: our YAML, or the filesets of coffea (JSON) in each of their shapes.

Ours, every key but `files` optional::

    datasets:
      TTToSemiLeptonic_2017:
        kind: mc
        cross_section: 366.9                 # pb
        # a list in the list: replicas of one file; "a.root|b.root" says the same
        files: [tt/*.root, [/data/tt_9.root, root://host//store/tt_9.root]]
      SingleMuon_2017B:
        kind: data
        luminosity: 4.8                      # fb⁻¹
        lumi_mask: Cert_2017_golden.json
        tree: Events
        files: [SingleMuon/2017B]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from hepfilter.config.base import StrictModel, load_plain, validate
from hepfilter.config.strict_json import load_json
from hepfilter.errors import ConfigError

Address = Annotated[str, Field(min_length=1)]


class DatasetFile(StrictModel):
    """One entry of a dataset's files: the addresses of its replicas, the preferred one first, and its tree.

    A single address may be a wildcard or a folder and so stand for several files.
    """

    addresses: tuple[Address, ...] = Field(min_length=1)
    tree: str | None = None

    @model_validator(mode="after")
    def _are_files(self) -> Self:
        for address in self.addresses:
            if "\0" in address:
                raise ValueError(f"{address!r}: no file has NUL in its name")
            if address.startswith("@") or address.endswith((".yaml", ".yml", ".json")):
                raise ValueError(
                    f"{address!r}: a dataset names ROOT files; lists and catalogues go on the command line"
                )
            if len(self.addresses) > 1 and "*" in address:
                raise ValueError(f"{address!r} among replicas; replicas are listed one by one for each file")
        return self


class Dataset(StrictModel):
    """Files that belong together, with what their events are normalised by.

    `cross_section` in pb is for ``kind: mc``; `luminosity` in fb⁻¹ and `lumi_mask`, the path of a certification JSON,
    are for ``kind: data``. What is not known is None, as all of these are for a fileset of coffea.
    """

    files: tuple[DatasetFile, ...] = Field(min_length=1)
    kind: Literal["data", "mc"] | None = None
    cross_section: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    luminosity: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    lumi_mask: Path | None = None
    tree: str | None = Field(default=None, min_length=1)

    @field_validator("files", mode="before")
    @classmethod
    def _entries(cls, files: Any) -> Any:
        """An address, or a list of replicas, as an entry."""
        if isinstance(files, str):
            raise ValueError(f"needs a list of files; write [{files}]")
        return [_entry(file) for file in files] if isinstance(files, list) else files

    @field_validator("lumi_mask")
    @classmethod
    def _mask_is_a_file(cls, path: Path | None) -> Path | None:
        if path is not None and "\0" in str(path):
            raise ValueError(f"{str(path)!r}: no file has NUL in its name")
        return path

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        for key, kind in (("cross_section", "mc"), ("luminosity", "data"), ("lumi_mask", "data")):
            if getattr(self, key) is not None and self.kind != kind:
                raise ValueError(f"{key} needs kind: {kind}, and kind is {self.kind or 'not given'}")
        return self

    def facts(self) -> dict[str, Any]:
        """What its events are normalised by, as plain data: kind, cross-section (pb), luminosity (1/fb)."""
        return {"kind": self.kind, "cross_section": self.cross_section, "luminosity": self.luminosity}

    def relative_to(self, folder: Path) -> "Dataset":
        """The same with each relative path taken from `folder`."""
        files = tuple(
            file.model_copy(update={"addresses": tuple(_within(folder, address) for address in file.addresses)})
            for file in self.files
        )
        return self.model_copy(update={"files": files, "lumi_mask": self.lumi_mask and folder / self.lumi_mask})


class Catalogue(StrictModel):
    """A catalogue file of ours: name → dataset."""

    datasets: dict[Annotated[str, Field(min_length=1)], Dataset] = Field(min_length=1)


def load_datasets(path: Path | str) -> Mapping[str, Dataset]:
    """The datasets of a catalogue, by name, in the file's order; relative paths in it begin at the file's folder.

    A ``.json`` file is a fileset of coffea unless it has the one key ``datasets``. Of a fileset the files and their
    trees are taken; its `metadata`, `form`, `uuid` and the like are not used, its `steps` must leave no entry out.
    ConfigError in one line if it cannot be read or does not fit.
    """
    path = Path(path)
    data = load_json(path) if path.suffix == ".json" else load_plain(path)
    if path.suffix == ".json" and not (isinstance(data, dict) and list(data) == ["datasets"]):
        data = {"datasets": _from_fileset(data, where=str(path))}
    catalogue = validate(data, Catalogue, where=str(path))
    return {name: dataset.relative_to(path.parent) for name, dataset in catalogue.datasets.items()}


def _entry(file: Any) -> Any:
    """What stands in a list of files, as a DatasetFile's data."""
    if isinstance(file, str):
        return {"addresses": tuple(file.split("|"))}
    return {"addresses": tuple(file)} if isinstance(file, list) else file


def _within(folder: Path, address: str) -> str:
    return address if "://" in address else str(folder / address)


def _from_fileset(data: Any, *, where: str) -> dict[str, Any]:
    """A fileset of coffea as the data of our model."""
    if not isinstance(data, dict) or not data:
        raise ConfigError(f"{where}: is no fileset; it needs a mapping of dataset names to their files")
    datasets = {}
    for name, value in data.items():
        place = f"{where}: dataset {name!r}"
        # without the key `files` a mapping is that of the files itself
        files = value["files"] if isinstance(value, dict) and "files" in value else value
        tree = value.get("treename") if files is not value else None
        if isinstance(files, dict):
            entries = [_fileset_file(address, spec, where=place) for address, spec in files.items()]
        elif isinstance(files, list) and all(isinstance(file, str) for file in files):
            entries = [{"addresses": (file,)} for file in files]
        else:
            raise ConfigError(f"{place}: needs a list of files, or a mapping of files to trees")
        datasets[name] = {"files": entries, "tree": tree}
    return datasets


def _fileset_file(address: str, spec: Any, *, where: str) -> dict[str, Any]:
    """One file of a fileset, given by its tree's name or by a mapping."""
    place = f"{where}: file {address!r}"
    if isinstance(spec, str) or spec is None:
        return {"addresses": (address,), "tree": spec}
    if not isinstance(spec, dict):
        raise ConfigError(f"{place}: needs the name of its tree, or a mapping with object_path")
    if spec.get("format") not in (None, "root"):
        raise ConfigError(f"{place}: has the format {spec['format']!r}; only ROOT files are read")
    _refuse_gaps(spec.get("steps"), spec.get("num_entries"), where=place)
    return {"addresses": (address,), "tree": spec.get("object_path")}


def _refuse_gaps(steps: Any, entries: Any, *, where: str) -> None:
    """ConfigError if the steps of a file leave entries out: whole files are read, and that would undo the choice."""
    if not steps:
        return
    try:
        ranges = sorted((int(start), int(stop)) for start, stop in steps)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{where}: steps are a list of [START, STOP]") from error
    edges = [0, *(stop for _, stop in ranges)]
    if [start for start, _ in ranges] != edges[:-1] or (entries is not None and edges[-1] != entries):
        raise ConfigError(f"{where}: its steps leave entries out; whole files are read, so remove the steps")
