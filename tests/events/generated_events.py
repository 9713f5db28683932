"""Generated NanoAOD-like arrays, and events as flat objects, for the tests of the event record."""

import awkward as ak
import numpy as np
from hypothesis import strategies as st

from hepfilter.events.record import Objects

IDENTITY = {"run": "uint32", "luminosityBlock": "uint32", "event": "uint64"}
FIELDS = {
    "Jet": ("pt", "eta", "phi", "mass"),
    "Muon": ("pt", "eta", "phi", "charge"),
    "Electron": ("pt", "eta", "phi", "charge"),
    "Photon": ("pt", "eta", "phi"),
}


def nanoaod_arrays(n_events: int, *, seed: int = 1) -> dict[str, ak.Array]:
    """A NanoAOD tree's columns: jets, leptons, photons, MET, identity, genWeight; the objects in no order at all."""
    rng = np.random.default_rng(seed)
    arrays = {name: ak.Array(np.arange(n_events).astype(dtype)) for name, dtype in IDENTITY.items()}
    arrays["genWeight"] = ak.Array(rng.normal(1, 0.5, n_events).astype(np.float32))
    arrays["MET_pt"] = ak.Array(rng.exponential(30, n_events).astype(np.float32) + np.float32(0.1))
    arrays["MET_phi"] = ak.Array(rng.uniform(-np.pi, np.pi, n_events).astype(np.float32))
    for collection, mean in (("Jet", 5), ("Muon", 1), ("Electron", 1), ("Photon", 1)):
        counts = rng.poisson(mean, n_events)
        total = int(counts.sum())
        columns = {
            "pt": rng.exponential(40, total) + 5,
            "eta": rng.uniform(-3, 3, total),
            "phi": rng.uniform(-np.pi, np.pi, total),
            "mass": rng.uniform(0, 20, total),
            "charge": rng.choice([-1, 1], total),
        }
        for field in FIELDS[collection]:
            dtype = np.int32 if field == "charge" else np.float32
            arrays[f"{collection}_{field}"] = ak.unflatten(columns[field].astype(dtype), counts)
    return arrays


@st.composite
def flat_objects(draw: st.DrawFn, *, n_events: int, max_count: int = 4, sick: bool = False) -> Objects:
    """Objects of `n_events` events; `sick` adds NaN, infinities, negative and absurd values."""
    counts = np.array(draw(st.lists(st.integers(0, max_count), min_size=n_events, max_size=n_events)), np.int64)
    total = int(counts.sum())
    good = {
        "pt": st.sampled_from([0.5, 1.0, 20.0, 20.0, 35.5, 100.0]),
        "eta": st.sampled_from([-1.1, -1.0, 0.0, 0.2, 1.0]),
        "phi": st.sampled_from([-3.14, -0.1, 0.0, 0.1, 3.14]),
        "mass": st.sampled_from([0.0, 0.1, 5.0]),
    }
    bad = st.sampled_from([np.nan, np.inf, -np.inf, -1.0, -999.0, 1e30, 0.0, 12.0])
    columns = {}
    for name, values in good.items():
        values = values | bad if sick else values
        columns[name] = np.array(draw(st.lists(values, min_size=total, max_size=total)), np.float32)
    columns["charge"] = np.array(draw(st.lists(st.sampled_from([-1, 1]), min_size=total, max_size=total)), np.float32)
    return Objects.from_counts(counts, columns)
