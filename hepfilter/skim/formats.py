"""Which trees of a skim become the other kind, TTree or RNTuple, and which cannot."""

from collections.abc import Mapping

from hepfilter.errors import OutputError
from hepfilter.io.converting import Format, is_other, lost_of, obstacles, tell_obstacles
from hepfilter.io.layout import Layout, TreeLayout


def converted(layouts: Mapping[str, Layout], main: str, wanted: Format | None) -> frozenset[str]:
    """The trees, by name, that become the wanted format: that of the events, `main`, and others that can."""
    return frozenset(
        name for name, layout in layouts.items() if is_other(layout, wanted) and (name == main or not obstacles(layout))
    )


def refuse_unconvertible(path: str, name: str, layout: Layout, wanted: Format | None) -> None:
    """OutputError if the events' tree of the file at `path` cannot become the wanted format."""
    found = obstacles(layout) if is_other(layout, wanted) else {}
    if found and wanted is not None:
        kept = "TTree" if isinstance(layout, TreeLayout) else "RNTuple"
        advice = f"leave them out with --drop-branches, or keep the {kept} with --format {kept.lower()}"
        raise OutputError(f"{path}: {tell_obstacles(name, found, wanted)}; {advice}")


def format_notes(layouts: Mapping[str, Layout], main: str, wanted: Format | None) -> tuple[str, ...]:
    """What does not become the wanted format, and what is lost where it does."""
    if wanted is None:
        return ()
    own = converted(layouts, main, wanted)
    notes = []
    for name, layout in layouts.items():
        if name in own:
            notes += [f"tree {name} becomes an RNTuple, without its {lost}" for lost in lost_of(layout)]
        elif is_other(layout, wanted):
            kind = "a TTree" if isinstance(layout, TreeLayout) else "an RNTuple"
            notes.append(f"{tell_obstacles(name, obstacles(layout), wanted)}; it stays {kind}")
    return tuple(notes)
