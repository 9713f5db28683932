import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.config.card import Card
from hepfilter.config.sample import Production
from hepfilter.errors import OutputError, SimulationError, UsageError
from hepfilter.simulation import scheduling
from hepfilter.simulation.blocks import BlockTask, MadeBlock, make_block
from hepfilter.simulation.nano import event_columns
from hepfilter.simulation.sample import PROCESS_TABLE, SampleReport, _efficiency, simulate
from hepfilter.simulation.scheduling import BlockTally, Progress
from hepfilter.simulation.store import open_store

# A Z to muons and a parton that recoils, without shower and hadrons: 2000 events a second, and the Z of the hard
# process is the one that decays.
Z_JET = (
    "WeakBosonAndParton:qqbar2gmZg = on",
    "WeakBosonAndParton:qg2gmZq = on",
    "PhaseSpace:pTHatMin = 20",
    "23:onMode = off",
    "23:onIfAny = 13",
    "PartonLevel:ISR = off",
    "PartonLevel:FSR = off",
    "BeamRemnants:primordialKT = off",
    "HadronLevel:Hadronize = off",
    "HadronLevel:Decay = off",
)
Z_ABOVE_40 = ({"pdg_id": (23,), "pt_min": 40},)
MUON_ABOVE_40 = ({"collection": "Muon", "pt_min": 40},)


def _card(name: str, **more: Any) -> Card:
    made = {"family": "own", "is_signal": False, "label": 5, "settings": Z_JET, "multiple_interactions": False}
    made["cross_section_pb"] = 2.0  # spares the pilot
    return Card.model_validate({"name": name, "title": name, **made, **more})


def _content(path: Path) -> dict[str, ak.Array]:
    """Every branch of every tree."""
    with uproot.open(path) as file:
        trees = {name: file[name].arrays() for name in ("Events", "Runs", "LuminosityBlocks")}
    return {f"{name}.{field}": array[field] for name, array in trees.items() for field in array.fields}


def _weights(content: dict[str, ak.Array]) -> Any:
    return ak.to_numpy(content["Events.genWeight"]).astype(np.float64)


def _same(one: dict[str, ak.Array], two: dict[str, ak.Array]) -> bool:
    return list(one) == list(two) and all(ak.array_equal(one[name], two[name], equal_nan=True) for name in one)


def test_the_file_holds_the_trees_of_nanoaod(sample: SampleReport, sample_file: Path) -> None:
    with uproot.open(sample_file) as file:
        assert set(file.keys(cycle=False)) == {"Events", "Runs", "LuminosityBlocks", PROCESS_TABLE}
        events = file["Events"]
        assert events.num_entries == sample.events == 120
        assert events["Muon_pt"].member("fLeaves")[0].member("fTitle") == "Muon_pt[nMuon]"
        assert events["Muon_pt"].title == "p_{T}"
        for column in event_columns(particles=True):
            content = events[column.name].array(entry_stop=1).layout
            dtype = content.content.dtype if column.counter else content.dtype
            assert dtype == np.dtype(column.dtype), column.name
        assert events["event"].title == "event/l"
        assert events["HepFilterTruth_isSignal"].typename == "bool"
        assert events["HepFilterTruth_label"].typename == "int32_t"
        assert events["nMuon"].array().tolist() == ak.num(events["Muon_pt"].array()).tolist()


def test_labels_weights_and_books(sample: SampleReport, sample_file: Path) -> None:
    content = _content(sample_file)
    background, signal = sample.processes
    weights = ak.to_numpy(content["Events.genWeight"]).astype(np.float64)
    assert weights[:60].sum() == pytest.approx(background.cross_section.value_pb, rel=1e-6)
    assert weights[60:].sum() == pytest.approx(signal.cross_section.value_pb, rel=1e-6)
    assert content["Events.HepFilterTruth_label"].tolist() == [3] * 60 + [102] * 60
    assert content["Events.HepFilterTruth_isSignal"].tolist() == [False] * 60 + [True] * 60
    assert content["Runs.genEventCount"].tolist() == [120]
    assert content["Runs.genEventSumw"].tolist() == pytest.approx([weights.sum()], rel=1e-12)
    assert content["Runs.genEventSumw2"].tolist() == pytest.approx([(weights**2).sum()], rel=1e-12)
    blocks = sorted(set(content["Events.luminosityBlock"].tolist()))
    assert content["LuminosityBlocks.luminosityBlock"].tolist() == blocks == [1, 2]
    assert content["LuminosityBlocks.run"].tolist() == [1, 1]
    identity = list(
        zip(*(content[f"Events.{name}"].tolist() for name in ("run", "luminosityBlock", "event")), strict=True)
    )
    assert len(set(identity)) == 120


