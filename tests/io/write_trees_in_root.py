"""A script for ROOT: trees of many kinds, one file each.

python write_trees_in_root.py FOLDER
"""

import sys
import warnings
from array import array

warnings.filterwarnings("ignore")
import ROOT  # noqa: E402

ROOT.TH1.AddDirectory(False)
ROOT.gErrorIgnoreLevel = ROOT.kError
ROOT.gInterpreter.Declare("""
struct Three { int a; float b; short c; };
void fill_numbers(TTree* tree, int entries) {
  Float_t x; Int_t fixed[3]; Double_t grid[2][3]; Int_t n; Short_t list[8]; Float_t lists[8][3];
  ULong64_t large; Bool_t ok; Three three; Char_t text[30];
  Float16_t half, half_range, halves[8]; Double32_t single, single_range, singles[3];
  tree->Branch("x", &x, "x/F"); tree->Branch("fixed", fixed, "fixed[3]/I"); tree->Branch("grid", grid, "grid[2][3]/D");
  tree->Branch("n", &n, "n/I"); tree->Branch("list", list, "list[n]/S"); tree->Branch("lists", lists, "lists[n][3]/F");
  tree->Branch("large", &large, "large/l"); tree->Branch("ok", &ok, "ok/O");
  tree->Branch("half", &half, "half/f"); tree->Branch("half_range", &half_range, "half_range/f[0,10,12]");
  tree->Branch("halves", halves, "halves[n]/f[0,100,14]"); tree->Branch("single", &single, "single/d");
  tree->Branch("single_range", &single_range, "single_range/d[-5,5,20]");
  tree->Branch("singles", singles, "singles[3]/d[-1,1,10]");
  tree->Branch("three", &three, "a/I:b/F:c/S"); tree->Branch("text", text, "text/C");
  for (int i = 0; i < entries; ++i) {
    x = i / 3.f; n = i % 9; large = (1ull << 63) + i; ok = i % 2; half = i / 7.; half_range = i / 7.; single = i / 11.;
    single_range = i / 13. - 2; three = {i, i / 3.f, short(-i)};
    snprintf(text, sizeof text, "%.*s", i % 20, "abcdefghijklmnopqrstuvwxyz");
    for (int k = 0; k < 3; ++k) { fixed[k] = 10 * i + k; singles[k] = k / 3. - i / 100.; }
    for (int k = 0; k < 6; ++k) grid[k / 3][k % 3] = i + k / 7.;
    for (int k = 0; k < n; ++k) { list[k] = i - k; halves[k] = i + k / 3.; }
    for (int k = 0; k < 3 * n; ++k) lists[k / 3][k % 3] = i + k / 9.;
    tree->Fill();
  }
}
""")
kept = []  # what branches point to


def numbers(tree, entries):
    ROOT.fill_numbers(tree, entries)


def objects(tree, entries):
    vector = ROOT.std.vector
    floats, text, texts = vector("float")(), ROOT.std.string(), vector("std::string")()
    nested, bits, one = vector("std::vector<float>")(), vector("bool")(), ROOT.TLorentzVector()
    clones, many, histogram = ROOT.TClonesArray("TVector3"), vector("TLorentzVector")(), ROOT.TH1F("h", "", 4, 0, 4)
    association = ROOT.std.map("int,float")()
    everything = [floats, text, texts, nested, bits, one, many, association]
    kept.extend([*everything, clones, histogram])
    names = ["floats", "text", "texts", "nested", "bits", "one", "many", "association"]
    for name, thing in zip(names, everything, strict=True):
        tree.Branch(name, thing)
    tree.Branch("clones", clones, 32000, 1)
    tree.Branch("split", clones, 32000, 99)
    tree.Branch("histogram", histogram, 32000, 0)
    for i in range(entries):
        for container in (floats, texts, nested, bits, many, association):
            container.clear()
        clones.Clear()
        histogram.Reset()
        histogram.Fill(i % 4, i)
        text.assign("z" * (i * 10 % 300))  # shorter and longer than 255
        one.SetPxPyPzE(i, 1, 2, i * 2)
        for k in range(i % 5):
            floats.push_back(i + k / 3)
            texts.push_back("ab" * k)
            nested.push_back(vector("float")([i] * k))
            bits.push_back(bool(k % 2))
            clones.ConstructedAt(k).SetXYZ(i, k, 1)
            many.push_back(ROOT.TLorentzVector(i, k, 1, 2))
            association[k] = i
        tree.Fill()


