"""A script for ROOT: writes RNTuples with every kind of field, compares two as ROOT prints them, reads one.

rntuple_in_root.py write [[FILE, ENTRIES, ENTRIES_A_CLUSTER, LATE], …]
rntuple_in_root.py compare [[SOURCE, COPY, NAME, [ENTRY, …], [CLASS_TO_SKIP, …]], …]
rntuple_in_root.py count FILE NAME
rntuple_in_root.py numbers FILE FIELD…
rntuple_in_root.py frame FILE NAME
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")
import ROOT  # noqa: E402

WRITE = r"""
#include <ROOT/RField.hxx>
#include <ROOT/RNTupleModel.hxx>
#include <ROOT/RNTupleWriteOptions.hxx>
#include <ROOT/RNTupleWriter.hxx>
#include <TNamed.h>
#include <random>

void write(const std::string &path, int entries, int per_cluster, bool late) {
   using namespace ROOT;
   auto model = RNTupleModel::Create();
   model->SetDescription("a test of everything");
   auto add = [&](auto type, const char *name, auto change) {
      using T = decltype(type);
      auto field = std::make_unique<RField<T>>(name);
      change(*field);
      model->AddField(std::move(field));
      return model->GetDefaultEntry().GetPtr<T>(name);
   };
   using Kind = ENTupleColumnType;
   auto id = model->MakeField<std::uint64_t>("id", "the number of the entry");
   auto i8 = model->MakeField<std::int8_t>("i8");
   auto i16 = model->MakeField<std::int16_t>("i16");
   auto i32 = model->MakeField<std::int32_t>("i32");
   auto i64 = model->MakeField<std::int64_t>("i64");
   auto u16 = model->MakeField<std::uint16_t>("u16");
   auto f64 = model->MakeField<double>("f64");
   auto flag = model->MakeField<bool>("flag");
   auto half = add(float(), "half", [](auto &f) { f.SetHalfPrecision(); });
   auto trunc = add(float(), "trunc", [](auto &f) { f.SetTruncated(13); });
   auto quant = add(double(), "quant", [](auto &f) { f.SetQuantized(11, std::pair<double, double>(-1., 1.)); });
   auto plain = add(float(), "plain", [](auto &f) { f.SetColumnRepresentatives({{Kind::kReal32}}); });
   auto multi = add(float(), "multi", [](auto &f) {
      f.SetColumnRepresentatives({{Kind::kReal32}, {Kind::kReal16}, {Kind::kSplitReal32}});
   });
   auto multis = add(std::vector<std::string>(), "multis", [](auto &f) {
      f.SetColumnRepresentatives({{Kind::kIndex32}, {Kind::kSplitIndex64}});
   });
   auto text = model->MakeField<std::string>("text");
   auto arr = model->MakeField<std::array<float, 3>>("arr");
   auto deep = model->MakeField<std::array<std::vector<std::int32_t>, 2>>("deep");
   auto nested = model->MakeField<std::vector<std::vector<float>>>("nested");
   auto texts = model->MakeField<std::vector<std::string>>("texts");
   auto maybe = model->MakeField<std::optional<float>>("maybe");
   auto maybes = model->MakeField<std::vector<std::optional<std::string>>>("maybes");
   auto bits = model->MakeField<std::bitset<13>>("bits");
   auto bools = model->MakeField<std::vector<bool>>("bools");
   auto variant = model->MakeField<std::variant<float, std::string, std::vector<std::int32_t>>>("variant");
   auto variants = model->MakeField<std::vector<std::variant<int, double>>>("variants");
   auto map = model->MakeField<std::map<std::string, float>>("map");
   auto set = model->MakeField<std::set<std::int32_t>>("set");
   auto pair = model->MakeField<std::pair<float, std::int64_t>>("pair");
   auto tuple = model->MakeField<std::tuple<char, std::vector<float>, double>>("tuple");
   auto atomic = model->MakeField<std::atomic<std::int32_t>>("atomic");
   auto pointer = model->MakeField<std::unique_ptr<double>>("pointer");
   model->AddField(std::make_unique<RStreamerField>("named", "TNamed"));
   auto named = model->GetDefaultEntry().GetPtr<TNamed>("named");
   RNTupleWriteOptions options;
   options.SetInitialUnzippedPageSize(256);
   options.SetMaxUnzippedPageSize(1024);
   auto writer = RNTupleWriter::Recreate(std::move(model), "everything", path, options);
   std::mt19937 random(7);
   auto below = [&](int limit) { return int(random() % limit); };
   std::shared_ptr<float> later;
   std::shared_ptr<std::vector<float>> laters;
   std::shared_ptr<std::array<int, 2>> pairs;
   std::shared_ptr<std::string> words;
   for (int i = 0; i < entries; ++i) {
      if (late && i == entries * 3 / 5) {
         auto updater = writer->CreateModelUpdater();
         updater->BeginUpdate();
         later = updater->MakeField<float>("later");
         laters = updater->MakeField<std::vector<float>>("laters");
         pairs = updater->MakeField<std::array<int, 2>>("pairs");
         words = updater->MakeField<std::string>("words");
         updater->CommitUpdate();
      }
      *id = i; *i8 = below(256); *i16 = below(65536); *i32 = random(); *i64 = -std::int64_t(random()) << 20;
      *u16 = random(); *f64 = 1. / (1 + i); *flag = below(2); *half = below(100) / 7.f; *trunc = below(1000) / 3.f;
      *quant = below(2000) / 1000. - 1.; *plain = below(1000); *multi = below(100) / 7.f;
      multis->assign(below(4), "m" + std::to_string(i));
      *text = std::string(below(9), 'a' + i % 26); *arr = {float(i), -float(i), 0.5f};
      (*deep)[0].assign(below(3), i); (*deep)[1].assign(below(4), -i);
      nested->clear(); for (int k = below(4); k-- > 0;) nested->emplace_back(below(5), k + i);
      texts->clear(); for (int k = below(4); k-- > 0;) texts->emplace_back(below(5), 'A' + k);
      *maybe = below(2) ? std::optional<float>(i) : std::nullopt;
      maybes->clear();
      for (int k = below(4); k-- > 0;) maybes->emplace_back(below(2) ? std::optional<std::string>("x") : std::nullopt);
      *bits = below(8192);
      bools->clear(); for (int k = below(20); k-- > 0;) bools->push_back(below(2));
      switch (below(3)) {
      case 0: *variant = float(i); break;
      case 1: *variant = "v" + std::to_string(i); break;
      default: *variant = std::vector<std::int32_t>(below(4), i);
      }
      variants->clear();
      for (int k = below(4); k-- > 0;) { if (below(2)) variants->emplace_back(k); else variants->emplace_back(k / 2.); }
      map->clear(); for (int k = below(3); k-- > 0;) (*map)[std::string(1, 'a' + k)] = i;
      set->clear(); for (int k = below(4); k-- > 0;) set->insert(below(100));
      *pair = {float(i), i}; *tuple = {'x', std::vector<float>(below(3), 1.5f), 2.5}; *atomic = i;
      *pointer = below(2) ? std::make_unique<double>(i) : nullptr;
      named->SetNameTitle(("n" + std::to_string(i)).c_str(), "title");
      if (later) { *later = i; laters->assign(below(4), i); *pairs = {i, -i}; *words = "w" + std::to_string(i); }
      writer->Fill();
      if (per_cluster && (i + 1) % per_cluster == 0) {
         writer->CommitCluster((i + 1) % (3 * per_cluster) == 0);
         auto change = [&](const char *name, int which) {
            auto &field = const_cast<RFieldBase &>(writer->GetModel().GetConstField(name));
            Internal::RFieldRepresentationModifier::SetPrimaryColumnRepresentation(field, which);
         };
         change("multi", (i + 1) / per_cluster % 3);
         change("multis", (i + 1) / per_cluster % 2);
      }
   }
}
"""
# variants and streamed objects are printed by us: ROOT's visitor leaves their values out
READ = r"""
#include <ROOT/RFieldVisitor.hxx>
#include <ROOT/RNTupleReader.hxx>
#include <TNamed.h>
#include <sstream>

