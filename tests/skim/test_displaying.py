"""Events of a skim are shown without what its menu blinds."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.errors import SourceError
from hepfilter.evaluation.displayed import read_displayed
from hepfilter.skim.displaying import read_visible
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger
from tests.nano import make_nano

PATHS = {
    "open": {"score": "interest", "fraction": "20%"},
    "muons": {"when": "nMuon >= 1", "blind": True, "stream": "secret"},
}


@pytest.fixture(scope="module")
def outputs(untrained_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A skim by a menu that blinds a path and a region, and the same unblinded."""
    folder = tmp_path_factory.mktemp("displaying")
    source = make_nano(folder / "in.root", 200)
    menu = {"name": "m", "model": str(untrained_model), "paths": PATHS, "blind": ["nJet >= 4"]}
    recipe = Recipe(trigger=Trigger(Menu.model_validate(menu)))
    for name, unblind in (("blind", False), ("unblinded", True)):
        skim(source, folder / f"{name}.root", recipe, unblind=unblind)
    return folder / "blind.root", folder / "unblinded.root"


def columns(path: Path) -> dict[str, np.ndarray]:
    with uproot.open({path: "Events"}) as tree:
        return tree.arrays(["nJet", "HepFilter_open", "HepFilter_muons", "HepFilter_interest"], library="np")


def test_the_top_passes_over_what_is_blind(outputs: tuple[Path, Path]) -> None:
    found = columns(outputs[0])
    seen = np.flatnonzero((found["nJet"] < 4) & found["HepFilter_open"])
    assert 5 < len(seen) < len(found["nJet"]) and found["HepFilter_muons"][seen].any()
    order = seen[np.argsort(-found["HepFilter_interest"][seen], kind="stable")]
    shown = read_visible(outputs[0], top=10_000, model=None)
    assert [event.entry for event in shown] == order.tolist()
    assert {event.paths for event in shown} == {("open",)}
    assert {event.streams for event in shown} == {("physics",)}


def test_a_blind_event_is_refused_by_entry_and_by_identity(outputs: tuple[Path, Path]) -> None:
    found = columns(outputs[0])
    in_region, by_path = (
        int(np.flatnonzero(mask)[0])
        for mask in (found["HepFilter_open"] & (found["nJet"] >= 4), ~found["HepFilter_open"] & (found["nJet"] < 4))
    )
    for entry in (in_region, by_path):
        with pytest.raises(SourceError, match=f"entry {entry} is blinded by the menu"):
            read_visible(outputs[0], entries=[entry], model=None)
        (event,) = read_displayed(outputs[0], entries=[entry], model=None)
        assert event.identity is not None
        with pytest.raises(SourceError, match="is blinded by the menu"):
            read_visible(outputs[0], identities=[event.identity], model=None)


def test_of_an_unblinded_skim_and_of_other_files_all_is_shown(outputs: tuple[Path, Path]) -> None:
    found = columns(outputs[1])
    blind = np.flatnonzero((found["nJet"] >= 4) | ~found["HepFilter_open"])[:5]
    chosen = {"entries": blind.tolist(), "model": None}
    assert read_visible(outputs[1], **chosen) == read_displayed(outputs[1], **chosen)
    assert len(read_visible(outputs[0].with_name("in.root"), entries=range(5), model=None)) == 5