def decorate(tree):
    tree.SetAlias("y", "x*2")
    tree.SetAlias("long", "+".join(["x"] * 300))
    tree.SetWeight(2.5)
    tree.SetScanField(7)
    tree.SetMarkerColor(3)
    tree.SetLineWidth(4)
    tree.SetEstimate(77)


def generate_offsets(tree):
    features = ROOT.ROOT.TIOFeatures()
    features.Set(ROOT.ROOT.Experimental.EIOFeatures.kGenerateOffsetMap)
    tree.SetIOFeatures(features)


def make(name, fill, *, entries=60, flush=None, embedded=False, code=101, before=None, after=None, title="a title"):
    """A file with a tree Events; `embedded` leaves all its baskets in its own record."""
    file = ROOT.TFile(f"{folder}/{name}.root", "recreate", "", code)
    tree = ROOT.TTree("Events", title)
    if embedded:
        tree.SetDirectory(ROOT.nullptr)
    if flush is not None:
        tree.SetAutoFlush(flush)
    if before:
        before(tree)
    fill(tree, entries)
    if after:
        after(tree)
    if embedded:
        file.WriteObject(tree, "Events")
    else:
        tree.Write()
    file.Close()


def make_cycles():
    """Two cycles of a tree, the older with fewer entries, and many keys with long names."""
    file = ROOT.TFile(f"{folder}/cycles.root", "recreate")
    tree, x = ROOT.TTree("Events", ""), array("i", [0])
    tree.Branch("x", x, "x/I")
    for i in range(9):
        x[0] = i
        tree.Fill()
        if i in (4, 8):
            tree.Write()
    for i in range(15):
        ROOT.TNamed(f"{'k' * (250 + i)}{i}", "t" * 300).Write()
    file.Close()


def make_small_baskets(name, embedded):
    """Baskets that end where they are full, of each branch elsewhere; `embedded`: all of them in the tree's record."""
    file = ROOT.TFile(f"{folder}/{name}.root", "recreate")
    tree, n, x = ROOT.TTree("Events", ""), array("i", [0]), array("f", [0.0] * 4)
    if embedded:
        tree.SetDirectory(ROOT.nullptr)
    tree.SetAutoFlush(0)
    tree.Branch("n", n, "n/I", 1000)
    tree.Branch("x", x, "x[n]/F", 600)
    for i in range(1000):
        n[0] = i % 4
        for k in range(4):
            x[k] = i + k
        tree.Fill()
    file.WriteObject(tree, "Events") if embedded else tree.Write()
    file.Close()


def make_refused():
    make("features", numbers, before=generate_offsets)
    file = ROOT.TFile(f"{folder}/elsewhere.root", "recreate")
    tree, x = ROOT.TTree("Events", ""), array("i", [0])
    tree.Branch("x", x, "x/I").SetFile(f"{folder}/baskets.root")
    tree.Fill()
    tree.Write()
    file.Close()
    file = ROOT.TFile(f"{folder}/branch_object.root", "recreate")
    tree, vector = ROOT.TTree("Events", ""), ROOT.TLorentzVector()
    number = array("i", [1])
    tree.Branch("number", number, "number/I")
    tree.Branch("vector", vector, 32000, 0)
    tree.Fill()
    tree.Write()
    file.Close()


folder = sys.argv[1]
for kind, fill in (("numbers", numbers), ("objects", objects)):
    make(kind, fill)
    make(f"{kind}_embedded", fill, embedded=True)
    make(f"{kind}_empty", fill, entries=0)
    make(f"{kind}_flush7", fill, flush=7)
    make(f"{kind}_flush_bytes", fill, flush=-2000)
    make(f"{kind}_plain_bytes", fill, flush=7, code=0)
make("numbers_flush1", numbers, flush=1)
make("numbers_decorated", numbers, after=decorate, title="a title " * 50)
for number in (1, 109, 201, 208, 401, 404, 412, 501, 519):
    make(f"code_{number}", numbers, flush=20, code=number)
make_cycles()
make_small_baskets("small_baskets", embedded=False)
make_small_baskets("small_embedded", embedded=True)
make_refused()
