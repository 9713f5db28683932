"""The plan of a skim, beside what the skim then does."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hepfilter.errors import HepfilterError, OutputError, SourceError, UsageError
from hepfilter.io.sources import expand_inputs
from hepfilter.skim import file_reading, probing
from hepfilter.skim.file_reading import open_reader
from hepfilter.skim.first_pass import ask
from hepfilter.skim.pipeline import skim
from hepfilter.skim.planning import SkimPlan, plan_skim
from hepfilter.skim.recipe import Recipe, make_recipe
from hepfilter.work.execution import Execution
from hepfilter.work.ledger import ledger_folder
from tests.nano import make_nano


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("planning")
    return [make_nano(folder / f"{number}.root", 1500, seed=number, basket=500) for number in range(2)]


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "UNIT_ENTRIES", 500)
    monkeypatch.setattr(probing, "_SECONDS", 600.0)  # a slow machine reads as many


def planned(sources: list[Path], output: Path, **options: object) -> SkimPlan:
    """The plan, which leaves nothing in the output's folder."""
    before = sorted(output.parent.rglob("*"))
    plan = plan_skim([*map(str, sources)], output, make_recipe(**options))
    assert sorted(output.parent.rglob("*")) == before
    return plan


def test_a_cut_is_estimated_as_the_skim_then_finds_it(sources, tmp_path):
    output = tmp_path / "o.root"
    plan = planned(sources, output, where="nMuon >= 1")
    assert (len(plan.files), plan.entries, plan.steps, plan.decision) == (2, 3000, ("where",), None)
    assert plan.size == sum(source.stat().st_size for source in sources)
    assert [file.units for file in plan.files] == [3, 3]
    assert "nMuon" in plan.branches.read and "Muon_pt" not in plan.branches.read
    assert plan.scores is None
    assert plan.probe is not None and plan.estimate is not None
    assert plan.probe.events == 2000 and len({piece.path for piece in plan.probe.pieces}) == 2
    report = skim([*map(str, sources)], output, make_recipe(where="nMuon >= 1"))
    assert plan.estimate.events == pytest.approx(report.passed, rel=0.15)
    assert plan.estimate.size == pytest.approx(output.stat().st_size, rel=0.3)
    read = report.bytes_read - plan.estimate.selecting_bytes
    assert 0 < plan.estimate.selecting_bytes < report.bytes_read / 3
    assert 0 < read <= 1.1 * plan.estimate.writing_bytes
    assert plan.estimate.seconds > 0


def test_a_share_is_known(sources, tmp_path, untrained_model):
    plan = planned(sources, tmp_path / "o.root", keep="10%", model=str(untrained_model))
    assert plan.estimate is not None and plan.scores is not None
    assert (plan.estimate.events, plan.decision) == (300, "the 10% of highest score")
    assert "Jet_pt" in plan.branches.read
    assert plan.scores["device_class"] == "cpu-float32"


def test_branches_that_are_kept_and_dropped_are_named(sources, tmp_path):
    plan = planned(sources, tmp_path / "o.root", drop_branches=["Jet_*"])
    assert {"Jet_pt", "nJet"} <= set(plan.branches.dropped)
    assert "Muon_pt" in plan.branches.kept
    assert not set(plan.branches.kept) & set(plan.branches.dropped)


def test_fewer_branches_make_a_smaller_output(sources, tmp_path):
    sizes = [
        planned(sources, tmp_path / "o.root", where="1", **options).estimate.size
        for options in ({}, {"keep_branches": ["nMuon"]})
    ]
    assert sizes[1] < sizes[0] / 3


def test_workers_share_the_time(sources, tmp_path):
    plan = planned(sources, tmp_path / "o.root", where="nMuon >= 1")
    assert plan.probe is not None
    recipe, inputs = make_recipe(where="nMuon >= 1"), expand_inputs([*map(str, sources)])
    reader = open_reader(ask(inputs, recipe, device="cpu", identified=False, execution=Execution()))
    heads = [reader.head(source) for source in inputs.sources]
    one, three, done = (
        probing.estimate(plan.probe, heads, recipe, Execution(workers), read)
        for workers, read in ((1, 0), (3, 0), (1, 1500))
    )
    assert three.selecting_seconds == pytest.approx(one.selecting_seconds / 3)
    assert done.selecting_seconds == pytest.approx(one.selecting_seconds / 2)
    assert done.events == one.events


