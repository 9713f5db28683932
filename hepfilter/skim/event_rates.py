"""What each event adds to a rate in Hz: by the livetime of data, or by the cross-section of simulation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hepfilter.config.menu import Menu
from hepfilter.skim.findings import SurveyedFile

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset

PICOBARN: Final = 1e-36
"""cm²."""

Hertz = npt.NDArray[np.float64]


def event_rates(files: Sequence[SurveyedFile], menu: Menu, datasets: Mapping[str, "Dataset"]) -> Hertz | None:
    """[B] Hz for the chosen events of all `files`, in their order; None where it is not known.

    Data: 1 / livetime, that of all luminosity sections that the files tell of, each of `menu.lumi_section` seconds.
    Simulation: σ × luminosity × weight / Σ of the weights of all events that were read of its dataset; not known if
    that of a dataset is 0 or less, unless no event has a weight.
    """
    kinds = {_kind(file, datasets) for file in files}
    if kinds == {"data"}:
        n_sections = len(np.unique(np.concatenate([file.sections for file in files])))
        n_events = sum(len(file.chosen) for file in files)
        return np.full(n_events, 1 / (n_sections * menu.lumi_section)) if n_sections else None
    sigma = {name: dataset.cross_section for name, dataset in datasets.items()}
    known = all(sigma.get(file.dataset_name) is not None for file in files)
    if kinds != {"mc"} or menu.luminosity is None or not known:
        return None
    totals: dict[str, float] = {}
    for file in files:
        totals[file.dataset_name] = totals.get(file.dataset_name, 0.0) + file.total_weight
    if any(totals[file.dataset_name] <= 0 and file.event_weights.any() for file in files):
        return None
    parts = []
    for file in files:
        name, weights = file.dataset_name, file.event_weights
        cross_section = sigma[name]
        assert cross_section is not None
        scale = cross_section * PICOBARN * menu.luminosity
        parts.append(weights * (scale / totals[name]) if totals[name] > 0 else weights * 0.0)
    return np.concatenate(parts)


def _kind(file: SurveyedFile, datasets: Mapping[str, "Dataset"]) -> str:
    """``data`` or ``mc``, as the catalogue says; else by whether events have weights."""
    dataset = datasets.get(file.dataset_name)
    if dataset is not None and dataset.kind is not None:
        return dataset.kind
    return "data" if file.weights is None else "mc"