def test_the_table_of_processes_makes_the_cards_again(sample: SampleReport, sample_file: Path) -> None:
    with uproot.open(sample_file) as file:
        table = json.loads(str(file[PROCESS_TABLE]))
    assert (table["seed"], table["block_events"], table["particles"], table["pileup"]) == (7, 500, True, 0.0)
    assert [process["name"] for process in table["processes"]] == ["zjets@50", "zprime_ll"]
    for process, report in zip(table["processes"], sample.processes, strict=True):
        card = Card.model_validate({key: process[key] for key in Card.model_fields})
        assert card == report.card
        assert process["cross_section_pb"] is None
        assert process["generator_cross_section_pb"] == report.cross_section.value_pb > 0
        assert (process["events"], process["generated"]) == (60, 60)
        assert process["filter_efficiency"] == pytest.approx(1.0, rel=1e-6)


def test_heavy_z_has_its_mass(sample_file: Path) -> None:
    content = {
        name.removeprefix("Events."): values[60:] for name, values in _content(sample_file).items() if "Events" in name
    }
    masses = []
    for kind in ("Electron", "Muon"):
        pt, eta, phi = (content[f"{kind}_{field}"] for field in ("pt", "eta", "phi"))
        two = ak.num(pt[pt > 200]) == 2
        lead = [values[two][pt[two] > 200] for values in (pt, eta, phi)]
        a, b = ([values[:, place] for values in lead] for place in (0, 1))
        masses.append(np.sqrt(2 * a[0] * b[0] * (np.cosh(a[1] - b[1]) - np.cos(a[2] - b[2]))))
    mass = np.concatenate(masses)
    assert len(mass) > 25
    # Width 60 GeV, and muons of 1 TeV measured to 10 %; leading-order lineshapes have a tail at low mass.
    assert np.median(mass) == pytest.approx(2000.0, rel=0.08)


def test_particles_make_up_the_missing_momentum_and_the_jets(sample_file: Path) -> None:
    content = _content(sample_file)
    pt, phi = content["Events.PFCands_pt"], content["Events.PFCands_phi"]
    x = ak.sum(pt * np.cos(phi), axis=1)
    assert ak.to_numpy(content["Events.MET_pt"] * np.cos(content["Events.MET_phi"])) == pytest.approx(
        -ak.to_numpy(x), abs=0.05
    )
    assert ak.all(ak.sum(pt, axis=1) >= ak.sum(content["Events.Jet_pt"], axis=1) - 1e-2)
    assert set(np.abs(ak.flatten(content["Events.PFCands_pdgId"])).tolist()) == {11, 13, 22, 130, 211}


def test_content_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    productions = [
        Production(_card("plain"), 700),
        Production(_card("cut", is_signal=True, label=6, generator_filter=Z_ABOVE_40), 300),
        Production(_card("seen", is_signal=True, label=7, detector_filter=MUON_ABOVE_40), 10),
    ]
    contents, reports = [], []
    for workers in (1, 2, 3):
        told = dict.fromkeys(("plain", "cut", "seen"), 0)

        def follow(name: str, count: int, told: dict[str, int] = told) -> None:
            told[name] += count

        output = tmp_path / f"{workers}.root"
        reports.append(simulate(productions, seed=3, output=output, workers=workers, progress=follow))
        contents.append(_content(output))
        assert told == {"plain": 700, "cut": 300, "seen": 10}
    assert _same(contents[0], contents[1])
    assert _same(contents[0], contents[2])
    books = [[(p.events, p.generated, p.books) for p in report.processes] for report in reports]
    assert books[0] == books[1] == books[2]
    assert [p.events for p in reports[0].processes] == [700, 300, 10]
    blocks = contents[0]["Events.luminosityBlock"]
    assert blocks[:700].tolist() == [1] * 500 + [2] * 200
    assert np.all(np.diff(ak.to_numpy(blocks)) >= 0)
    assert contents[0]["LuminosityBlocks.luminosityBlock"].tolist() == list(range(1, int(blocks[-1]) + 1))
    assert not np.array_equal(contents[0]["Events.MET_pt"][:300], contents[0]["Events.MET_pt"][700:1000])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.root", "2.root", "3.root"]


