"""A script for ROOT: is what it reads of copied trees and ntuples, entry by entry, what it reads of their sources?

    echo '[["SOURCE.root", "COPY.root", "TREE", [ENTRY, …], ["CLASS_TO_SKIP", …]], …]' | python compare_in_root.py

The copy may have branches of hepfilter's own behind those of the source. Prints one line of JSON for each pair: how
many `leaves` (or fields) and `objects` were compared, how many `values` (of trees their bytes), the first that are
`different`, and those that ROOT cannot read in the source (`unreadable`; of objects that show nothing the classes).

Plain leaves are compared byte by byte, as they lie in memory; members of objects as TTreeFormula evaluates them, which
needs no dictionary; vectors, lists of lists and links as ROOT writes them in JSON; fields of ntuples as ROOT prints
them. All this is C++: in Python, TTreeFormula.EvalInstance["double"] is -1 for everything.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")
import rntuple_in_root  # noqa: E402
import ROOT  # noqa: E402

COMPARE = r"""
#include <TBranchElement.h>
#include <TBufferJSON.h>
#include <TLeaf.h>
#include <TLeafElement.h>
#include <TLeafObject.h>
#include <TROOT.h>
#include <TTree.h>
#include <TTreeFormula.h>
#include <set>

using Entries = std::vector<Long64_t>;
using Texts = std::vector<std::string>;

constexpr const char *UNREADABLE = "cannot be read";

struct Comparison {
   Long64_t leaves = 0, objects = 0, values = 0;
   Texts different, unreadable;
};

std::string describe(TLeaf *leaf) {
   auto branch = leaf->GetBranch();
   auto count = leaf->GetLeafCount();
   std::ostringstream s;
   s << leaf->GetFullName() << '|';
   for (auto text : {leaf->ClassName(), leaf->GetTypeName(), leaf->GetTitle(),
                     count ? count->GetName() : "", branch->ClassName(), branch->GetTitle(), branch->GetClassName()})
      s << text << '|';
   s << leaf->GetLenStatic() << '|' << leaf->GetLenType() << '|' << leaf->IsUnsigned();
   return s.str();
}

bool is_plain(TLeaf *leaf) { return !leaf->InheritsFrom("TLeafElement") && !leaf->InheritsFrom("TLeafObject"); }

// The formulas that give all of a leaf; none where the object of the branch is read: a formula of an object is 0, and
// making one takes milliseconds.
Texts formulas_of(TLeaf *leaf) {
   static const std::map<std::string, Texts> members{
      {"TLorentzVector", {".fP.fX", ".fP.fY", ".fP.fZ", ".fE"}}, {"TRef", {".fUniqueID"}}, {"TRefArray", {".fUIDs"}}};
   std::string name = leaf->GetFullName().Data(), type = leaf->GetTypeName();
   Texts found;
   if (leaf->GetBranch() == leaf->GetBranch()->GetMother() && type.rfind("vector<", 0) == 0) return found;
   if (auto known = members.find(type); known != members.end())
      for (auto &member : known->second) found.push_back(name + member);
   for (int depth = 0; depth < 2 && type.rfind("vector<", 0) == 0; ++depth)
      type = type.substr(7, type.find_last_not_of(" >") - 6);
   if (type == "string" || gROOT->GetType(type.c_str(), true)) found.push_back(name);
   return found;
}

std::string bytes_of(TLeaf *leaf, Long64_t entry) {
   if (leaf->GetBranch()->GetEntry(entry) < 0) return UNREADABLE;
   auto start = static_cast<const char *>(leaf->GetValuePointer());
   if (leaf->InheritsFrom("TLeafC")) return start;
   return {start, size_t(leaf->GetLen()) * leaf->GetLenType()};
}

std::string values_of(TTreeFormula &formula, TLeaf *leaf) {
   std::string result, type = leaf->GetTypeName();
   bool whole = type.find("64") != std::string::npos || type.find("long") != std::string::npos;
   auto add = [&](auto value) { result.append(reinterpret_cast<const char *>(&value), sizeof value); };
   for (int k = 0, count = formula.GetNdata(); k < count; ++k) {
      if (formula.IsString()) {
         auto text = formula.EvalStringInstance(k);
         result += std::string(text ? text : "no text") + '\0';
      }
      else if (whole) add(formula.EvalInstance<Long64_t>(k));
      else add(formula.EvalInstance<double>(k));
   }
   return result;
}

std::string object_of(TBranch *branch, Long64_t entry) {
   auto element = static_cast<TBranchElement *>(branch);
   if (element->GetEntry(entry) < 0) return UNREADABLE;
   return TBufferJSON::ConvertToJSON(element->GetObject(), TClass::GetClass(element->GetClassName()), 3).Data();
}

template <typename Old, typename New>
void compare_entries(const std::string &name, const Entries &entries, Comparison &found, Old old_value, New new_value) {
   std::string before;
   for (size_t i = 0; i < entries.size(); ++i) {
      before = old_value(entries[i]);
      if (before == UNREADABLE) return found.unreadable.push_back(name);
      found.values += before.size();
      if (before == new_value(i)) continue;
      found.different.push_back(name + ", entry " + std::to_string(entries[i]));
      return;
   }
}

