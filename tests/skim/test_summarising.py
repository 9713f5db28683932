"""What a run remembers of its events is what its inputs, scores and output say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.errors import SourceError
from hepfilter.events.spectra import SPECTRA, SPECTRUM_EDGES
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim import summarising
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.pipeline import skim
from hepfilter.skim.provenance import PROVENANCE
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.summary import SCORE_EDGES, RunSummary
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.lock import Trigger
from hepfilter.trigger.rates import RateTable
from tests.nano import make_nano

EVENTS = 600


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("in")
    return [make_nano(folder / f"{n}.root", EVENTS // 2, seed=n + 1, first_event=1000 * n) for n in range(2)]


def part_of(path: Path) -> Part:
    with open_file(Source(str(path))) as file:
        (part,) = read_parts(file)
    return part


def summary_of(path: Path) -> RunSummary:
    summary = part_of(path).summary
    assert summary is not None
    return summary


def same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.counts, other.counts) and np.allclose(one.weights, other.weights, rtol=1e-12)


def flat(paths: list[Path], name: str) -> np.ndarray:
    return np.concatenate([uproot.open({path: "Events"})[name].array(library="np") for path in paths])


def test_scores_spectra_and_course_are_those_of_all_events_and_of_the_kept(inputs, untrained_model, tmp_path):
    out = tmp_path / "o.root"
    report = skim(inputs, out, Recipe(where="nJet >= 2", keep=0.1, model=str(untrained_model)))
    everything = skim(inputs, tmp_path / "all.root", Recipe(where="nJet >= 2", keep=1.0, model=str(untrained_model)))
    found = summary_of(out)
    scores, weights = (flat([tmp_path / "all.root"], name) for name in ("HepFilter_interest", "genWeight"))
    kept = flat([out], "HepFilter_interest"), flat([out], "genWeight")
    assert len(scores) == everything.passed and len(kept[0]) == report.written > 20
    assert same(found.scores["interest"].every, Histogram.of(scores, SCORE_EDGES, weights))
    assert same(found.scores["interest"].kept, Histogram.of(kept[0], SCORE_EDGES, kept[1]))
    assert [dataset.name for dataset in found.datasets] == [str(path) for path in inputs]
    assert sum(dataset.read for dataset in found.datasets) == EVENTS
    added = found.datasets[0].spectra["met"] + found.datasets[1].spectra["met"]
    met = flat([tmp_path / "all.root"], "MET_pt")
    assert tuple(sorted(SPECTRA)) == tuple(found.datasets[0].spectra)
    assert same(added, Histogram.of(met, SPECTRUM_EDGES, weights))
    run, block = (flat([tmp_path / "all.root"], name) for name in ("run", "luminosityBlock"))
    assert found.runs is not None and found.sections is not None
    for course, key in ((found.runs, run), (found.sections, run.astype(np.uint64) << np.uint64(32) | block)):
        places = np.unique(key, return_inverse=True)[1]
        assert course.events.tolist() == np.bincount(places).tolist()
        assert course.median.tolist() == pytest.approx(
            [np.median(scores[places == n]) for n in range(places.max() + 1)]
        )
        assert course.kept.sum() == report.written
    assert found.sections.first.tolist() == found.sections.last.tolist()
    assert report.summary is not None and report.summary.plain() == json.loads(json.dumps(found.plain()))
    assert set(report.stages) == {"selecting", "deciding", "writing"} and min(report.stages.values()) > 0


def test_without_scores_there_are_none_and_of_split_outputs_the_first_has_the_summary(inputs, tmp_path):
    report = skim(inputs, tmp_path / "o.root", Recipe(where="nJet >= 2", split_events=200))
    assert len(report.outputs) > 1
    found = summary_of(Path(report.outputs[0].path))
    assert not found.scores and found.runs is None
    assert all(dataset.interest is None and not dataset.spectra for dataset in found.datasets)
    assert part_of(Path(report.outputs[1].path)).summary is None


def test_duplicates_are_in_no_spectrum(inputs, untrained_model, tmp_path):
    recipe = Recipe(keep=0.5, model=str(untrained_model), deduplicate=True)
    copy = tmp_path / "copy.root"
    copy.write_bytes(inputs[0].read_bytes())
    skim([inputs[0], copy], tmp_path / "o.root", recipe)
    found = summary_of(tmp_path / "o.root")
    assert found.scores["interest"].every.counts.sum() == EVENTS // 2
    assert not any(dataset.spectra for dataset in found.datasets)


def blind_menu(model: Path) -> Menu:
    paths: dict[str, Any] = {
        "open": {"score": "interest", "fraction": "20%"},
        "hidden": {"when": "nMuon >= 2", "blind": True},
    }
    return Menu.model_validate({"name": "m", "model": str(model), "paths": paths, "blind": ["nJet >= 4"]})


def test_what_a_menu_blinds_is_in_none_of_it(inputs, untrained_model, tmp_path):
    recipe = Recipe(trigger=Trigger(blind_menu(untrained_model)))
    skim(inputs, tmp_path / "o.root", recipe)
    skim(inputs, tmp_path / "u.root", recipe, unblind=True)
    seen = int((flat(inputs, "nJet") < 4).sum())
    taken = flat([tmp_path / "o.root"], "HepFilter_open") & (flat([tmp_path / "o.root"], "nJet") < 4)
    found, shown = summary_of(tmp_path / "o.root"), summary_of(tmp_path / "u.root")
    assert 0 < taken.sum() < len(taken) and seen < EVENTS
    for selected in found.scores.values():
        assert (selected.every.counts.sum(), selected.kept.counts.sum()) == (seen, taken.sum())
    assert sum(dataset.interest.kept.counts.sum() for dataset in found.datasets) == taken.sum()
    assert sum(dataset.spectra["ht"].counts.sum() for dataset in found.datasets) == seen
    assert (found.sections.events.sum(), found.sections.kept.sum()) == (EVENTS, taken.sum())
    assert found.rates.paths == ("open",) and shown.rates.paths == ("open", "hidden")
    assert not found.unblinded and shown.unblinded
    assert shown.scores["interest"].every.counts.sum() == EVENTS
    assert shown.scores["interest"].kept.counts.sum() == len(flat([tmp_path / "u.root"], "run"))


def test_a_menus_rates_come_back_whole(inputs, untrained_model, tmp_path):
    report = skim(inputs, tmp_path / "o.root", Recipe(trigger=Trigger(blind_menu(untrained_model))))
    rates = report.rates
    assert rates is not None and len(rates.sections.run) > 1
    again = summary_of(tmp_path / "o.root").rates
    assert again is not None and again.plain(most_blocks=400) == rates.plain(most_blocks=400)
    assert np.array_equal(again.sections.prescaled.upper, rates.sections.prescaled.upper, equal_nan=True)
    shortened = RateTable.from_plain(rates.plain(most_blocks=1))
    assert (len(shortened.sections.run), shortened.sections.prescaled.value.shape) == (0, (0, 1))
    assert shortened.runs.run.tolist() == rates.runs.run.tolist()


def test_a_table_in_which_all_paths_are_blind_keeps_its_shapes(inputs, untrained_model, tmp_path):
    menu = blind_menu(untrained_model).model_dump(exclude_unset=True)
    menu["paths"]["open"]["blind"] = True
    report = skim(inputs, tmp_path / "o.root", Recipe(trigger=Trigger(Menu.model_validate(menu))))
    again = summary_of(tmp_path / "o.root").rates
    assert report.rates is not None and again is not None and again.paths == ()
    assert again.overlap.value.shape == report.rates.overlap.value.shape == (0, 0)
    assert again.sections.prescaled.value.shape == report.rates.sections.prescaled.value.shape
    plain = report.rates.plain(most_blocks=400)
    with pytest.raises(ValueError, match="reshape"):
        RateTable.from_plain(plain | {"paths": ["open"]})


@pytest.mark.parametrize("most", [400, 7])
def test_a_course_of_too_many_blocks_joins_neighbours(most, monkeypatch):
    monkeypatch.setattr(summarising, "MOST_BLOCKS", most)
    keys = np.repeat(np.arange(30, dtype=np.uint64), 2)
    events = np.arange(60)
    blocks = summarising._blocks(keys, events)
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])] and blocks[-1][1] == 60
    assert len(blocks) == min(30, most)
    assert all(start % 2 == 0 for start, _ in blocks)
    if most < 30:
        sums = np.array([events[start:stop].sum() for start, stop in blocks])
        assert sums.max() < 1.5 * events.sum() / most


def test_a_damaged_summary_is_one_error_and_the_rest_is_still_read(inputs, untrained_model, tmp_path):
    skim(inputs[:1], tmp_path / "o.root", Recipe(keep=0.1, model=str(untrained_model)))
    part = part_of(tmp_path / "o.root")
    facts = part.facts["summary"]
    for damaged in facts["scores"]["interest"]["every"]["counts"], facts["sections"]["kept"]:
        damaged.append(1)
        with pytest.raises(SourceError, match=f"{PROVENANCE}: its summary cannot be read"):
            _ = part.summary
        damaged.pop()
    assert part.recipe.keep is not None
