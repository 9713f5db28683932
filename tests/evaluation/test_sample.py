"""What is evaluated: families and what of them was seen."""

import numpy as np
import pytest

from hepfilter.errors import TrainingError
from hepfilter.evaluation.sample import BASELINES, known_processes, scored_events, signal_families
from hepfilter.models.metadata import Origin, Process, read_metadata
from tests.evaluation.generated import labelled

PROCESSES = (
    Process(0, "qcd", False, True),
    Process(7, "dijet", True, True),
    Process(8, "dijet", True, False),
    Process(9, "soft", True, False),
)


def test_a_family_is_seen_if_one_of_its_processes_was() -> None:
    dijet, soft = signal_families(PROCESSES)
    assert (dijet.name, dijet.seen, dijet.labels) == ("dijet", True, {7, 8})
    assert (soft.name, soft.seen) == ("soft", False)


def test_only_what_the_data_hold_counts() -> None:
    data = labelled(0, 8, 0, 8)
    events = scored_events(data, {"interest": np.arange(4.0)}, PROCESSES)
    (family,) = events.families
    assert (family.name, family.seen, family.labels) == ("dijet", False, {8})
    assert events.background.tolist() == [True, False, True, False]
    assert events.signal(family).tolist() == [False, True, False, True]
    assert list(events.scores) == ["interest", *BASELINES]
    for name in BASELINES:
        assert events.scores[name].tolist() == data.observable(name).tolist() == events.observable(name).tolist()


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"truth label 5, which no card .*--card"):
        scored_events(labelled(0, 5), {}, PROCESSES)


def test_what_a_training_names_was_seen() -> None:
    """As older checkpoints say it, by cards and families left out; the model that ships is one."""
    provenance = {
        "training": {"classes": {"a": ["qcd@200", "qcd@500"], "b": ["zprime_ll@all"], "c": ["wprime_xy"]}},
        "excluded_families": ["dijet"],
    }
    trained = {process.label for process in known_processes(Origin.model_validate(provenance)) if process.trained}
    assert trained == {0, 102}
    shipped = known_processes(read_metadata("interest-objects").origin)
    families = {process.family for process in shipped if process.trained and process.is_signal}
    assert {"dijet", "leptoquark", "light_scalar"} < families
    assert len(families) == 22
    assert not any(process.trained for process in known_processes(Origin()))


def test_what_a_training_says_of_its_processes_comes_first() -> None:
    provenance = {"processes": [{"label": 102, "family": "mine", "is_signal": True, "trained": True}]}
    found = {process.label: process for process in known_processes(Origin.model_validate(provenance))}
    assert found[102] == Process(102, "mine", True, True)
    assert found[100].family == "dijet"
    assert list(found) == sorted(found)


def test_ones_own_card(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: mine\nfamily: own\nis_signal: true\nlabel: 4321\nsettings: ['Top:all = on']\n"
    )
    found = {process.label: process for process in known_processes(Origin(), [str(tmp_path / "mine.yaml")])}
    assert found[4321].family == "own"
