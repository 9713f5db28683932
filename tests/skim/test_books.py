"""The books of a skim balance, or there is no output."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from hepfilter.errors import OutputError
from hepfilter.io.sources import expand_inputs
from hepfilter.skim.books import check_books, make_books
from hepfilter.skim.deciding import Verdict, split_verdict
from hepfilter.skim.first_pass import FirstPass, first_pass
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import CutflowStep, FileCount, SkimReport
from hepfilter.work.ledger import Ledger
from hepfilter.work.ledger_rows import Totals
from tests.nano import make_nano

COUNT = FileCount("a.root", None, "", "Events", "", 1, "", 100, (CutflowStep("read", 90, 12.5),))
REPORT = SkimReport((COUNT,))


def ledger(planned: int, read: int, bad: int, weight: float = 12.5) -> Ledger:
    """One whose units come to this."""
    found = SimpleNamespace(folder=Path("o.ledger"), totals=lambda: Totals(planned, read, bad, weight, abs(weight)))
    return cast(Ledger, found)


def test_books_that_balance_are_fine() -> None:
    check_books(ledger(100, 90, 10), REPORT)
    unweighted = replace(REPORT, files=(replace(COUNT, cutflow=(CutflowStep("read", 90, None),)),))
    check_books(ledger(100, 90, 10, 0.0), unweighted)


@pytest.mark.parametrize(
    ("planned", "read", "bad", "weight", "said"),
    [
        pytest.param(100, 90, 9, 12.5, "events 100 planned, 90 read, 9 quarantined, 90 reported", id="one is lost"),
        pytest.param(99, 89, 10, 12.5, "events 99 planned, 89 read, 10 quarantined, 90 reported", id="counted twice"),
        pytest.param(100, 90, 10, 12.6, "the weights of all units sum to 12.6, those reported to 12.5", id="weight"),
    ],
)
def test_books_that_do_not_balance_are_an_error(planned: int, read: int, bad: int, weight: float, said: str) -> None:
    with pytest.raises(OutputError) as caught:
        check_books(ledger(planned, read, bad, weight), REPORT)
    assert str(caught.value) == f"o.ledger: the books do not balance: {said}; please report this"


@pytest.fixture
def read(tmp_path: Path) -> FirstPass:
    paths = [make_nano(tmp_path / f"in{n}.root", 200, seed=n, first_event=1000 * n) for n in range(2)]
    return first_pass(expand_inputs(list(map(str, paths))), Recipe(where="nMuon >= 1"), progress=lambda *_: None)


def test_the_last_step_counts_what_was_decided_and_its_weights(read: FirstPass) -> None:
    events = sum(len(file.chosen) for file in read.files)
    verdict = Verdict("score", np.arange(events) % 3 == 0, threshold=0.5, ties_dropped=2)
    kept = split_verdict(read.files, verdict)
    report = make_books(kept, verdict, read)
    for file, part, count in zip(read.files, kept, report.files, strict=True):
        assert file.weights is not None
        assert [step.name for step in count.cutflow] == ["read", "where", "score"]
        assert count.cutflow[-1] == CutflowStep("score", int(part.kept.sum()), float(file.weights[part.kept].sum()))
    assert (report.threshold, report.ties_dropped, report.passed) == (0.5, 2, -(-events // 3))
    assert report.bytes_read == sum(file.bytes_read for file in read.files) > 0
    assert report.payload_bytes == round(sum(file.entry_bytes[1] * 200 for file in read.files))


def test_skims_of_one_input_are_told_and_the_outputs_of_one_skim_are_not(read: FirstPass) -> None:
    def notes(*made_from: tuple[str, frozenset[str]]) -> list[str]:
        files = tuple(replace(file, made_from=(made,)) for file, made in zip(read.files, made_from, strict=True))
        warnings = make_books(split_verdict(files, None), None, replace(read, files=files)).warnings
        return [text for text in warnings if "skims of the same input" in text]

    same = frozenset({"checksum"})
    assert notes(("out_1 out_2", same), ("out_1 out_2", same)) == []
    assert notes(("one", same), ("other", frozenset({"else"}))) == []
    (said,) = notes(("one", same), ("other", same))
    assert said.endswith("in0.root are skims of the same input: its books count twice")


def test_many_skims_of_one_input_are_one_note(read: FirstPass) -> None:
    files = tuple(
        replace(read.files[0], source=replace(read.files[0].source, path=name), made_from=((name, frozenset({"c"})),))
        for name in ("a", "b", "c", "d")
    )
    warnings = make_books(split_verdict(files, None), None, replace(read, files=files)).warnings
    said = "b and a are skims of the same input: its books count twice (and 2 other files likewise)"
    assert [text for text in warnings if "skims of the same" in text] == [said]
