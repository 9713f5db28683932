"""A script for ROOT: makes TTrees, imports them into RNTuples by ROOT's own importer, prints RNTuples.

import_in_root.py write ALL PLAIN      two files with a tree `Events`: of all kinds of branches, of those that come back
import_in_root.py import SOURCE OUT
import_in_root.py print FILE ENTRIES   one line of JSON: of each field (name, type, values) as ROOT prints them
"""

import json
import sys

from rntuple_in_root import READ, ROOT, printed

WRITE = r"""
#include <TFile.h>
#include <TTree.h>

template <typename T> void branch(TTree &tree, T &&object, const char *name) {
   tree.Branch(name, object)->SetTitle((std::string("what ") + name + " | means").c_str());
}
template <typename T> void leaf(TTree &tree, T *object, const char *name, const char *list) {
   tree.Branch(name, object, (std::string(name) + list).c_str())->SetTitle((std::string("the ") + name).c_str());
}

void write(const char *path, bool all) {
   TFile file(path, "RECREATE");
   TTree tree("Events", "a title of its own");
   Bool_t flag, flags[9]; Char_t i8; UChar_t u8, small; Short_t i16; UShort_t u16; Int_t i32, numbers[9];
   UInt_t u32, n, m;
   Long64_t i64; ULong64_t u64; Long_t word; Float_t f32, reals[9], fixed[3], grid[2][3]; Double_t f64; char text[700];
   std::vector<float> floats; std::vector<bool> bools; std::vector<int> ints; std::vector<unsigned short> u16s;
   std::vector<long long> i64s; std::vector<char> chars; std::vector<unsigned char> u8s; std::vector<double> doubles;
   std::vector<long> words; std::vector<std::vector<float>> nested; std::vector<std::string> texts;
   std::string word_text;
   leaf(tree, &flag, "flag", "/O"); leaf(tree, &i8, "i8", "/B"); leaf(tree, &u8, "u8", "/b");
   leaf(tree, &i16, "i16", "/S");
   leaf(tree, &u16, "u16", "/s"); leaf(tree, &i32, "i32", "/I"); leaf(tree, &u32, "u32", "/i");
   leaf(tree, &i64, "i64", "/L");
   leaf(tree, &u64, "u64", "/l"); leaf(tree, &f32, "f32", "/F"); leaf(tree, &f64, "f64", "/D");
   leaf(tree, fixed, "fixed", "[3]/F");
   branch(tree, &floats, "floats"); branch(tree, &bools, "bools"); branch(tree, &ints, "ints");
   branch(tree, &u16s, "u16s");
   branch(tree, &i64s, "i64s"); branch(tree, &chars, "chars"); branch(tree, &u8s, "u8s");
   branch(tree, &doubles, "doubles");
   if (all) {
      leaf(tree, grid, "grid", "[2][3]/F"); leaf(tree, &word, "word", "/G"); leaf(tree, text, "text", "/C");
      branch(tree, &words, "words"); branch(tree, &nested, "nested"); branch(tree, &texts, "texts");
      branch(tree, &word_text, "word_text");
      leaf(tree, &small, "small", "/b"); leaf(tree, numbers, "smalls", "[small]/I");
   }
   leaf(tree, &m, "m", "/i"); leaf(tree, numbers, "numbers", "[m]/I");
   leaf(tree, &n, "n", "/i"); leaf(tree, reals, "reals", "[n]/F"); leaf(tree, flags, "flags", "[n]/O");
   for (int e = 0; e < 60; ++e) {
      flag = e % 3 == 0; i8 = e - 30; u8 = 255 - e; i16 = -1000 * e; u16 = 65535 - e; i32 = (1 << 31) + e; u32 = -1 - e;
      i64 = -(1ll << 62) + e; u64 = ~0ull - e; word = -e; f32 = e / 7.f; f64 = -e / 7.; n = e % 4; m = (e + 1) % 3;
      small = e % 5;
      for (int k = 0; k < 9; ++k) { reals[k] = e + k / 10.f; flags[k] = (e + k) % 2; numbers[k] = -e * k; }
      for (int k = 0; k < 6; ++k) { fixed[k % 3] = e - k; grid[k / 3][k % 3] = e + k; }
      std::string words_of(e == 7 ? 600 : e == 8 ? 255 : e == 9 ? 254 : e % 7, 'a' + e % 26);
      snprintf(text, sizeof text, "%s", words_of.c_str()); word_text = words_of;
      floats.assign(e % 4, e / 3.f); bools.assign(e % 5, e % 2); ints.assign(e % 4, -e); u16s.assign(e % 3, 60000 + e);
      i64s.assign(e % 2, -e); chars.assign(e % 3, -e); u8s.assign(e % 3, 200 + e % 50); doubles.assign(e % 4, e / 7.);
      words.assign(e % 2, -e); texts.assign(e % 3, words_of); nested.clear();
      for (int k = 0; k < e % 4; ++k) nested.emplace_back((e + k) % 5, k + e / 3.f);
      tree.Fill();
   }
   tree.Write();
}
"""

if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "write":
        assert ROOT.gInterpreter.Declare(WRITE)
        ROOT.write(rest[0], True)
        ROOT.write(rest[1], False)
    elif command == "import":
        importer = ROOT.Experimental.RNTupleImporter.Create(rest[0], "Events", rest[1])
        importer.SetIsQuiet(True)
        importer.Import()
    else:
        assert ROOT.gInterpreter.Declare(READ)
        lines = printed(rest[0], "Events", range(int(rest[1])), [])[1:]
        # a description may hold the sign that parts it from values, which never do
        print(json.dumps([[*line.split("|", 2)[:2], line.rsplit("|", 1)[1]] for line in lines]))