def test_more_events_begin_with_the_same_ones_and_other_seeds_do_not(tmp_path: Path) -> None:
    contents = []
    for events, seed in ((500, 3), (600, 3), (500, 4)):
        simulate([Production(_card("one"), events)], seed=seed, output=tmp_path / "o.root")
        contents.append(_content(tmp_path / "o.root"))
    short, long, other = contents
    for name in ("Jet_pt", "MET_pt", "event", "luminosityBlock"):
        assert ak.array_equal(short[f"Events.{name}"], long[f"Events.{name}"][:500])
    assert not np.array_equal(short["Events.MET_pt"], other["Events.MET_pt"])
    assert not set(short["Events.event"].tolist()) & set(other["Events.event"].tolist())


def _z_pt(content: dict[str, ak.Array]) -> Any:
    is_z = content["Events.GenPart_pdgId"] == 23
    return ak.to_numpy(ak.max(content["Events.GenPart_pt"][is_z], axis=1))


def _muon_pt(content: dict[str, ak.Array]) -> Any:
    return ak.to_numpy(ak.fill_none(ak.max(content["Events.Muon_pt"], axis=1), 0.0))


@pytest.mark.parametrize(
    ("filters", "measured"),
    [({"generator_filter": Z_ABOVE_40}, _z_pt), ({"detector_filter": MUON_ABOVE_40}, _muon_pt)],
    ids=["generator", "detector"],
)
def test_a_filtered_process_is_the_unfiltered_one_cut_by_hand(
    tmp_path: Path, filters: dict[str, Any], measured: Callable[[dict[str, ak.Array]], Any]
) -> None:
    whole = simulate([Production(_card("z"), 1500)], seed=3, output=tmp_path / "whole.root")
    (process,) = simulate([Production(_card("z", **filters), 310)], seed=3, output=tmp_path / "cut.root").processes
    content, cut = _content(whole.output), _content(tmp_path / "cut.root")
    by_hand = np.flatnonzero(measured(content) >= 40.0)[:310]
    assert 500 < process.generated < 1500
    # Generated were the events up to the last one that was wanted, no more.
    assert process.generated == by_hand[-1] + 1
    assert cut["Events.event"].tolist() == content["Events.event"][by_hand].tolist()
    assert len(set(cut["Events.event"].tolist())) == process.events == 310
    assert np.all(measured(cut) >= 40.0)
    # The last event ended the count, and counts neither here nor there.
    assert process.efficiency == pytest.approx(309 / (process.generated - 1), rel=1e-12)
    assert _weights(cut).sum() == pytest.approx(2.0 * process.efficiency, rel=1e-6)
    # The same share of the whole, within the errors of both: they have most of their events in common.
    share = np.mean(measured(content) >= 40.0)
    assert abs(process.efficiency - share) < 4 * math.sqrt(share * (1 - share) / process.generated)
    blocks = cut["Events.luminosityBlock"].tolist()
    assert blocks == [1 + place // 500 for place in by_hand.tolist()]


def test_blocks_without_any_event_that_passes(tmp_path: Path) -> None:
    rare = _card("rare", generator_filter=({"pdg_id": (23,), "pt_min": 400},))
    (process,) = simulate([Production(rare, 2)], seed=1, output=tmp_path / "o.root").processes
    content = _content(tmp_path / "o.root")
    blocks = content["Events.luminosityBlock"].tolist()
    listed = content["LuminosityBlocks.luminosityBlock"].tolist()
    assert len(blocks) == process.events == 2
    assert listed == list(range(1, blocks[-1] + 1))
    assert len(set(listed) - set(blocks)) > 0
    assert np.all(_z_pt(content) >= 400.0)
    assert _weights(content) == pytest.approx(np.full(2, 1.0 / (process.generated - 1)), rel=1e-6)


def test_a_filter_that_nothing_passes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "HOPELESS_EVENTS", 1000)
    hopeless = _card("hopeless", generator_filter=({"pdg_id": (6,)},))
    with pytest.raises(SimulationError, match=r"^card hopeless: none of the first 1000 events passes the filters"):
        simulate([Production(hopeless, 5)], seed=1, output=tmp_path / "o.root")
    assert not (tmp_path / "o.root").exists()


