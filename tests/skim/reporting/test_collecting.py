"""What is told of a run is what its inputs, their scores and the output say, told without the code under test."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.errors import SourceError, UsageError
from hepfilter.events.spectra import SPECTRUM_EDGES
from hepfilter.io.sources import Source
from hepfilter.scoring.score import score_files
from hepfilter.skim.merging import merge
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.reporting.collecting import collect_report
from hepfilter.skim.reporting.containers import RunReport, SkimStory
from hepfilter.skim.reporting.signals import parse_signals
from hepfilter.statistics.intervals import efficiency
from hepfilter.trigger.lock import Trigger
from tests.nano import make_nano

EVENTS = 1500


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files; of the first the weights differ from event to event."""
    folder = tmp_path_factory.mktemp("in")
    weights = np.random.default_rng(5).uniform(0.2, 2, EVENTS).astype(np.float32)
    return [
        make_nano(
            folder / f"{n}.root",
            EVENTS,
            seed=n + 1,
            first_event=10_000 * n,
            basket=EVENTS,
            plant={"genWeight": weights},
        )
        for n in range(2)
    ]


@pytest.fixture(scope="module")
def scores(inputs, untrained_model, tmp_path_factory) -> list[np.ndarray]:
    """The interest of all events of each file."""
    folder = tmp_path_factory.mktemp("scores")
    found = []
    for number, path in enumerate(inputs):
        score_files(path, folder / f"{number}.root", model=str(untrained_model))
        with uproot.open(folder / f"{number}.root") as file:
            tree = file[next(name for name, kind in file.classnames().items() if kind == "TTree")]
            found.append(tree["HepFilter_interest"].array(library="np"))
    return found


def values(paths: list[Path], name: str) -> np.ndarray:
    return np.concatenate([uproot.open({path: "Events"})[name].array(library="np") for path in paths])


def collect(*paths: Path, **more: object) -> RunReport:
    return collect_report([Source(str(path)) for path in paths], **more)  # type: ignore[arg-type]


def story(*paths: Path, **more: object) -> SkimStory:
    (only,) = collect(*paths, **more).stories
    return only


def menu(**more: object) -> Trigger:
    paths = {
        "jets": {"when": "nJet >= 6"},
        "met": {"when": "MET_pt > 60", "prescale": 3},
        "secret": {"when": "nMuon >= 4", "blind": True},
    }
    return Trigger(Menu.model_validate({"name": "m", "model": None, "paths": paths, **more}))


def test_a_scan_says_of_every_threshold_what_numpy_says(inputs, scores, untrained_model, tmp_path):
    out = tmp_path / "o.root"
    report = skim(inputs, out, Recipe(keep=Fraction(10, 100), model=str(untrained_model)))
    (scan,) = story(out, signals={"more": [Source(str(inputs[1]))]}, device="cpu").scans
    every, weights = np.concatenate(scores), values(inputs, "genWeight").astype(float)
    assert [row.name for row in scan.rows] == ["all events", *map(str, inputs), "more"]
    assert [row.kind for row in scan.rows] == ["all", "dataset", "dataset", "signal"]
    assert scan.exact == report.threshold and scan.exact in scan.thresholds
    assert len(scan.thresholds) >= 5 and (np.diff(scan.thresholds) > 0).all()
    halves = [np.arange(len(every)) < EVENTS, np.arange(len(every)) >= EVENTS]
    for row, of in zip(scan.rows, [np.ones(len(every), bool), *halves, halves[1]], strict=True):
        for stop, threshold in enumerate(scan.thresholds):
            above = of & (every >= threshold)
            if threshold == scan.exact and row.kind != "signal":
                assert row.events[stop] <= above.sum() <= row.events[stop] + report.ties_dropped
                continue
            assert row.events[stop] == above.sum()
            assert row.weight[stop] == pytest.approx(weights[above].sum())
        stop = int(np.flatnonzero(scan.thresholds != scan.exact)[-2])  # near the top, where few pass
        known = efficiency(every[of] >= scan.thresholds[stop], weights[of])
        found = row.share.value[stop], row.share.lower[stop], row.share.upper[stop]
        assert found == pytest.approx((known.value, known.lower, known.upper))
    assert scan.rows[0].events[np.searchsorted(scan.thresholds, scan.exact)] == report.written


