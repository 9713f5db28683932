"""What an output says of itself, and that it is read back as it was said."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hepfilter.config.base import find_config
from hepfilter.errors import SourceError
from hepfilter.io.checksum import checksum
from hepfilter.io.objects import read_cutflow, read_string
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.parts import Part, histograms, read_parts
from hepfilter.skim.pipeline import skim
from hepfilter.skim.provenance import CUTFLOW, PROVENANCE, WEIGHTED, provenance
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, SkimReport
from tests.nano import make_nano
from tests.skim.proof.faults import rewrite

FLOW = (CutflowStep("read", 10, None), CutflowStep("where", 4, 2.0))
REPORT = SkimReport(
    (FileCount("in.root", None, "nanoaod", "Events", "uuid", 1, "sum", 10, FLOW),),
    (OutputCount("0.root", 3, (3,)), OutputCount("1.root", 1, (1,))),
    threshold=1.5,
    model_hash="abc",
)


def facts_of(recipe: Recipe, number: int = 0) -> dict[str, Any]:
    return provenance(REPORT, recipe, number, command=["hepfilter", "skim"], skipped=("MetaData",))


def test_a_model_is_named_only_where_it_decided():
    assert facts_of(Recipe(keep=Fraction(1, 3)))["model_hash"] == "abc"
    scored = facts_of(Recipe(keep=Fraction(1, 3)))
    assert (scored["recipe"]["keep"], scored["recipe"]["model"]) == ("1/3", "interest-objects")
    assert "torch" in facts_of(Recipe(keep=Fraction(1, 3)))["versions"]
    by_hand = facts_of(Recipe(where="1"))
    assert not {"model_hash", "threshold"} & set(by_hand) and "torch" not in by_hand["versions"]
    assert (by_hand["output"], by_hand["not_copied"]) == (0, ["MetaData"])
    json.dumps(by_hand)


def test_all_files_that_decide_are_told_with_their_checksums(tmp_path: Path):
    listed, schema = tmp_path / "ids.txt", tmp_path / "mine.yaml"
    listed.write_text("1:1:1\n")
    schema.write_bytes(find_config("schemas", "nanoaod").read_bytes())
    recipe = Recipe(events=str(listed), schema=str(schema))
    assert facts_of(recipe)["files"] == {str(path): checksum(path) for path in (listed, schema)}
    before = facts_of(recipe)["files"][str(schema)]
    schema.write_text(schema.read_text() + "# more\n")
    assert facts_of(recipe)["files"][str(schema)] != before
    assert facts_of(Recipe(where="1", schema="nanoaod"))["files"] == {}  # it ships, and the version is told


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("split")
    inputs = [str(make_nano(folder / f"{n}.root", 60, seed=n, first_event=100 * n)) for n in (1, 2)]
    report = skim(inputs, folder / "out.root", Recipe(where="nMuon >= 1", split_events=40))
    return [Path(output.path) for output in report.outputs]


def part_of(path: Path) -> Part:
    with open_file(Source(str(path))) as file:
        (part,) = read_parts(file)
    return part


def test_a_part_is_read_back_as_it_was_written(outputs: list[Path]):
    parts = [part_of(path) for path in outputs]
    assert [part.output for part in parts] == list(range(len(outputs))) and len(outputs) > 2
    assert {part.skim for part in parts} == {parts[0].skim}
    assert parts[0].recipe == Recipe(where="nMuon >= 1", split_events=40) and parts[0].model_hash is None
    assert [part.has_books for part in parts] == [True] + [False] * (len(parts) - 1)
    gone = [0, 0]
    for part in parts:  # each begins where the one before it ended
        assert part.starts == tuple(gone)
        gone = [sum(pair) for pair in zip(gone, part.counts, strict=True)]
    assert tuple(gone) == tuple(file.passed for file in parts[0].inputs)


def test_the_histograms_of_all_outputs_add_up_to_the_cutflow(outputs: list[Path]):
    expected = histograms([part_of(path) for path in outputs])
    for name, bins in zip((CUTFLOW, WEIGHTED), expected, strict=True):
        found = []
        for path in outputs:
            with open_file(Source(str(path))) as file:
                found.append(read_cutflow(file, name))
        assert [label for label, _ in bins] == ["read", "where"] == [label for label, _ in found[0]]
        sums = [sum(steps) for steps in zip(*([content for _, content in one] for one in found), strict=True)]
        assert sums == [content for _, content in bins]
    assert expected[0][0] == ("read", 120) and expected[1][0] == ("read", 60.0)


def test_events_stand_for_weights_that_are_not_there():
    inputs = (replace(REPORT.files[0], cutflow=FLOW),)
    part = Part({}, Recipe(where="1"), inputs, REPORT.outputs, 0)
    assert histograms([part]) == ([("read", 10), ("where", 4)], [("read", 10), ("where", 2.0)])
    assert histograms([replace(part, output=1)]) == ([("read", 0), ("where", 0)], [("read", 0), ("where", 0.0)])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda facts: facts.update(format=99), "has format 99, this version knows up to 1; update hepfilter"),
        (lambda facts: facts.update(output=9), r"output 9 of \d, from 2 inputs"),
        (lambda facts: facts.update(inputs=[]), "key 'inputs': Tuple should have at least 1 item"),
        (lambda facts: facts["outputs"][0].update(events=1), "an output of 1 event, which is not the sum of"),
        (lambda facts: facts["outputs"][0].update(from_inputs=[40]), "an output of 40 events, which is not the sum of"),
        (lambda facts: facts["inputs"][0].update(cutflow=[]), "key 'inputs.0.cutflow': Tuple should have at least 1"),
        (lambda facts: facts.pop("recipe"), "cannot be used: .*key 'recipe' is missing"),
        (lambda facts: facts["recipe"].update(layout="x"), "cannot be used: the recipe: key 'layout': .*'strict'"),
        (lambda facts: facts["recipe"].update(later=1), "cannot be used: the recipe: unknown key 'later'"),
    ],
)
def test_what_does_not_fit_itself_is_refused(outputs: list[Path], tmp_path: Path, fault, said):
    faulty = rewrite(outputs[0], tmp_path / "faulty.root", provenance=fault)
    with pytest.raises(SourceError, match=rf"faulty\.root: {PROVENANCE} .*{said}"):
        part_of(faulty)


def test_a_file_of_another_tool_has_no_part(tmp_path: Path):
    with open_file(Source(str(make_nano(tmp_path / "in.root", 3)))) as file:
        assert read_string(file, PROVENANCE) is None and read_parts(file) == ()