def test_biased_generation_reaches_higher_and_its_weights_undo_it(tmp_path: Path) -> None:
    jets = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 20", *Z_JET[5:])
    bias = ("PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionRef = 20")
    cards = [
        _card("plain", settings=jets, cross_section_pb=None),
        _card("biased", settings=(*jets, *bias), label=6, cross_section_pb=None),
    ]
    report = simulate([Production(card, 2000) for card in cards], seed=5, output=tmp_path / "o.root")
    content = _content(tmp_path / "o.root")
    pt_hat, weights = ak.to_numpy(content["Events.Generator_binvar"]), _weights(content)
    plain, biased = slice(0, 2000), slice(2000, 4000)
    for process, part in zip(report.processes, (plain, biased), strict=True):
        assert weights[part].sum() == pytest.approx(process.cross_section.value_pb, rel=1e-6)
        assert process.efficiency == pytest.approx(1.0, rel=1e-6)
    one, two = (process.cross_section for process in report.processes)
    assert abs(one.value_pb - two.value_pb) < 4 * math.hypot(one.error_pb, two.error_pb)
    assert len(set(weights[plain].tolist())) == 1
    assert np.ptp(weights[biased]) > 0.5 * weights[biased].max()
    assert np.median(pt_hat[biased]) > 1.5 * np.median(pt_hat[plain])
    edges = [20, 22, 25, 30, 40, 60, np.inf]
    sums, squares = (
        [np.histogram(pt_hat[part], edges, weights=weights[part] ** power)[0] for part in (plain, biased)]
        for power in (1, 2)
    )
    pulls = (sums[0] - sums[1]) / np.sqrt(squares[0] + squares[1])
    assert np.all(np.abs(pulls) < 4)
    assert np.all(squares[1][-1] < 0.2 * squares[0][-1])  # where the bias helps, the error is far smaller


def test_events_of_a_filtered_biased_process_keep_their_own_weights(tmp_path: Path) -> None:
    settings = (*Z_JET, "PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionRef = 20")
    whole = simulate([Production(_card("z", settings=settings), 500)], seed=3, output=tmp_path / "whole.root")
    card = _card("z", settings=settings, generator_filter=Z_ABOVE_40)
    (process,) = simulate([Production(card, 100)], seed=3, output=tmp_path / "cut.root").processes
    content, cut = _content(whole.output), _content(tmp_path / "cut.root")
    by_hand = np.flatnonzero(_z_pt(content) >= 40.0)[:100]
    weights = _weights(content)[: process.generated]
    efficiency = weights[by_hand[:-1]].sum() / weights[:-1].sum()
    assert process.generated == by_hand[-1] + 1 < 500
    assert process.efficiency == pytest.approx(efficiency, rel=1e-5)
    assert _weights(cut) == pytest.approx(2.0 * efficiency * weights[by_hand] / weights[by_hand].sum(), rel=1e-5)
    assert len(set(_weights(cut).tolist())) > 50


def test_the_efficiency_has_no_bias_however_few_events_are_asked_for() -> None:
    rng, share, wanted = np.random.default_rng(1), 0.3, 3
    task = BlockTask(_card("toy"), seed=1, block=0, events=500, particles=False, pileup=0.0)
    found, naive = [], []
    for _ in range(4000):
        place = np.cumsum(rng.geometric(share, wanted)) - 1
        made = BlockTally(task, place, np.ones(place[-1] + 1))
        found.append(_efficiency([made]))
        naive.append(wanted / len(made.weights))
        assert found[-1] == pytest.approx((wanted - 1) / place[-1], rel=1e-12)
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - share) < 4 * error
    assert np.mean(naive) - share > 10 * error


def test_the_efficiency_counts_weights_over_all_blocks_and_one_event_alone_is_its_share() -> None:
    task = BlockTask(_card("toy"), seed=1, block=0, events=4, particles=False, pileup=0.0)
    first = BlockTally(task, np.array([1, 2]), np.array([1.0, 2.0, 3.0, 4.0]))
    last = BlockTally(task, np.array([0, 2]), np.array([5.0, 6.0, 7.0]))
    assert _efficiency([first, last]) == pytest.approx((2 + 3 + 5) / (1 + 2 + 3 + 4 + 5 + 6))
    assert _efficiency([BlockTally(task, np.array([3]), np.ones(4))]) == 0.25