def test_turn_on_curves_are_those_of_all_events_where_the_control_stream_takes_all(inputs, tmp_path):
    out = tmp_path / "o.root"
    skim(inputs, out, Recipe(trigger=menu(control={"probability": 1.0})))
    found = story(out)
    assert found.n_control == 2 * EVENTS
    assert {curve.path for curve in found.turn_ons} == {"jets", "met"}
    (curve,) = [one for one in found.turn_ons if (one.path, one.variable) == ("met", "met")]
    met, weights = values(inputs, "MET_pt").astype(float), values(inputs, "genWeight").astype(float)
    assert curve.share.events.sum() == len(met)
    for low, high, place in zip(curve.edges[:-1], curve.edges[1:], range(len(curve.edges)), strict=False):
        inside = (met >= low) & ((met < high) | (high == curve.edges[-1]))
        known = efficiency(met[inside] > 60, weights[inside])
        assert curve.share.events[place] == inside.sum()
        assert curve.share.value[place] == pytest.approx(known.value)
        assert curve.share.lower[place] == pytest.approx(known.lower, abs=1e-6)
        assert curve.share.upper[place] == pytest.approx(known.upper, abs=1e-6)


def test_negative_weights_have_curves_and_spectra_below_0_no_divergence(untrained_model, tmp_path):
    signs = np.where(np.random.default_rng(3).random(EVENTS) < 0.2, -1.0, 1.0).astype(np.float32)
    path = make_nano(tmp_path / "nlo.root", EVENTS, basket=EVENTS, plant={"genWeight": signs})
    paths = {"met": {"when": "MET_pt > 60"}, "score": {"score": "interest", "threshold": 0}}
    trigger = menu(control={"probability": 1.0}, model=str(untrained_model), paths=paths)
    skim(path, tmp_path / "o.root", Recipe(trigger=trigger))
    found = story(tmp_path / "o.root")
    (curve,) = [one for one in found.turn_ons if (one.path, one.variable) == ("met", "met")]
    inside = values([path], "MET_pt") < curve.edges[1]
    known = efficiency((values([path], "MET_pt") > 60)[inside], signs[inside].astype(float))
    assert (curve.share.value[0], curve.share.upper[0]) == pytest.approx((known.value, known.upper))
    for scan in found.scans:
        assert np.isfinite(scan.rows[0].share.value).all()
        assert (scan.rows[0].share.lower <= scan.rows[0].share.value).all()
        assert (scan.rows[0].share.upper >= scan.rows[0].share.value).all()
    for one in found.sculpted:
        assert (one.before.weights < 0).any() == np.isnan(one.after[0].divergence)
    assert np.isnan([one.after[0].divergence for one in found.sculpted]).any()


def test_control_events_count_with_one_over_their_probability(inputs, untrained_model, scores, tmp_path):
    limit = float(np.quantile(np.concatenate(scores), 0.7))
    control = {"probability": 0.2, "score": "interest", "rising": [{"above": limit, "probability": 0.9}]}
    trigger = menu(control=control, model=str(untrained_model))
    skim(inputs, tmp_path / "o.root", Recipe(trigger=trigger))
    curves = [one for one in story(tmp_path / "o.root").turn_ons if (one.path, one.variable) == ("jets", "ht")]
    chosen = values([tmp_path / "o.root"], "HepFilter_stream_control").astype(bool)
    interest, jets = values([tmp_path / "o.root"], "HepFilter_interest"), values([tmp_path / "o.root"], "nJet")
    weights = values([tmp_path / "o.root"], "genWeight") / np.where(interest >= limit, 0.9, 0.2)
    (curve,) = curves
    known = (weights * (jets >= 6))[chosen].sum() / weights[chosen].sum()
    ht = per_event_ht([tmp_path / "o.root"])
    in_bin = [chosen & (ht >= low) & (ht < high) for low, high in zip(curve.edges[:-1], curve.edges[1:], strict=True)]
    in_bin[-1] |= chosen & (ht == curve.edges[-1])
    total = [weights[mask].sum() for mask in in_bin]
    assert np.average(curve.share.value, weights=total) == pytest.approx(known, rel=1e-3)


