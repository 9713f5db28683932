"""The proof of a tree that became the other kind, TTree or RNTuple: its description by the rule, its values."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from hepfilter.io.branch_values import branch_form
from hepfilter.io.comparison import Compared, Match
from hepfilter.io.converting import convert, exported_header
from hepfilter.io.copy_plan import CopyPlan
from hepfilter.io.layout import Layout, TreeLayout
from hepfilter.io.ntuple import OpenNTuple
from hepfilter.io.reading import OpenTree, Table, open_file
from hepfilter.io.rntuple.comparison import compare_schemas
from hepfilter.io.rntuple.exported import Exported
from hepfilter.io.rntuple.imported import Imported
from hepfilter.io.rntuple.plain import locate
from hepfilter.io.sources import Source
from hepfilter.io.tree_differences import Difference, compare_branches, compare_headers
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.value_comparison import NTupleReader, Reader, TreeReader, compare_values
from hepfilter.io.values import Form
from hepfilter.io.writing import Column, column_branch
from hepfilter.skim.formats import converted
from hepfilter.skim.proof.evidence import Evidence
from hepfilter.skim.proof.subject import Subject


def is_converted(subject: Subject, part: int, name: str) -> bool:
    """Whether a tree of a part must be of the other kind than in its sources."""
    if not subject.recorded:
        return False
    evidence, wanted = subject.evidence[part], subject.parts[part].recipe.format
    layouts = dict(evidence.layouts)
    if evidence.choice is not None:
        layouts[evidence.tree] = evidence.choice
    return name in converted(layouts, evidence.tree, wanted)


def compare_description(expected: Layout, tree: Table, evidence: Evidence, added: Sequence[Column]) -> list[Difference]:
    """How a converted tree differs from what its sources' layout, with the added columns behind, becomes."""
    made = convert(expected)
    if isinstance(expected, TreeLayout) and isinstance(made, Imported) and isinstance(tree, OpenNTuple):
        title, description = expected.header.title, tree.ntuple.description
        differences = [Difference("", "title", f"is {description!r}, not {title!r}")] if description != title else []
        return differences + compare_schemas(made.schema.with_columns(added), tree.ntuple.schema)
    if isinstance(made, Exported) and isinstance(tree, OpenTree):
        source = next(source for source in evidence.sources if source is not None)
        with open_file(source) as file:
            table = file.table(tree.name)
            assert isinstance(table, OpenNTuple)
            header = exported_header(table)
        own = [column_branch(column, {}) for column in added]
        differences = compare_headers(header, tree.metadata.header)
        return differences + compare_branches([*made.branches, *own], tree.branches) + _narrow(made, tree)
    kinds = ("an RNTuple", "a TTree") if isinstance(tree, OpenNTuple) else ("a TTree", "an RNTuple")
    return [Difference("", "kind", f"is {kinds[0]}, not {kinds[1]}")]


def _narrow(made: Exported, tree: OpenTree) -> list[Difference]:
    """The counters with a maximum below their numbers: ROOT sizes buffers by it."""
    names = [name for name in dict.fromkeys(made.counters.values()) if name in tree.by_name]
    largest = {name: int(own.values.max(initial=0)) for name, own in tree.values(names).items()}
    return [
        Difference(name, "maximum", f"is {tree.by_name[name].leaves[0].maximum:g}, less than its {number}")
        for name, number in largest.items()
        if tree.by_name[name].leaves[0].maximum < number
    ]


def compare_converted(
    subject: Subject, part: int, name: str, layout: Layout, match: Match, opened: Callable[[int], OpenNTuple]
) -> tuple[Iterator[Compared], int]:
    """(how a converted tree's values differ from a part's sources', the number of branches compared).

    `opened` gives the RNTuple of a source by its number. Branches whose type is not what it should be are left out.
    """
    tree, made = subject.opened(name), convert(layout)
    counters = frozenset(made.counters.values())
    names = [own for own, form in made.forms.items() if _comparable(form, _form(tree, own), is_counter=own in counters)]
    return _compare(subject, part, tree, layout, match, names, counters, opened), len(names)


def _compare(
    subject: Subject,
    part: int,
    tree: Table,
    layout: Layout,
    match: Match,
    names: Sequence[str],
    counters: frozenset[str],
    opened: Callable[[int], OpenNTuple],
) -> Iterator[Compared]:
    window = max(1, int(TreeWriter.CLUSTER_BYTES / max(tree.entry_bytes[0], 1.0)))
    with ExitStack() as stack:
        output: Reader
        sources: Reader = NTupleReader(opened)
        if isinstance(tree, OpenNTuple):
            output = NTupleReader(lambda _: tree)
        else:
            own = TreeLayout(tree.metadata.header, tuple(tree.branches), {})
            output = stack.enter_context(TreeReader(CopyPlan((subject.source,), tree.name, own, (), None)))
        if isinstance(layout, TreeLayout):
            # a source that is missing is never asked for: no entry of the match comes from it
            given = (source or Source("") for source in subject.evidence[part].sources)
            addresses = tuple(replace(source, tree=None) for source in given)
            sources = stack.enter_context(TreeReader(CopyPlan(addresses, tree.name, layout, (), None)))
        yield from compare_values(output, sources, match, names, counters=counters, window=window)


def _form(tree: Table, name: str) -> Form | None:
    """What a branch or field of the output holds; None if it is not there, or holds something else."""
    if isinstance(tree, OpenNTuple):
        place = locate(tree.ntuple.schema, name)
        return None if place is None else place.form
    top = next((branch for branch in tree.branches if branch.name == name), None)
    return None if top is None else branch_form(top)


def _comparable(expected: Form, found: Form | None, *, is_counter: bool) -> bool:
    """Whether values can be compared: the same numbers in memory; counters may be of any type."""
    if found is None or is_counter:
        return found is not None and not found.levels
    return replace(expected, number=expected.dtype.name) == replace(found, number=found.dtype.name)
