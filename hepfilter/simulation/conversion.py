"""Between NanoAOD-style ROOT files with particle-flow candidates and the HDF5 layout of the LHC Olympics."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import awkward as ak
import numpy as np

from hepfilter.errors import SourceError
from hepfilter.io.lhco import CANDIDATES, FIELDS, UNLABELLED, Rows, count_rows, create_table, read_rows
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import create_root
from hepfilter.simulation.books import RUN, Books, write_books
from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.flat import FlatObjects, Floats, Mask, prompt, pt_order, rank_in_event
from hepfilter.simulation.jets import FAT_RADII, JET_PT, JET_RADIUS, energy_fractions, fat_jets
from hepfilter.simulation.leptons import Columns, kinematics
from hepfilter.simulation.nano import COLLECTIONS, Array, NanoBlock, event_columns, missing_momentum, nano_block
from hepfilter.simulation.pileup import density
from hepfilter.simulation.truth import Truth

TREE = "Events"
CANDIDATE = "PFCands"
PUPPI = f"{CANDIDATE}_puppiWeight"
IS_SIGNAL = "HepFilterTruth_isSignal"
SIGNAL_LABEL, BACKGROUND_LABEL, UNKNOWN_LABEL = 100, 0, -1
NO_TAG = -1.0  # NanoAOD's b-tag score of jets that have none
_ENTRIES = 5000
MAXIMUM_PT, MAXIMUM_ETA = 1e5, 20.0  # GeV; beyond, a number is no particle of a collider

Progress = Callable[[str, int, int], None]


def root_to_lhco(sources: Sequence[Source], output: Path, *, progress: Progress | None = None) -> int:
    """Write the 700 hardest candidates of every event (pT times its PUPPI weight) with its label; the events written.

    The label is `HepFilterTruth_isSignal`; without that branch there is no label, as in a black box. SourceError if a
    file has no candidates (`simulate --particles` writes them), or if some have labels and others not.
    """
    written, labelled = 0, _have_labels(sources)
    with create_table(output, labelled=labelled) as table:
        for source in sources:
            with open_file(source) as file:
                tree = file.tree(source.tree or TREE)
                for start in range(0, tree.num_entries, _ENTRIES):
                    rows = _rows(tree, start, labelled=labelled)
                    table.append(rows)
                    written += len(rows)
                    if progress is not None:
                        progress(source.path, min(start + _ENTRIES, tree.num_entries), tree.num_entries)
    return written


def lhco_to_root(source: Path, output: Path, *, progress: Progress | None = None) -> int:
    """Cluster the candidates of every event again and write them in NanoAOD's layout; the events written.

    The layout says nothing of what the candidates are: `pdgId` and charge are 0, there are no leptons, photons and
    taus, jets have no b tag (−1). Signal gets the truth label 100, background 0, events without a label −1; all weights
    are 1. SourceError if the file has another layout.
    """
    total, written, blocks = count_rows(source), 0, 0
    with create_root(output) as out:
        with out.new_tree(TREE, event_columns(particles=True)) as tree:
            for rows in read_rows(source, rows=_ENTRIES):
                blocks += 1
                try:
                    block = _block(rows, first=written, luminosity_block=blocks)
                except SourceError as error:
                    raise SourceError(f"{source}: {error}") from error
                tree.extend(block.arrays)
                written += len(rows)
                if progress is not None:
                    progress(str(source), written, total)
        write_books(out, Books(written, float(written), float(written), blocks))
    return written


def _have_labels(sources: Sequence[Source]) -> bool:
    """Whether the files have labels; each must have candidates."""
    has: dict[bool, str] = {}
    for source in sources:
        with open_file(source) as file:
            names = file.tree(source.tree or TREE).branch_names
            if f"{CANDIDATE}_pt" not in names:
                raise SourceError(
                    f"{source.path}: no branch {CANDIDATE}_pt; `hepfilter simulate --particles` writes it"
                )
            has[IS_SIGNAL in names] = source.path
    if len(has) == 2:
        raise SourceError(f"{has[True]} has the branch {IS_SIGNAL}, {has[False]} has not; convert them apart")
    return has.popitem()[0]


def _rows(tree: OpenTree, start: int, *, labelled: bool) -> Rows:
    """The table's rows for the entries from `start` on."""
    names = [f"{CANDIDATE}_{field}" for field in ("pt", "eta", "phi")]
    more = [name for name in (PUPPI, IS_SIGNAL) if name in tree.branch_names]
    arrays = tree.arrays([*names, *more], start, min(start + _ENTRIES, tree.num_entries))
    columns = [arrays[name] for name in names]
    if any(column.ndim != 2 or not ak.all(ak.num(column) == ak.num(columns[0])) for column in columns):
        raise SourceError(f"{tree.path}: {', '.join(names)} are not lists of one length per event")
    if labelled and arrays[IS_SIGNAL].ndim != 1:
        raise SourceError(f"{tree.path}: {IS_SIGNAL} is not one value per event")
    if PUPPI in more:
        weights = arrays[PUPPI]
        if weights.ndim != 2 or not ak.all(ak.num(weights) == ak.num(columns[0])):
            raise SourceError(f"{tree.path}: {PUPPI} and {names[0]} are not lists of one length per event")
        columns[0] = columns[0] * arrays[PUPPI]
    counts = ak.to_numpy(ak.num(columns[0])).astype(np.int64)
    flat = np.stack([ak.to_numpy(ak.flatten(column)) for column in columns], axis=1)
    event = np.repeat(np.arange(len(counts)), counts)
    order = pt_order(event, flat[:, 0].astype(np.float64))
    place = rank_in_event(event)
    if not np.isfinite(flat).all():
        entry = start + event[np.flatnonzero(~np.isfinite(flat).all(axis=1))[0]]
        raise SourceError(f"{tree.path}: entry {entry} has a candidate whose momentum is not finite")
    kept = (place < CANDIDATES) & (flat[order, 0] > 0.0)
    rows = np.zeros((len(counts), UNLABELLED + labelled), dtype=np.float32)
    rows[:, :UNLABELLED].reshape(len(counts), CANDIDATES, FIELDS)[event[kept], place[kept]] = flat[order[kept]]
    if labelled:
        rows[:, -1] = ak.to_numpy(arrays[IS_SIGNAL])
    return rows