def test_wrong_filters_are_told_before_anything_is_generated(tmp_path: Path) -> None:
    # The generator would fail, in the pilot already: it is not begun.
    for particles, asked, said in (
        (False, {"collection": "Muons"}, "filter on Muons, but there is no such collection"),
        (False, {"collection": "PFCands"}, "filter on PFCands, but there is no such collection"),
        (True, {"collection": "Muon", "minimum": {"tightID": 1}}, "filter on Muon_tightID, but there is no such field"),
    ):
        broken = _card("broken", settings=BROKEN, cross_section_pb=None, detector_filter=(asked,))
        with pytest.raises(SimulationError, match=f"^card broken: {said}"):
            simulate([Production(broken, 5)], seed=1, output=tmp_path / "o.root", particles=particles)
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import sys
from tests.simulation.test_sample import long_sample
if __name__ == "__main__":
    long_sample(sys.argv[1], workers=int(sys.argv[2]))
"""


def long_sample(output: str | Path, *, workers: int = 1, progress: Progress | None = None) -> SampleReport:
    """Some seven blocks, of a process without a filter and one with."""
    productions = [Production(_card("plain"), 2000), Production(_card("cut", generator_filter=Z_ABOVE_40), 400)]
    return simulate(productions, seed=3, output=output, workers=workers, progress=progress)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ak.Array]:
    return _content(long_sample(tmp_path_factory.mktemp("undisturbed") / "o.root").output)


def _kill_after_blocks(output: Path, *, workers: int, blocks: int) -> list[Path]:
    """Begin the sample in a process of its own, and kill it when so many blocks are finished; those that lie there."""
    script = output.with_name("interrupted.py")
    script.write_text(INTERRUPTED)
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, str(script), str(output), str(workers)]
    running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}, start_new_session=True)
    folder, patience = output.with_name(f"{output.name}.blocks"), time.monotonic() + 60.0
    while len(list(folder.glob("*.block"))) < blocks:
        assert running.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)  # with its workers, as a batch system does
    assert running.wait() == -signal.SIGKILL
    script.unlink()
    return sorted(folder.glob("*.block"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_sample_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, ak.Array], workers: int
) -> None:
    output = tmp_path / "o.root"
    finished = _kill_after_blocks(output, workers=workers, blocks=3)
    assert len(finished) >= 3
    assert not output.exists()
    made: list[tuple[str, int]] = []

    def counted(task: BlockTask) -> MadeBlock:
        made.append((task.card.name, task.block))
        return make_block(task)

    monkeypatch.setattr(scheduling, "make_block", counted)
    long_sample(output)
    assert _same(_content(output), undisturbed)
    taken_up = {(name, block) for name, _, block, _ in (path.stem.split("-") for path in finished)}
    assert len(made) == len(set(made)) > 0
    assert not {(name, f"{block:06}") for name, block in made} & taken_up
    assert [path.name for path in tmp_path.iterdir()] == ["o.root"]


def test_a_killed_worker_costs_nothing(tmp_path: Path, undisturbed: dict[str, ak.Array]) -> None:
    killed: list[int | None] = []

    def kill_one(process: str, events: int) -> None:
        if len(killed) < 2:
            (victim, *_) = multiprocessing.active_children()
            killed.append(victim.pid)
            victim.kill()

    report = long_sample(tmp_path / "o.root", workers=2, progress=kill_one)
    assert len(set(killed)) == 2
    assert _same(_content(report.output), undisturbed)
    assert [path.name for path in tmp_path.iterdir()] == ["o.root"]


def _interrupted_after_a_block(output: Path) -> Path:
    """The one block that is left by a sample which ended after it."""

    def interrupt(process: str, events: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate([Production(_card("one"), 600)], seed=3, output=output, progress=interrupt)
    (block,) = output.with_name(f"{output.name}.blocks").glob("*.block")
    return block


def test_a_damaged_block_is_told_by_name(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    block = _interrupted_after_a_block(output)
    block.write_bytes(block.read_bytes()[:-20])
    with pytest.raises(OutputError, match="is damaged; remove it and run the same command again") as caught:
        simulate([Production(_card("one"), 600)], seed=3, output=output)
    assert str(block) in str(caught.value)
    assert not output.exists()
    block.unlink()
    assert simulate([Production(_card("one"), 600)], seed=3, output=output).events == 600


def test_blocks_of_another_seed_are_neither_taken_up_nor_removed(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    block = _interrupted_after_a_block(output)
    content = block.read_bytes()
    with pytest.raises(OutputError, match=r"o\.root\.blocks: holds 1 block of another sample, such as one-") as caught:
        simulate([Production(_card("one"), 600)], seed=4, output=output)
    assert block.name in str(caught.value)
    assert block.read_bytes() == content and not output.exists()
    # The same sample goes on, also with more events than it was begun with.
    assert simulate([Production(_card("one"), 700)], seed=3, output=output).events == 700
    assert [path.name for path in tmp_path.iterdir()] == ["o.root"]


def test_a_second_run_on_the_same_output_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    with (
        open_store(output),
        pytest.raises(OutputError, match=r"o\.root: another run is making it; wait for it, or give another name"),
    ):
        simulate([Production(_card("one"), 5)], seed=1, output=output)
    assert simulate([Production(_card("one"), 5)], seed=1, output=output).events == 5


BROKEN = ("HardQCD:all = on", "PhaseSpace:pTHatMin = 8000")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_generator_that_fails_leaves_nothing(tmp_path: Path, workers: int) -> None:
    # The stated cross-section spares the pilot: it is the block that fails.
    broken = _card("broken", settings=BROKEN)
    with pytest.raises(SimulationError, match="card broken: Pythia does not initialise: Error in ProcessLevel::init"):
        simulate([Production(broken, 3)], seed=1, output=tmp_path / "o.root", workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_before_the_generator_failed_waits_for_the_next_run(tmp_path: Path) -> None:
    productions = [Production(_card("good"), 3), Production(_card("broken", settings=BROKEN), 3)]
    with pytest.raises(SimulationError, match="card broken"):
        simulate(productions, seed=1, output=tmp_path / "o.root")
    (folder,) = tmp_path.iterdir()
    assert folder.name == "o.root.blocks"
    assert [path.name.split("-")[0] for path in folder.glob("*.block")] == ["good"]


def test_a_card_whose_pilot_fails_is_told_before_any_event(tmp_path: Path) -> None:
    productions = [Production(_card("good"), 3), Production(_card("broken", settings=BROKEN, cross_section_pb=None), 3)]
    with pytest.raises(SimulationError, match="card broken: Pythia does not initialise"):
        simulate(productions, seed=1, output=tmp_path / "o.root")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "no card"),
        (["a", "b", "a"], {}, "cards of the same name: a"),
        (["a"], {"events": 0}, "events must lie between 1 and"),
        (["a"], {"workers": 0}, "workers must be at least 1, not 0"),
        (["a"], {"seed": -1}, "seed must not be negative, it is -1"),
        (["a"], {"pileup": -1}, "pileup must lie between 0 and 400, not -1"),
        (["a"], {"pileup": 401}, "pileup must lie between 0 and 400, not 401"),
        (["a"], {"pileup": math.nan}, "pileup must lie between 0 and 400, not nan"),
    ],
)
def test_impossible_options(tmp_path: Path, names: list[str], options: dict[str, Any], message: str) -> None:
    settings = {"events": 5, "seed": 1, "workers": 1, **options}
    events = settings.pop("events")
    productions = [Production(_card(name), events) for name in names]
    with pytest.raises(UsageError, match=message):
        simulate(productions, output=tmp_path / "o.root", **settings)
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_found_and_nano_events_opens_it(sample_file: Path) -> None:
    nanoevents = pytest.importorskip("coffea.nanoevents")
    factory = nanoevents.NanoEventsFactory.from_root({str(sample_file): "Events"}, mode="virtual")
    events = factory.events()
    assert len(events) == 120
    hard = events.GenPart[abs(events.GenPart.pdgId) == 11]
    assert ak.all(abs(hard[60:].parent.pdgId) == 32)
    assert events.Jet.pt.tolist() == _content(sample_file)["Events.Jet_pt"].tolist()