def per_event_ht(paths: list[Path]) -> np.ndarray:
    """The HT of what is left when objects are cleaned, as a model with all collections sees it."""
    from hepfilter.events.spectra import read_spectra
    from hepfilter.io.events import find_events
    from hepfilter.io.reading import open_file

    found = []
    for path in paths:
        with open_file(Source(str(path))) as file:
            record = find_events(file, wanted=("met", "muon", "electron", "photon", "jet")).read().record
        found.append(read_spectra(record, ("jet", "met"))["ht"])
    return np.concatenate(found)


def test_spectra_before_and_after_are_the_same_where_all_is_kept(inputs, untrained_model, tmp_path):
    skim(inputs, tmp_path / "all.root", Recipe(keep=Fraction(100, 100), model=str(untrained_model)))
    skim(inputs, tmp_path / "some.root", Recipe(keep=Fraction(5, 100), model=str(untrained_model)))
    for found in story(tmp_path / "all.root").sculpted:
        assert np.allclose(found.before.weights, found.after[0].spectrum.weights)
        assert found.after[0].divergence == pytest.approx(0, abs=1e-12)
    some = {one.observable: one.after[0] for one in story(tmp_path / "some.root").sculpted}
    assert set(some) == {"ht", "dijet_mass", "met"}
    met, weights = (values([tmp_path / "some.root"], name).astype(float) for name in ("MET_pt", "genWeight"))
    assert np.allclose(some["met"].spectrum.weights, np.histogram(met, SPECTRUM_EDGES, weights=weights)[0])
    assert some["met"].n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_what_a_menu_blinds_is_in_nothing_unless_that_was_lifted(inputs, untrained_model, tmp_path):
    blind = {"blind": ["MET_pt > 100"], "control": {"probability": 0.3}, "model": str(untrained_model)}
    paths = menu().menu.model_dump()["paths"] | {"score": {"score": "interest", "fraction": 0.05}}
    trigger = Trigger(Menu.model_validate({"name": "m", "paths": paths, **blind}))
    skim(inputs, tmp_path / "o.root", Recipe(trigger=trigger))
    skim(inputs, tmp_path / "all.root", Recipe(trigger=trigger), unblind=True)
    skim(inputs, tmp_path / "few.root", Recipe(trigger=trigger, drop_branches=("MET_pt",)))
    found, lifted, few = (story(tmp_path / f"{name}.root") for name in ("o", "all", "few"))
    branch = {
        name: values([tmp_path / "o.root"], f"HepFilter_{name}").astype(bool)
        for name in ("jets", "met", "score", "stream_control")
    }
    shown = np.any(list(branch.values()), axis=0) & (values([tmp_path / "o.root"], "MET_pt") <= 100)
    written = {one.observable: one.after[0].spectrum.counts.sum() for one in found.sculpted}
    assert written["met"] == shown.sum() < len(shown)
    assert found.n_control == (shown & branch["stream_control"]).sum()
    assert all(event.observables["met"] <= 100 and "secret" not in event.paths for event in found.top)
    assert {curve.path for curve in found.turn_ons} == {"jets", "met", "score"}
    assert lifted.sculpted[0].after[0].spectrum.counts.sum() == len(shown)
    assert "secret" in {curve.path for curve in lifted.turn_ons}
    assert few.top == () and few.turn_ons == () and few.n_control == 0


