"""A file as a notebook opens it: what is in it, and its events."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hepfilter.errors import UsageError
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import expand_sources
from hepfilter.shown import Shown
from hepfilter.skim.inspection import inspect_file
from hepfilter.wording import counted

if TYPE_CHECKING:
    import awkward as ak

    from hepfilter.skim.inspection import Inspection


class EventFile(Shown):
    """One file. It is opened anew for each question, so that nothing need be closed.

    `inspection` is what `hepfilter inspect` finds, from the first 1,000 events.
    """

    def __init__(self, file: str | Path, *, schema: str | Path | None = None) -> None:
        """UsageError if `file` means several files; SourceError if there is none."""
        sources = expand_sources([str(file)])
        if len(sources) != 1:
            raise UsageError(f"{file}: means {counted(len(sources), 'file')}; open one of them")
        self._source, self._schema = sources[0], None if schema is None else str(schema)

    def __repr__(self) -> str:
        return f"EventFile({self._source.path!r})"

    @cached_property
    def inspection(self) -> "Inspection":
        """Trees, schema, identity, objects per event. SourceError if the file cannot be opened."""
        return inspect_file(self._source, schema=self._schema)

    def events(self, start: int = 0, stop: int | None = None) -> "ak.Array":
        """The entries [start, stop) as our record: collections of objects in GeV and radians, cleaned, hardest first.

        Only their branches are read. SourceError or SchemaError for what cannot be read.
        """
        with open_file(self._source) as file:
            return find_events(file, tree=self._source.tree, schema=self._schema).read(start, stop).record

    def __len__(self) -> int:
        """Events in the file; 0 where they cannot be read."""
        return self.inspection.entries


def open(file: str | Path, *, schema: str | Path | None = None) -> EventFile:
    """Look at a ROOT file: ``hepfilter.open("data.root")`` shows its trees, schema and objects per event.

    ``.events(0, 1000)`` reads events as our record. `schema` is one that ships, or a YAML file.
    """
    return EventFile(file, schema=schema)
