"""What events add to a rate in Hz."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.config.menu import Menu
from hepfilter.io.sources import expand_inputs
from hepfilter.skim.event_rates import event_rates
from hepfilter.skim.first_pass import FirstPass, first_pass
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger
from tests.nano import make_nano

DATA = ("genWeight",)  # what data lack


def menu(**keys: Any) -> Menu:
    return Menu.model_validate({"name": "m", "model": None, "paths": {"x": {"when": "nMuon >= 2"}}} | keys)


def read(*inputs: Path | str, where: str | None = None, lumi_mask: str | None = None) -> FirstPass:
    recipe = Recipe(trigger=Trigger(menu()), where=where, lumi_mask=lumi_mask, layout="intersection")
    return first_pass(expand_inputs([str(one) for one in inputs]), recipe, progress=lambda *_: None)


def hertz(found: FirstPass, **keys: Any) -> np.ndarray | None:
    return event_rates(found.files, menu(**keys), found.datasets)


def catalogue(path: Path, text: str) -> Path:
    path.write_text("datasets:\n" + text)
    return path


def test_data_count_the_sections_that_were_seen(tmp_path: Path) -> None:
    """Sections 1 to 3 have events, 3 in both files; the books name 1 and 201 too: each counts once."""
    files = [
        make_nano(tmp_path / "a.root", 250, drop=DATA),
        make_nano(tmp_path / "b.root", 80, seed=2, first_event=200, drop=DATA),
    ]
    found = hertz(read(*files))
    assert found is not None and len(found) == 330
    sections = 3 + 1
    assert np.allclose(found, 1 / (sections * 23.31), rtol=1e-14)
    less = hertz(read(*files, where="nMuon >= 2"), lumi_section=10.0)
    assert less is not None and len(less) < 330
    assert np.allclose(less, 1 / (sections * 10.0), rtol=1e-14)  # a cut takes no time


def test_simulation_counts_by_cross_section(tmp_path: Path) -> None:
    """σ · L · w / Σw: 10 pb at 2·10³⁴ cm⁻² s⁻¹ are 0.2 Hz, 3 pb 0.06 Hz, whatever the cuts leave."""
    weights = np.linspace(0.5, 3.0, 100).astype(np.float32)
    make_nano(tmp_path / "a.root", 100, basket=100, plant={"genWeight": weights})
    make_nano(tmp_path / "b.root", 60, seed=2)
    make_nano(tmp_path / "c.root", 40, seed=3)
    both = catalogue(tmp_path / "c.yaml", """
  one: {kind: mc, cross_section: 10, files: [a.root, b.root]}
  two: {kind: mc, cross_section: 3, files: [c.root]}
""")  # fmt: skip
    found = hertz(read(both), luminosity=2e34)
    assert found is not None
    assert found[:160].sum() == pytest.approx(0.2) and found[160:].sum() == pytest.approx(0.06)
    assert np.allclose(found[:100] / found[0], weights / weights[0])
    chosen = read(both, where="nMuon >= 2")
    cut = hertz(chosen, luminosity=2e34)
    assert cut is not None
    kept = np.concatenate([file.chosen + start for file, start in zip(chosen.files, (0, 100, 160), strict=True)])
    assert np.allclose(cut, found[kept], rtol=1e-12)


@pytest.mark.parametrize(
    ("entries", "luminosity"),
    [
        ("  one: {kind: mc, cross_section: 10, files: [a.root, b.root]}\n", None),
        ("  one: {kind: mc, files: [a.root]}\n  two: {kind: mc, cross_section: 1, files: [b.root]}\n", 2e34),
        ("  one: {kind: mc, cross_section: 10, files: [a.root]}\n  two: {kind: data, files: [d.root]}\n", 2e34),
    ],
    ids=["no luminosity", "a cross-section is missing", "data and simulation"],
)
def test_what_is_not_known(tmp_path: Path, entries: str, luminosity: float | None) -> None:
    make_nano(tmp_path / "a.root", 30)
    make_nano(tmp_path / "b.root", 30, seed=2)
    make_nano(tmp_path / "d.root", 30, seed=3, drop=DATA)
    assert hertz(read(catalogue(tmp_path / "c.yaml", entries)), luminosity=luminosity) is None
    assert hertz(read(tmp_path / "a.root"), luminosity=2e34) is None  # weights, and no catalogue


def test_negative_weights_count_with_their_sign(tmp_path: Path) -> None:
    """The rate of a dataset is still σ · L; where its weights add up to less than 0 there is none."""
    signs = np.where(np.arange(100) % 5, 1.0, -1.0).astype(np.float32)
    make_nano(tmp_path / "a.root", 100, basket=100, plant={"genWeight": signs})
    make_nano(tmp_path / "b.root", 100, basket=100, plant={"genWeight": -signs})
    one = catalogue(tmp_path / "c.yaml", "  one: {kind: mc, cross_section: 10, files: [a.root]}\n")
    found = hertz(read(one), luminosity=2e34)
    assert found is not None and np.allclose(found, 0.2 * signs / 60)
    other = catalogue(tmp_path / "d.yaml", "  one: {kind: mc, cross_section: 10, files: [b.root]}\n")
    assert hertz(read(other), luminosity=2e34) is None


def test_a_catalogue_says_what_data_are(tmp_path: Path) -> None:
    make_nano(tmp_path / "a.root", 100)  # with weights, as some data have
    found = hertz(read(catalogue(tmp_path / "c.yaml", "  one: {kind: data, files: [a.root]}\n")))
    assert found is not None and np.allclose(found, 1 / 23.31)


def test_without_sections_there_is_no_livetime(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 30, drop=DATA)
    (tmp_path / "golden.json").write_text('{"77": [[77, 77]]}')
    assert hertz(read(path, lumi_mask=str(tmp_path / "golden.json"))) is None
    empty = hertz(read(make_nano(tmp_path / "b.root", 0, drop=DATA)))  # whose books name a section
    assert empty is not None and len(empty) == 0


def test_a_skim_tells_rates_in_hertz(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 300, drop=DATA)
    report = skim(path, tmp_path / "o.root", Recipe(trigger=Trigger(menu(lumi_section=20.0))))
    assert report.rates is not None and report.rates.of == "Hz"
    assert float(report.rates.union.value) == pytest.approx(report.written / (3 * 20.0))
