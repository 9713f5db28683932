"""A script for ROOT: are all leaves of the copied entries, as ROOT reads them, those of the source?

    python compare_in_root.py SOURCE.root COPY.root TREE ENTRY,ENTRY,…

Prints the number of leaves and values compared; exits 1 at the first difference.
"""

import sys
import warnings

warnings.filterwarnings("ignore")
import ROOT  # noqa: E402


def value(leaf, index):
    """A leaf's value without loss: 64-bit integers as such, floats with NaN as text."""
    return leaf.GetTypedValue["Long64_t" if "64" in leaf.GetTypeName() else "double"](index)


def same(a, b):
    return a == b or (a != a and b != b)


def main(source, copy, tree, entries):
    ROOT.gErrorIgnoreLevel = ROOT.kWarning
    old_file, new_file = ROOT.TFile.Open(source), ROOT.TFile.Open(copy)
    old, new = old_file.Get(tree), new_file.Get(tree)
    assert new.GetEntries() == len(entries), (new.GetEntries(), len(entries))
    leaves = list(old.GetListOfLeaves())
    pairs = [(leaf, new.GetLeaf(leaf.GetBranch().GetName(), leaf.GetName())) for leaf in leaves]
    for a, b in pairs:
        assert (a.GetTypeName(), a.GetTitle(), a.GetBranch().GetTitle()) == (
            b.GetTypeName(),
            b.GetTitle(),
            b.GetBranch().GetTitle(),
        ), a
        assert (a.GetLeafCount().GetName() if a.GetLeafCount() else "") == (
            b.GetLeafCount().GetName() if b.GetLeafCount() else ""
        ), a
    compared = 0
    for number, entry in enumerate(entries):
        old.GetEntry(entry)
        new.GetEntry(number)
        for a, b in pairs:
            assert a.GetLen() == b.GetLen(), (entry, a.GetName(), a.GetLen(), b.GetLen())
            for index in range(a.GetLen()):
                x, y = value(a, index), value(b, index)
                assert same(x, y), (entry, a.GetName(), index, x, y)
                compared += 1
    print(f"{len(pairs)} leaves, {compared} values")


if __name__ == "__main__":
    main(*sys.argv[1:4], [int(entry) for entry in sys.argv[4].split(",") if entry])
