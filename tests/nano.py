"""Small files in NanoAOD's layout, made from a seed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hepfilter.io.writing import Column, create_root

OBJECTS = {"Jet": ("float32", 5), "Muon": ("float32", 2), "Electron": ("float32", 2), "Photon": ("float32", 1)}


def make_nano(
    path: Path,
    events: int = 200,
    *,
    seed: int = 1,
    first_event: int = 0,
    drop: tuple[str, ...] = (),
    plant: Mapping[str, npt.NDArray[np.float32]] | None = None,
    basket: int = 50,
) -> Path:
    """Write `events` events; `drop` leaves branches out; `plant` overwrites the first values of flat columns."""
    rng = np.random.default_rng(seed)
    columns = [
        Column("run", "uint32"),
        Column("luminosityBlock", "uint32"),
        Column("event", "uint64"),
        Column("genWeight", "float32"),
    ]
    columns += [
        Column("MET_pt", "float32"),
        Column("MET_phi", "float32"),
        Column("HLT_any", "bool"),
        Column("Pileup_nTrueInt", "float32"),
    ]
    for name in OBJECTS:
        columns += [
            Column(f"{name}_{field}", "float32", f"{field} of {name}", counter=f"n{name}")
            for field in ("pt", "eta", "phi", "mass")
        ]
        columns += [
            Column(f"{name}_charge", "int32", counter=f"n{name}"),
            Column(f"{name}_flag", "uint8", counter=f"n{name}"),
        ]
    columns = [column for column in columns if column.name not in drop]
    with create_root(path, compression="ZLIB:1") as out:  # which has checksums
        with out.new_tree("Events", columns) as tree:
            for start in range(0, events, basket):
                count = min(basket, events - start)
                arrays = _block(rng, first_event + start, count)
                for name, values in (plant or {}).items() if start == 0 else ():
                    target = arrays[name][0] if isinstance(arrays[name], tuple) else arrays[name]
                    target[: len(values)] = values
                tree.extend({column.name: arrays[column.name] for column in columns})
                tree.writer.flush()
        with out.new_tree("Runs", [Column("run", "uint32"), Column("genEventSumw", "float64")]) as runs:
            runs.extend({"run": np.array([1]), "genEventSumw": np.array([0.5 * events])})
        with out.new_tree("LuminosityBlocks", [Column("run", "uint32"), Column("luminosityBlock", "uint32")]) as lumis:
            lumis.extend({"run": np.array([1]), "luminosityBlock": np.array([1 + first_event])})
    return path


def _block(rng: np.random.Generator, first: int, count: int) -> dict[str, object]:
    """One basket's events."""
    arrays: dict[str, object] = {
        "run": np.ones(count),
        "luminosityBlock": 1 + np.arange(first, first + count) // 100,
        "event": np.arange(first, first + count),
        "genWeight": np.full(count, 0.5),
        "MET_pt": rng.exponential(40, count).astype(np.float32),
        "MET_phi": rng.uniform(-3.1, 3.1, count).astype(np.float32),
        "HLT_any": rng.random(count) < 0.3,
        "Pileup_nTrueInt": rng.normal(30, 5, count),
    }
    for name, (_, mean) in OBJECTS.items():
        counts = rng.poisson(mean, count)
        n = int(counts.sum())
        values = {
            "pt": rng.exponential(60, n) + 5,
            "eta": rng.normal(0, 1.2, n),
            "phi": rng.uniform(-3.1, 3.1, n),
            "mass": rng.exponential(8, n),
            "charge": rng.choice([-1, 1], n),
            "flag": rng.integers(0, 255, n),
        }
        arrays |= {f"{name}_{field}": (value.astype(np.float32), counts) for field, value in values.items()}
    return arrays