void compare_leaf(TTree *olds, TTree *news, TLeaf *a, TLeaf *b, const Entries &entries, Comparison &found) {
   auto at = [](TTree *tree, Long64_t entry) { tree->LoadTree(entry); return entry; };
   std::string name = a->GetFullName().Data();
   auto formulas = is_plain(a) ? Texts{} : formulas_of(a);
   if (is_plain(a))
      compare_entries(name, entries, found, [&](Long64_t i) { return bytes_of(a, at(olds, i)); },
                      [&](Long64_t i) { return bytes_of(b, at(news, i)); });
   for (auto &text : formulas) {
      TTreeFormula x("x", text.c_str(), olds), y("y", text.c_str(), news);
      if (x.GetNdim() <= 0) found.unreadable.push_back(name);
      else
         compare_entries(text, entries, found, [&](Long64_t i) { at(olds, i); return values_of(x, a); },
                         [&](Long64_t i) { at(news, i); return values_of(y, b); });
   }
   ++found.leaves;
}

// Of the objects of unknown classes, those with lists or links in them show something.
bool shows_content(TLeaf *leaf) {
   std::string type = leaf->GetTypeName();
   return type.rfind("vector<", 0) == 0 || type.rfind("ElementLink<", 0) == 0;
}

void compare_objects(TTree *olds, TTree *news, const Entries &entries, Comparison &found) {
   std::set<TBranch *> wanted;
   TIter leaves(olds->GetListOfLeaves());
   while (auto leaf = static_cast<TLeaf *>(leaves())) {
      if (is_plain(leaf) || !formulas_of(leaf).empty()) continue;
      if (shows_content(leaf)) wanted.insert(leaf->GetBranch()->GetMother());
      else found.unreadable.push_back(leaf->GetTypeName());
   }
   for (auto branch : wanted) {
      compare_entries(branch->GetName(), entries, found, [&](Long64_t i) { return object_of(branch, i); },
                      [&](Long64_t i) { return object_of(news->GetBranch(branch->GetName()), i); });
      ++found.objects;
   }
}

Comparison compare_trees(TTree *olds, TTree *news, const Entries &entries) {
   Comparison found;
   auto old_leaves = olds->GetListOfLeaves(), new_leaves = news->GetListOfLeaves();
   if (std::string(olds->GetTitle()) != news->GetTitle()) found.different.push_back("the title of the tree");
   if (news->GetEntries() != Long64_t(entries.size())) found.different.push_back("the number of entries");
   for (int k = 0; k < std::max(old_leaves->GetEntries(), new_leaves->GetEntries()); ++k) {
      auto a = static_cast<TLeaf *>(k < old_leaves->GetEntries() ? old_leaves->At(k) : nullptr);
      auto b = static_cast<TLeaf *>(k < new_leaves->GetEntries() ? new_leaves->At(k) : nullptr);
      if (!a && std::string(b->GetName()).rfind("HepFilter_", 0) == 0) continue;
      if (!a || !b || describe(a) != describe(b)) {
         found.different.push_back((a ? describe(a) : "nothing") + " is " + (b ? describe(b) : "nothing"));
         break;
      }
      compare_leaf(olds, news, a, b, entries, found);
   }
   if (found.different.empty()) compare_objects(olds, news, entries, found);
   return found;
}
"""


def compare_trees(source, copy, name, entries):
    old_file, new_file = ROOT.TFile.Open(source), ROOT.TFile.Open(copy)
    old, new = old_file.Get(name), new_file.Get(name)
    found = ROOT.compare_trees(old, new, ROOT.std.vector["Long64_t"](entries))
    lists = {key: [str(text) for text in getattr(found, key)] for key in ("different", "unreadable")}
    return {"leaves": found.leaves, "objects": found.objects, "values": found.values, **lists}


def compare_ntuples(source, copy, name, entries, skip):
    (_, *old), (after, *new) = (
        rntuple_in_root.printed(path, name, own, skip) for path, own in ((source, entries), (copy, range(len(entries))))
    )
    added = [line for line in new if line.startswith("HepFilter_")]
    pairs = list(zip(old, [line for line in new if line not in added], strict=True))
    different = [(a[:300], b[:300]) for a, b in pairs if a != b]
    different += [("the number of entries", after)] if int(after) != len(entries) else []
    unreadable = [line.split("|")[0] for line in old if "UNREADABLE" in line]
    read = len(pairs) - len(unreadable)
    return {"leaves": read, "values": read * len(entries), "different": different, "unreadable": unreadable}


def compare(source, copy, name, entries, skip):
    file = ROOT.TFile.Open(source)
    if file.GetKey(name).GetClassName() == "TTree":
        return compare_trees(source, copy, name, entries)
    return compare_ntuples(source, copy, name, entries, skip)


if __name__ == "__main__":
    ROOT.gErrorIgnoreLevel = ROOT.kFatal
    ROOT.TBufferJSON.SetFloatFormat("%.9g")
    ROOT.TBufferJSON.SetDoubleFormat("%.17g")
    assert ROOT.gInterpreter.Declare(COMPARE) and ROOT.gInterpreter.Declare(rntuple_in_root.READ)
    for pair in json.load(sys.stdin):
        print(json.dumps(compare(*pair)), flush=True)
