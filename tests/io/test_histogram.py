"""The cutflow as a histogram, as others read it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.io.container import RootFile
from hepfilter.io.histogram import write_cutflow
from hepfilter.io.writing import write_empty_streamers

STEPS = [("read", 1000.0), ("nMuon ≥ 2 && (Jet_pt > 30)", 250.5), ("x" * 300, 0.0), ("negative weights", -12.25)]


def make(path: Path, steps: list[tuple[str, float]] = STEPS, title: str = "events, step by step") -> Path:
    with RootFile(path, compression=None) as out:
        write_empty_streamers(out)
        write_cutflow(out, "cutflow", title, steps)
    return path


@pytest.mark.parametrize("steps", [STEPS, STEPS[:1], [], [(f"step {i}", float(i)) for i in range(200)]])
def test_uproot_reads_labels_and_contents(tmp_path, steps):
    with uproot.open(make(tmp_path / "a.root", steps)) as file:
        found = file["cutflow"]
        assert (found.classname, found.name, found.title) == ("TH1D", "cutflow", "events, step by step")
        contents = [content for _, content in steps] or [0.0]
        assert found.values(flow=True).tolist() == [0.0, *contents, 0.0]
        assert found.axis().edges().tolist() == list(range(len(contents) + 1))
        assert (found.axis().labels() or []) == [label for label, _ in steps]
        assert found.member("fEntries") == (steps[0][1] if steps else 0)
        assert found.member("fTsumw") == sum(content for _, content in steps)
        assert found.member("fTsumw2") == sum(content**2 for _, content in steps)


def test_hist_reads_it(tmp_path):
    pytest.importorskip("hist")
    with uproot.open(make(tmp_path / "a.root")) as file:
        found = file["cutflow"].to_hist()
    assert found.values().tolist() == [content for _, content in STEPS]
    assert list(found.axes[0]) == [label for label, _ in STEPS]


READ = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
ROOT.gErrorIgnoreLevel = ROOT.kWarning
file = ROOT.TFile.Open(sys.argv[1])
h = file.Get("cutflow")
print(h.ClassName(), h.GetTitle(), h.GetNbinsX(), h.GetEntries(), h.GetSumOfWeights(), h.GetBinContent(0))
for i in range(1, h.GetNbinsX() + 1):
    print(h.GetBinContent(i), h.GetBinError(i), h.GetXaxis().GetBinLabel(i))
h.Fill("read", 1)  # by label
print(h.GetBinContent(1), h.GetNbinsX())
"""

ADD = """
import sys
import ROOT
merger = ROOT.TFileMerger(False)  # what hadd uses
assert merger.OutputFile(sys.argv[1])
assert all([merger.AddFile(path) for path in sys.argv[2:]])
assert merger.Merge()
"""


@pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed")
def test_root_reads_it_and_hadd_adds_it(tmp_path):
    def read(path: Path) -> list[str]:
        run = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        assert "rror" not in run.stderr
        return run.stdout.splitlines()

    first, second = (
        make(tmp_path / "a.root"),
        make(tmp_path / "b.root", [(label, 10 * content) for label, content in STEPS]),
    )
    lines = read(first)
    assert lines[0] == "TH1D events, step by step 4 1000.0 1238.25 0.0"
    assert [line.split(" ", 2)[2] for line in lines[1:5]] == [label for label, _ in STEPS]
    assert [float(line.split()[0]) for line in lines[1:5]] == [content for _, content in STEPS]
    assert lines[5] == "1001.0 4"
    run = subprocess.run([sys.executable, "-c", ADD, tmp_path / "sum.root", first, second], check=False)
    assert run.returncode == 0
    with uproot.open(tmp_path / "sum.root") as file:
        added = file["cutflow"]
        assert np.array_equal(added.values(), [11 * content for _, content in STEPS])
        assert added.axis().labels() == [label for label, _ in STEPS]
        assert added.member("fEntries") == 11_000