def test_merged_and_split_outputs_add_up_and_what_is_missing_is_named(inputs, untrained_model, tmp_path):
    model = str(untrained_model)
    for number, path in enumerate(inputs):
        skim(path, tmp_path / f"{number}.root", Recipe(keep=Fraction(10, 100), model=model))
    merge([Source(str(tmp_path / f"{n}.root")) for n in range(2)], tmp_path / "merged.root")
    skim(inputs, tmp_path / "split.root", Recipe(keep=Fraction(10, 100), model=model, split_events=100))
    merged, apart = collect(tmp_path / "merged.root"), collect(tmp_path / "0.root", tmp_path / "1.root")
    for report in (merged, apart):
        (only,) = report.stories
        assert [step.events for step in only.cutflow] == [2 * EVENTS, 2 * EVENTS // 10]
        assert len(only.parts) == 2 and only.summary is not None
        assert only.scans[0].rows[0].events[0] == 2 * EVENTS and only.scans[0].exact is None
        assert set(only.scans[0].marks.values()) == {part.facts["threshold"] for part in only.parts}
        assert sum(only.summary.runs.events) == 2 * EVENTS  # type: ignore[union-attr]
    assert merged.stories[0].top[0].scores == apart.stories[0].top[0].scores
    with pytest.raises(SourceError, match=r"merged.root: holds the same events as .*0.root"):
        collect(tmp_path / "0.root", tmp_path / "merged.root")
    others = sorted(tmp_path.glob("split*.root"))
    assert len(others) == 3
    report = collect(others[1])
    assert (len(report.outputs), report.missing) == (3, ())
    assert report.stories[0].cutflow[-1].events == sum(one.events for one in report.outputs) == 2 * EVENTS // 10
    others[0].unlink()
    report = collect(others[1])
    assert len(report.outputs) == 2 and [Path(one).name for one in report.missing] == [others[0].name]
    assert report.stories[0].without_summary == 1 and report.stories[0].cutflow == ()


def test_skims_of_different_recipes_are_told_of_apart(inputs, tmp_path):
    skim(inputs[0], tmp_path / "a.root", Recipe(where="nJet >= 2"))
    skim(inputs[1], tmp_path / "b.root", Recipe(where="nJet >= 3"))
    assert len(collect(tmp_path / "a.root", tmp_path / "b.root").stories) == 2


def test_a_signal_needs_a_model_and_a_name_and_only_outputs_have_a_report(inputs, tmp_path):
    skim(inputs[0], tmp_path / "a.root", Recipe(where="nJet >= 2"))
    with pytest.raises(UsageError, match="no score decided"):
        collect(tmp_path / "a.root", signals={"s": [Source(str(inputs[1]))]})
    with pytest.raises(UsageError, match="NAME=FILE"):
        parse_signals(["nothing"])
    with pytest.raises(SourceError, match="is no output of hepfilter"):
        collect(inputs[0])


def test_the_lock_gives_the_reference_and_an_uncalibrated_model_gives_none(inputs, untrained_model, tmp_path):
    from hepfilter.skim.rates import lock_menu
    from hepfilter.trigger.lock import read_trigger

    content = {"name": "m", "model": str(untrained_model), "paths": {"score": {"score": "interest", "fraction": 0.05}}}
    recipe = Recipe(trigger=Trigger(Menu.model_validate(content)))
    skim(inputs, tmp_path / "o.root", recipe)
    assert story(tmp_path / "o.root").references == {}
    assert "not calibrated" in story(tmp_path / "o.root").why_no_reference
    lock_menu([str(inputs[0])], recipe, tmp_path / "m.lock", progress=lambda *_: None)
    skim(inputs, tmp_path / "locked.root", Recipe(trigger=read_trigger(tmp_path / "m.lock")))
    (reference,) = story(tmp_path / "locked.root").references.values()
    assert f"the {EVENTS:,} events" in reference.source
    assert reference.shares.sum() == pytest.approx(1)