def test_a_budget_that_the_probe_cannot_tell_is_said_to_be_so(sources, tmp_path):
    menu = tmp_path / "rare.yaml"
    menu.write_text("name: rare\nmodel: interest-objects\npaths: {odd: {score: interest, fraction: 0.1%}}\n")
    plan = plan_skim(str(sources[0]), tmp_path / "o.root", make_recipe(menu=str(menu)))
    assert plan.estimate is not None and plan.probe is not None
    assert "give a sample of" in plan.probe.undecided
    assert (plan.estimate.events, plan.estimate.size, plan.estimate.seconds) == (None, None, None)
    assert plan.estimate.selecting_bytes > 0
    assert plan.decision == "menu rare"


def test_no_events_are_no_estimate(tmp_path):
    source = make_nano(tmp_path / "empty.root", 0)
    plan = planned([source], tmp_path / "o.root", where="1")
    assert (plan.entries, plan.probe, plan.estimate) == (0, None, None)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ({"where": "nMuno > 1"}, {}),
        ({}, {}),
        ({"where": "1", "schema": "nanoad"}, {}),
        ({"where": "1", "keep_branches": ["nothing*"]}, {}),
        ({"where": "1"}, {"unblind": True}),
        ({"where": "1"}, {"resume": True}),
        ({"where": "1"}, {"on_bad_file": "ignore"}),
        ({"where": "1", "fills": {"nMuon": 1.0}, "layout": "union"}, {}),
        ({"lumi_mask": "no-such.json"}, {}),
    ],
)
def test_what_the_skim_refuses_the_plan_refuses_alike(sources, tmp_path, recipe, options):
    told = []
    for refuse in skim, plan_skim:
        with pytest.raises(HepfilterError) as caught:
            refuse(str(sources[0]), tmp_path / "o.root", Recipe(**recipe), **options)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_do_not_go_together_are_refused(sources, tmp_path):
    copy = tmp_path / "copy.root"
    shutil.copy(sources[0], copy)
    with pytest.raises(SourceError, match="is a copy of"):
        planned([sources[0], copy], tmp_path / "o.root", where="1")


def test_an_output_that_exists_is_refused_or_said_to_be_replaced(sources, tmp_path):
    output = tmp_path / "o.root"
    output.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists; give another name"):
        planned(sources, output, where="1")
    plan = plan_skim(str(sources[0]), output, make_recipe(where="1"), force=True)
    assert plan.replaced == (str(output),)
    assert output.read_bytes() == b"old"
    with pytest.raises(UsageError, match="is one of the inputs"):
        planned(sources, sources[0], where="1")


def test_an_input_that_cannot_be_read_is_refused_or_quarantined(sources, tmp_path):
    bad = tmp_path / "bad.root"
    bad.write_bytes(sources[0].read_bytes()[:2000])
    with pytest.raises(SourceError, match="is cut short"):
        planned([sources[0], bad], tmp_path / "o.root", where="1")
    plan = plan_skim([sources[0], bad], tmp_path / "o.root", make_recipe(where="1"), on_bad_file="quarantine")
    assert [one.path for one in plan.bad] == [str(bad)]
    assert len(plan.files) == 1


def test_a_run_to_go_on_with_is_found_and_left_alone(sources, tmp_path, monkeypatch):
    from hepfilter.skim import pipeline

    output, recipe = tmp_path / "o.root", make_recipe(where="nMuon >= 1")

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "decide_events", fail)
    with pytest.raises(KeyboardInterrupt):
        skim([*map(str, sources)], output, recipe)
    monkeypatch.undo()
    monkeypatch.setattr(file_reading, "UNIT_ENTRIES", 500)
    monkeypatch.setattr(probing, "_SECONDS", 600.0)  # a slow machine reads as many
    held = {path: path.read_bytes() for path in ledger_folder(output).iterdir()}
    plan = plan_skim([*map(str, sources)], output, recipe, resume=True)
    assert plan.earlier is not None and (plan.earlier.read, plan.earlier.folder) == (3000, ledger_folder(output))
    assert plan.estimate is not None and plan.estimate.selecting_seconds == 0
    assert {path: path.read_bytes() for path in ledger_folder(output).iterdir()} == held
    with pytest.raises(OutputError, match="unfinished run with other where"):
        plan_skim([*map(str, sources)], output, replace(recipe, where="nMuon >= 2"))
    other = plan_skim([*map(str, sources)], output, replace(recipe, where="nMuon >= 2"), force=True)
    assert other.earlier is None
    assert {path: path.read_bytes() for path in ledger_folder(output).iterdir()} == held
    assert skim([*map(str, sources)], output, recipe).resumed == 3000
