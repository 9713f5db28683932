"""Branches that hold objects, as ROOT writes and reads them: copied entries refer to the right classes still."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hepfilter.io.compression import Compression
from tests.io.copies import copy

WRITE = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
ROOT.TH1.AddDirectory(False)
file = ROOT.TFile(sys.argv[1], "recreate")
tree = ROOT.TTree("Events", "")
histogram = ROOT.TH1F("h", "", 4, 0, 4)
clones = ROOT.TClonesArray("TVector3")
tree.Branch("whole", histogram, 32000, 0)
tree.Branch("clones", clones, 32000, 1)
text = ROOT.std.string()
tree.Branch("text", text)
nested = ROOT.std.vector("std::vector<float>")()
tree.Branch("nested", nested)
for i in range(40):
    histogram.Reset(); histogram.Fill(i % 4, i)
    histogram.GetListOfFunctions().Clear()
    for n in range(i % 3):
        named = ROOT.TNamed(f"name{i}_{n}", "t")
        ROOT.SetOwnership(named, False)
        histogram.GetListOfFunctions().Add(named)
    clones.Clear()
    for n in range(i % 4):
        clones.ConstructedAt(n).SetXYZ(i, n, 1)
    text.assign("x" * i)
    nested.clear()
    for n in range(i % 3):
        nested.push_back(ROOT.std.vector("float")([i, n]))
    tree.Fill()
tree.Write()
file.Close()
"""

READ = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
file = ROOT.TFile.Open(sys.argv[1])
tree = file.Get("Events")
for entry in range(tree.GetEntries()):
    tree.GetEntry(entry)
    h, c = tree.whole, tree.clones
    vectors = [(c.At(n).X(), c.At(n).Y()) for n in range(c.GetEntries())]
    functions = [f.GetName() for f in h.GetListOfFunctions()]
    print(h.GetEntries(), h.GetSumOfWeights(), functions, vectors, len(str(tree.text)), [list(v) for v in tree.nested])
"""


@pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed")
def test_objects_behind_pointers_survive_the_move(tmp_path: Path) -> None:
    def root(script: str, path: Path) -> list[str]:
        run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        return run.stdout.splitlines()

    root(WRITE, tmp_path / "in.root")
    kept = np.arange(40) % 3 != 0
    for source, target, mask in (("in", "once", kept), ("once", "twice", np.arange(kept.sum()) % 2 == 1)):
        copy([tmp_path / f"{source}.root"], tmp_path / f"{target}.root", [mask], compression=Compression("ZSTD", 1))
    wanted = [line for line, passed in zip(root(READ, tmp_path / "in.root"), kept, strict=True) if passed]
    assert any("name" in line for line in wanted)
    assert root(READ, tmp_path / "once.root") == wanted
    assert root(READ, tmp_path / "twice.root") == wanted[1::2]