using Three = std::variant<float, std::string, std::vector<std::int32_t>>;
using Two = std::vector<std::variant<int, double>>;
void put(std::ostream &s, const TNamed &v) { s << v.GetName() << '/' << v.GetTitle() << ' '; }
void put(std::ostream &s, const Three &v) {
   if (v.index() == 0) s << std::get<0>(v);
   if (v.index() == 1) s << std::get<1>(v);
   if (v.index() == 2) for (auto n : std::get<2>(v)) s << n << ',';
   s << '#' << v.index() << ' ';
}
void put(std::ostream &s, const Two &v) {
   for (auto &n : v) { if (n.index()) s << "d" << std::get<1>(n); else s << "i" << std::get<0>(n); }
   s << ' ';
}

std::vector<std::string> print(std::string path, std::string name, std::vector<ULong64_t> entries,
                               std::vector<std::string> skip) {
   auto reader = ROOT::RNTupleReader::Open(name, path);
   std::vector<std::string> result{std::to_string(reader->GetNEntries())};
   for (const auto &field : reader->GetDescriptor().GetTopLevelFields()) {
      std::ostringstream s;
      s.precision(17);
      auto type = field.GetTypeName();
      s << field.GetFieldName() << '|' << type << '|' << field.GetFieldDescription() << '|';
      auto all = [&](auto tag) {
         auto view = reader->GetView<decltype(tag)>(field.GetId());
         for (auto i : entries) put(s, view(i));
      };
      try {
         for (auto &part : skip)
            if (type.find(part) != std::string::npos) throw std::runtime_error("skipped");
         if (type.find("Cardinality") != std::string::npos) {
            auto view = reader->GetView<ROOT::RNTupleCardinality<std::uint64_t>>(field.GetId());
            for (auto i : entries) s << std::uint64_t(view(i)) << ' ';
         }
         else if (field.GetFieldName() == "named") {
            auto view = reader->GetView<void>(field.GetId());
            for (auto i : entries) { view(i); put(s, *static_cast<TNamed *>(view.GetValue().GetPtr<void>().get())); }
         }
         else if (field.GetFieldName() == "variant") all(Three());
         else if (field.GetFieldName() == "variants") all(Two());
         else {
            auto view = reader->GetView<void>(field.GetId());
            for (auto i : entries) {
               view(i);
               ROOT::Internal::RPrintValueVisitor visitor(view.GetValue(), s);
               view.GetField().AcceptVisitor(visitor);
            }
         }
      } catch (const std::exception &error) { s << "UNREADABLE " << error.what(); }
      result.push_back(s.str());
   }
   return result;
}
"""


def printed(path, name, entries, skip):
    lines = ROOT.print(
        path, name, ROOT.std.vector["ULong64_t"](list(entries)), ROOT.std.vector["std::string"](list(skip))
    )
    return [str(line) for line in lines]


def compare(pairs):
    """One line of JSON a pair: entries of the copy, what differs, what cannot be read in the source."""
    ROOT.gInterpreter.Declare(READ)
    for source, copy, name, entries, skip in json.loads(pairs):
        old, new = printed(source, name, entries, skip), printed(copy, name, range(len(entries)), skip)
        assert len(old) == len(new), (len(old), len(new))
        different = [(a[:300], b[:300]) for a, b in zip(old[1:], new[1:], strict=True) if a != b]
        unreadable = [line.split("|")[0] for line in old[1:] if "UNREADABLE" in line]
        print(json.dumps({"entries": int(new[0]), "different": different, "unreadable": unreadable}))


def numbers(path, *names):
    found = {}
    for name in names:
        ROOT.gInterpreter.Declare(
            """
            #include <ROOT/RNTupleReader.hxx>
            template <typename T> std::vector<double> numbers_of(std::string path, std::string name) {
               auto reader = ROOT::RNTupleReader::Open("everything", path);
               auto view = reader->GetView<T>(name);
               std::vector<double> result;
               for (auto i : reader->GetEntryRange()) result.push_back(view(i));
               return result;
            }"""
            if not found
            else ""
        )
        kinds = {"id": "std::uint64_t", "i8": "std::int8_t", "i16": "std::int16_t", "i32": "std::int32_t",
                 "i64": "std::int64_t", "u16": "std::uint16_t", "f64": "double", "flag": "bool"}  # fmt: skip
        found[name] = list(ROOT.numbers_of[kinds.get(name, "float")](path, name))
    print(json.dumps(found))


def frame(path, name):
    rows = ROOT.RDataFrame(name, path)
    names = [str(column) for column in rows.GetColumnNames()]
    arrays = rows.AsNumpy([column for column in names if "_collection" not in column])
    listed = {key: [getattr(v, "tolist", lambda v=v: list(v) if hasattr(v, "__len__") else v)() for v in own]
              for key, own in arrays.items()}  # fmt: skip
    print(json.dumps(listed, default=lambda value: value.item()))


if __name__ == "__main__":
    ROOT.gErrorIgnoreLevel = ROOT.kFatal
    command, *rest = sys.argv[1:]
    if command == "write":
        assert ROOT.gInterpreter.Declare(WRITE)
        for path, entries, per_cluster, late in json.loads(rest[0]):
            ROOT.write(path, entries, per_cluster, late)
    elif command == "count":
        print(ROOT.RNTupleReader.Open(rest[1], rest[0]).GetNEntries())
    else:
        {"compare": compare, "numbers": numbers, "frame": frame}[command](*rest)
