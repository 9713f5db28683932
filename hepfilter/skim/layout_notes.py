"""What a reader of the report should know of how a skim's output is laid out."""

from collections.abc import Mapping, Sequence

from hepfilter.io.branch_selection import BranchChoice
from hepfilter.io.converting import Format
from hepfilter.io.layout import Layout, some
from hepfilter.skim.formats import format_notes


def layout_notes(
    layouts: Mapping[str, Layout], main: str, choice: BranchChoice, wanted: Format | None, *, shared: Sequence[str]
) -> tuple[str, ...]:
    """What became of branches, of `shared` histograms and of formats; `main` is the events' tree."""
    return (*_branch_notes(layouts[main], choice), *map(_shared, shared), *format_notes(layouts, main, wanted))


def _shared(histogram: str) -> str:
    what = f"histogram {histogram} is in several inputs: each stands as a cycle of the name, in the order of the inputs"
    return f"{what}, and they are not added up"


def _branch_notes(layout: Layout, choice: BranchChoice) -> tuple[str, ...]:
    """What became of the branches, where a user may not expect it."""
    notes = []
    if choice.forced:
        notes.append(f"kept in spite of the rules, as others need them: {', '.join(choice.forced)}")
    notes += [f"{rule}: matches no branch" for rule in choice.unmatched]
    if layout.left_out:
        notes.append(f"not all inputs have, and the output has not: {some(layout.left_out)}")
    if layout.filled:
        filled = some([f"{name} = {value}" for name, value in layout.filled])
        notes.append(f"stands for what an input lacks: {filled}")
    return tuple(notes)
