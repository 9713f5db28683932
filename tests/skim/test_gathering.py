"""What the ledger has is not read again, and what it has not is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hepfilter.io.sources import Source
from hepfilter.skim.file_reading import FileReader, Survey, open_reader
from hepfilter.skim.gathering import Gathering
from hepfilter.skim.recipe import Recipe
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.ledger import Ledger, open_ledger
from hepfilter.work.tasks import Job
from tests.nano import make_nano

UNITS = [(0, 100), (100, 200), (200, 300), (300, 400)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The file and the start of each unit that is read."""
    units: list[tuple[str, int]] = []
    read = FileReader.read

    def spy(reader, source, facts, ranges):
        units.extend((Path(source.path).stem, start) for start, _ in ranges)
        return read(reader, source, facts, ranges)

    monkeypatch.setattr(FileReader, "read", spy)
    return units


def damage(ledger: Ledger) -> None:
    (part,) = ledger.folder.glob("000001-*.part")
    part.write_bytes(part.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("happens", "again"),
    [
        pytest.param(lambda _: None, [], id="nothing"),
        pytest.param(lambda ledger: ledger.refuse(1, [UNITS[2]], "x"), [("b", 200)], id="one of a part is bad"),
        pytest.param(damage, [("b", start) for start, _ in UNITS], id="a part is damaged"),
        pytest.param(lambda ledger: ledger.renew(0), [("a", start) for start, _ in UNITS], id="another file"),
    ],
)
def test_only_what_the_ledger_has_not_is_read(
    happens: Callable[[Ledger], None], again: list[tuple[str, int]], asked: list[tuple[str, int]], tmp_path: Path
) -> None:
    sources = [
        Source(str(make_nano(tmp_path / f"{name}.root", 400, seed=seed, basket=50))) for seed, name in enumerate("ab")
    ]
    survey = Survey(Recipe(where="nMuon >= 1"), unit_entries=100)

    def gather(ledger: Ledger) -> Gathering:
        gathering = Gathering(sources, lambda _: None, ledger=ledger, on_bad_file="stop", progress=lambda *_: None)
        with open_executor(Execution(), Job(open_reader, (survey,))) as executor:
            gathering.run(executor)
        return gathering

    with open_ledger(tmp_path / "out.root", {}, [source.path for source in sources], anew=False) as ledger:
        gather(ledger)
        assert asked == [(name, start) for name in "ab" for start, _ in UNITS]
        happens(ledger)
        ledger.retry()
        asked.clear()
        gathering = gather(ledger)
        assert asked == again
        assert ledger.totals().read == 800 and gathering.bad == ()
        for file in range(2):
            assert [(unit.start, unit.stop) for unit in gathering.units(file)] == UNITS