def _block(rows: Rows, *, first: int, luminosity_block: int) -> NanoBlock:
    """The events of some rows; `first` is the place of the first one in the file."""
    candidates = _candidates(rows, first=first)
    found = {name: (objects, columns) for name, objects, columns in _collections(candidates)}
    for name, entries in COLLECTIONS.items():
        nothing: Columns = {field: np.zeros(0) for field, _, _ in entries}
        found.setdefault(name, (candidates[np.zeros(len(candidates), dtype=bool)], nothing))
    events = len(rows)
    block = nano_block(_scalars(candidates), found)
    return block.with_scalars(
        {
            "run": np.full(events, RUN, dtype=np.uint32),
            "luminosityBlock": np.full(events, luminosity_block, dtype=np.uint32),
            "event": np.arange(first + 1, first + events + 1, dtype=np.uint64),
            "genWeight": np.ones(events, dtype=np.float32),
            **_labels(rows),
        }
    )


def _check_finite(table: Floats, first: int) -> None:
    """SourceError that names the first event with a candidate that cannot be: clustering must never see one."""
    pt, eta, phi = np.moveaxis(table, 2, 0)
    good = np.isfinite(table).all(axis=2) & (pt >= 0.0) & (pt < MAXIMUM_PT) & (np.abs(eta) < MAXIMUM_ETA)
    if not good.all():
        event, place = np.argwhere(~good)[0]
        what = f"pt {pt[event, place]:g}, eta {eta[event, place]:g}, phi {phi[event, place]:g}"
        raise SourceError(f"event {first + event}, candidate {place}: {what} is no momentum of a particle")


def _candidates(rows: Rows, *, first: int) -> FlatObjects:
    """The candidates with pT > 0 of all events, massless and of unknown kind, by descending pT."""
    table = rows[:, :UNLABELLED].reshape(len(rows), CANDIDATES, FIELDS).astype(np.float64)
    _check_finite(table, first)
    event, place = np.nonzero(table[:, :, 0] > 0.0)
    pt, eta, phi = table[event, place].T
    unknown = np.zeros(len(event), dtype=np.int64)
    phi = (phi + np.pi) % (2.0 * np.pi) - np.pi
    candidates = FlatObjects(len(rows), event, pt, eta, phi, np.zeros(len(event)), unknown, unknown)
    return candidates[pt_order(event, pt)]


def _collections(candidates: FlatObjects) -> Iterator[tuple[str, FlatObjects, Columns]]:
    """Candidates, jets and fat jets with their columns; what needs the truth or the kind of a particle is left at 0."""
    ones, zeros = np.ones(len(candidates)), np.zeros(len(candidates))
    columns = kinematics(candidates, candidates.mass) | {"pdgId": candidates.pdg_id, "charge": candidates.charge}
    impact: Columns = dict.fromkeys(("d0", "d0Err", "dz", "dzErr"), zeros)
    yield CANDIDATE, candidates, columns | impact | {"puppiWeight": ones}
    clustered = cluster_jets(candidates, radius=JET_RADIUS, minimum_pt=JET_PT)
    found = clustered.jets
    unknown = np.zeros(len(found))
    columns = kinematics(found, found.mass) | energy_fractions(candidates, clustered)
    columns |= {"nConstituents": np.minimum(clustered.sizes, 255), "rawFactor": unknown, "hadronFlavour": unknown}
    yield "Jet", found, columns | {"btagDeepFlavB": np.full(len(found), NO_TAG)}
    for name, radius in FAT_RADII.items():
        yield name, *fat_jets(candidates, _no_truth(candidates), radius=radius)


def _no_truth(candidates: FlatObjects) -> Truth:
    """The truth of events of which none is known."""
    none = candidates[np.zeros(len(candidates), dtype=bool)]
    rows = np.zeros(0, dtype=np.int64)
    return Truth(prompt(none), none, none, none, none, rows, rows, np.zeros((0, 3)))


def _scalars(candidates: FlatObjects) -> dict[str, Array]:
    """Missing momentum and what is known of pile-up: nothing."""
    events = candidates.n_events
    return {
        **missing_momentum("MET", candidates),
        **missing_momentum("PuppiMET", candidates),
        **{name: np.zeros(events, dtype=np.float32) for name in ("GenMET_pt", "GenMET_phi", "Generator_binvar")},
        "Pileup_nPU": np.zeros(events, dtype=np.int32),
        "Pileup_nTrueInt": np.zeros(events, dtype=np.float32),
        "fixedGridRhoFastjetAll": density(candidates).astype(np.float32),
    }


def _labels(rows: Rows) -> dict[str, Array]:
    """Truth labels from the last column, if the table has it."""
    labelled = rows.shape[1] > UNLABELLED
    is_signal: Mask = rows[:, -1] > 0.5 if labelled else np.zeros(len(rows), dtype=bool)
    label = np.where(is_signal, SIGNAL_LABEL, BACKGROUND_LABEL if labelled else UNKNOWN_LABEL)
    return {
        "HepFilterTruth_label": label.astype(np.int32),
        "HepFilterTruth_isSignal": is_signal,
        "HepFilterTruth_point": np.zeros(len(rows), dtype=np.float32),
    }
