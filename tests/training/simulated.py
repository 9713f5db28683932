"""A small file as `hepfilter simulate` writes them, without Pythia: two backgrounds and two signals that differ."""

from pathlib import Path

import numpy as np

from hepfilter.config.training import TrainingConfig
from hepfilter.io.writing import Column, create_root

CARDS = {"qcd@200": 0, "ttbar": 1, "wprime_xy": 100, "zprime_ll": 102}
"""Card → truth label."""

CONFIG = TrainingConfig.model_validate(
    {
        "name": "small",
        "graph": "objects",
        "architecture": "edgeconv-small",
        "classes": {"qcd": ["qcd@200"], "ttbar": ["ttbar"], "dijet": ["wprime_xy"], "dilepton": ["zprime_ll"]},
        "fit": {"epochs": 4, "batch_size": 128},
    }
)

COLUMNS = (
    Column("run", "uint32"),
    Column("luminosityBlock", "uint32"),
    Column("event", "uint64"),
    Column("genWeight", "float32"),
    Column("HepFilterTruth_label", "int32"),
    *(Column(f"Jet_{name}", "float32", counter="nJet") for name in ("pt", "eta", "phi", "mass")),
    *(Column(f"Muon_{name}", "float32", counter="nMuon") for name in ("pt", "eta", "phi", "mass")),
    Column("Muon_charge", "int32", counter="nMuon"),
    Column("MET_pt", "float32"),
    Column("MET_phi", "float32"),
)


def write_sample(
    path: Path, *, events_each: int = 600, seed: int = 5, weight_sign: float = 1.0, truth: bool = True
) -> Path:
    """Labels as in `CARDS`: QCD soft jets; tops more jets and MET; dijets hard; dileptons two hard muons."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(CARDS.values()), events_each)
    label_of = {label: (labels == label) for label in CARDS.values()}
    n_events = len(labels)
    n_jets = rng.poisson(np.select(list(label_of.values()), [3.0, 5.0, 2.0, 1.0]))
    n_muons = np.where(label_of[102], 2, rng.poisson(0.2, n_events))
    scale = np.select(list(label_of.values()), [60.0, 80.0, 600.0, 60.0])
    arrays = {
        "run": np.ones(n_events),
        "luminosityBlock": labels,
        "event": np.arange(n_events),
        "genWeight": weight_sign * np.where(labels < 100, 10.0, 0.01),
        "HepFilterTruth_label": labels,
        "MET_pt": rng.exponential(np.where(label_of[1], 80.0, 15.0)),
        "MET_phi": rng.uniform(-3, 3, n_events),
    }
    arrays |= _objects(rng, "Jet", n_jets, np.repeat(scale, n_jets))
    arrays |= _objects(rng, "Muon", n_muons, np.repeat(np.where(label_of[102], 400.0, 20.0), n_muons))
    arrays["Muon_charge"] = (rng.choice([-1, 1], int(n_muons.sum())), n_muons)
    columns = [column for column in COLUMNS if truth or column.name != "HepFilterTruth_label"]
    if not truth:
        del arrays["HepFilterTruth_label"]
    with create_root(path) as out, out.new_tree("Events", columns) as tree:
        tree.extend(arrays)
    return path


def _objects(rng: np.random.Generator, name: str, counts: np.ndarray, scale: np.ndarray) -> dict[str, tuple]:  # type: ignore[type-arg]
    total = int(counts.sum())
    columns = {
        "pt": 30 + rng.exponential(scale),
        "eta": rng.uniform(-2, 2, total),
        "phi": rng.uniform(-3, 3, total),
        "mass": np.full(total, 0.1),
    }
    return {f"{name}_{field}": (values.astype(np.float32), counts) for field, values in columns.items()}
