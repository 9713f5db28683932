"""A script for ROOT: which entries of a tree pass each expression?

    python select_in_root.py FILE.root TREE QUESTIONS.json ANSWERS.json

The questions are pairs of "filter" (RDataFrame::Filter, C++) or "formula" (TTree::Draw, TTreeFormula) and a text;
the answers are the passing entries of each, in the same order.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import ROOT  # noqa: E402


def ask_formula(tree, text):
    """The entries that TTree::Draw selects; an expression that it cannot compile is an error."""
    assert tree.Draw(">>passing", text, "goff") >= 0, text
    entries = ROOT.gDirectory.Get("passing")
    return [entries.GetEntry(i) for i in range(entries.GetN())]


def main(path, name, questions, answers):
    ROOT.gErrorIgnoreLevel = ROOT.kError
    file = ROOT.TFile.Open(path)
    tree = file.Get(name)
    frame = ROOT.RDataFrame(tree)
    asked = json.loads(Path(questions).read_text())
    taken = {
        text: frame.Filter(text).Take["ULong64_t"]("rdfentry_") for engine, text in asked if engine == "filter"
    }  # all booked before the one loop over the events
    filtered = {text: [int(entry) for entry in entries.GetValue()] for text, entries in taken.items()}
    found = [filtered[text] if engine == "filter" else ask_formula(tree, text) for engine, text in asked]
    Path(answers).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:5])
