"""Which branches are kept, against ROOT's SetBranchStatus, on which nanoAOD-tools stands."""

import json
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import uproot

from hepfilter.errors import ConfigError, UsageError
from hepfilter.io.branch_selection import BranchRules, branch_rules, parse_branch_file, select_branches

BRANCHES = [
    ("run", None),
    ("event", None),
    ("nMuon", None),
    ("Muon_pt", "nMuon"),
    ("Muon_eta", "nMuon"),
    ("nJet", None),
    ("Jet_pt", "nJet"),
    ("MET_pt", None),
    ("HLT_Mu8", None),
]
NAMES = [name for name, _ in BRANCHES]
NEEDED = ("run", "luminosityBlock", "event")


def rules_of(folder: Path, *lines: str) -> BranchRules:
    (folder / "branches.txt").write_text("\n".join(lines))
    return parse_branch_file(folder / "branches.txt")


def kept(rules: BranchRules) -> list[str]:
    return list(select_branches(rules, BRANCHES).kept)


def test_the_command_line():
    def chosen(keep: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> list[str]:
        return kept(branch_rules(keep=keep, drop=drop))

    assert chosen() == NAMES
    assert chosen(keep=("MET_*", "HLT_Mu?")) == ["MET_pt", "HLT_Mu8"]
    assert chosen(drop=("MET_*", "HLT_Mu8")) == NAMES[:-2]
    assert chosen(keep=("*_pt",), drop=("J*", "Muon_eta")) == ["nMuon", "Muon_pt", "MET_pt"]
    assert chosen(keep=("HLT_Mu[0-9]", "run")) == ["run", "HLT_Mu8"]
    assert chosen(keep=("[!MJHn]*",)) == chosen(keep=("[^MJHn]*",)) == ["run", "event"]
    with pytest.raises(UsageError, match="'met_pt' matches no branch"):  # upper and lower case differ
        chosen(keep=("met_pt",))


def test_rules_by_name_alone():
    assert branch_rules(keep=["Muon_*"]).kept(["nMuon", "Muon_pt", "x"]) == [False, True, False]
    assert branch_rules(drop=["Muon_*"]).kept(["nMuon", "Muon_pt", "x"]) == [True, False, True]


def test_a_file_is_read_in_order_and_the_last_match_wins(tmp_path):
    rules = rules_of(
        tmp_path,
        "# only what is needed",
        "drop *",
        "",
        "  keep  Muon_*   # with its counter",
        "dropmatch Muon_(eta|phi)",
        "keepmatch .*ET_p",
        "keepmatch .*ET_pt|HLT_.*",
        "keep HLT_Ele*",
    )
    choice = select_branches(rules, BRANCHES)
    assert choice.kept == ("nMuon", "Muon_pt", "MET_pt", "HLT_Mu8")
    assert choice.forced == ()
    place = f"{tmp_path}/branches.txt: line"
    assert choice.unmatched == (f"{place} 6: keepmatch .*ET_p", f"{place} 8: keep HLT_Ele*")
    assert kept(rules_of(tmp_path, "# all of it")) == NAMES
    assert kept(rules_of(tmp_path, "drop MET_pt")) == [name for name in NAMES if name != "MET_pt"]


def test_counters_go_with_their_arrays():
    assert select_branches(branch_rules(keep=["Muon_eta"]), BRANCHES).forced == ()
    assert kept(branch_rules(keep=["Muon_eta"])) == ["nMuon", "Muon_eta"]
    assert "nMuon" in kept(branch_rules(drop=["Muon_eta"]))
    assert "nMuon" not in kept(branch_rules(drop=["Muon_eta", "Muon_pt"]))
    assert kept(branch_rules(keep=["nMuon"])) == ["nMuon"]


def test_what_is_kept_against_the_rules_is_told():
    choice = select_branches(branch_rules(drop=["nMuon", "event", "MET_pt"]), BRANCHES, needed=NEEDED)
    assert choice.kept == tuple(name for name in NAMES if name != "MET_pt")
    assert choice.forced == ("event", "nMuon")
    choice = select_branches(branch_rules(keep=["MET_pt"]), BRANCHES, needed=["Jet_pt"])
    assert choice.kept == ("nJet", "Jet_pt", "MET_pt")
    assert choice.forced == ("nJet", "Jet_pt")


def test_a_counter_that_is_not_there_is_not_invented():
    assert select_branches(branch_rules(keep=["x"]), [("x", "nx"), ("y", None)]).kept == ("x",)


def test_patterns_that_match_nothing(tmp_path):
    with pytest.raises(UsageError, match=r"^--drop-branches 'Muon_phi' matches no branch; nearest: Muon_pt"):
        kept(branch_rules(drop=["Muon_phi"]))
    with pytest.raises(UsageError, match=r"^--keep-branches 'Mu' matches no branch"):
        kept(branch_rules(keep=["run", "Mu"]))


def test_nothing_left_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"^--drop-branches: no branch is left; keep at least one of the 9$"):
        select_branches(branch_rules(drop=["*"]), BRANCHES, needed=NEEDED)
    with pytest.raises(ConfigError, match=r"line 2: no branch is left"):
        kept(rules_of(tmp_path, "drop *", "keep Tau_*"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("keeps Muon_*", "'keeps Muon_\\*' is no rule; write keep, drop, keepmatch, dropmatch .*; nearest: keep"),
        ("keep", "is no rule"),
        ("keep Muon_* Jet_*", "is no rule"),
        ("drop Muon_* \\", "is no rule"),
        ("keep \\", "is no rule"),
        ("keepmatch Muon_(pt", r"'Muon_\(pt' is no regular expression: missing \)"),
        ("dropmatch *_pt", "is no regular expression: nothing to repeat"),
        ("keepmatch a{9999999999999}", "is no regular expression: the repetition number is too large"),
        ("keepmatch " + "(" * 400, "is no regular expression"),
        ("keep " + "a" * 501, "a pattern has 1 to 500 characters, not 501"),
    ],
)
def test_lines_that_are_no_rule(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message) as raised:
        rules_of(tmp_path, "drop *", line)
    assert str(raised.value).startswith(f"{tmp_path}/branches.txt: line 2: ")
    assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="--keep-branches: a pattern has 1 to 500 characters, not 0"):
        branch_rules(keep=[""])


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a*)*", "(a|a)*b", "(a?){30}b", "a?" * 30 + "b", "(?:a|b|ab)+c", "((ab){1,40}){1,40}", ".*" * 8 + "b",
     "(?P<x>a+)+", "(?=(a+)+b)a", r"(\w+_?)+!", "(a{1,9999})*", "([ab]|[a]){64}"],
)  # fmt: skip
def test_expressions_that_could_take_for_ever(tmp_path, pattern):
    with pytest.raises(ConfigError, match=r"line 1: .* could take for ever: it repeats within repetitions"):
        rules_of(tmp_path, f"keepmatch {pattern}")


@pytest.mark.parametrize(
    "pattern",
    ["Muon_.*", "(Muon|Jet|Tau)_(pt|eta|phi|mass)", ".*_.*_.*_.*b", "HLT_(Ele|Mu)[0-9]+_.*", "(?:HLT|L1)_.*|Flag_.*",
     "[(*)]+", r"\(+\w{3}(ab)?", "(?i:met)_.*", "n?(Muon|Jet)(_.*)?", "(ab){1,8}", "a{,3}{", "[]*]b", "[^]*]b"],
)  # fmt: skip
def test_expressions_that_are_quick(tmp_path, pattern):
    rules = rules_of(tmp_path, f"dropmatch {pattern}")
    before = time.process_time()
    rules.kept(["a" * 64, "_" * 64, "Muon_" * 12])
    assert time.process_time() - before < 5  # the endless ones take years


ROOT_SCRIPT = """
import json, sys, ROOT
task = json.load(open(sys.argv[1]))
file = ROOT.TFile.Open(task["file"])
tree = file.Get("Events")
answers = []
for statuses in task["statuses"]:
    tree.SetBranchStatus("*", 1)
    for pattern, status in statuses:
        tree.SetBranchStatus(pattern, status)
    out = ROOT.TFile(sys.argv[3], "recreate")
    clone = tree.CloneTree(0)
    answers.append([branch.GetName() for branch in clone.GetListOfBranches()])
    out.Close()
json.dump(answers, open(sys.argv[2], "w"))
"""


@pytest.mark.parametrize("name", ["nano_dy.root", "nano_tt_v12.root"])  # a counter a collection, a counter a branch
def test_root_keeps_the_same_branches(shared_data, tmp_path, name):
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    with uproot.open({shared_data / name: "Events"}) as tree:
        counters = [branch.count_branch for branch in tree.branches]
        branches = [(n, None if c is None else c.name) for n, c in zip(tree.keys(), counters, strict=True)]
    cases = [random_lines([name for name, _ in branches], seed) for seed in range(60)]
    task = {"file": str(shared_data / name), "statuses": [
        [(pattern, int(verb == "keep")) for verb, pattern in lines] for lines in cases
    ]}  # fmt: skip
    (tmp_path / "task.json").write_text(json.dumps(task))
    arguments = [str(tmp_path / part) for part in ("task.json", "a.json", "clone.root")]
    run = subprocess.run([sys.executable, "-c", ROOT_SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    answers = json.loads((tmp_path / "a.json").read_text())
    assert len({tuple(answer) for answer in answers}) > 30
    for lines, answer in zip(cases, answers, strict=True):
        rules = rules_of(tmp_path, *(f"{verb} {pattern}" for verb, pattern in lines), "keep run")
        assert select_branches(rules, branches).kept == tuple(n for n, _ in branches if n in {*answer, "run"}), lines


def random_lines(names: list[str], seed: int) -> list[tuple[str, str]]:
    """Lines of a keep/drop file that name branches of the tree, whole collections, counters, and what is not there."""
    draw = random.Random(seed)
    collections = sorted({name.split("_")[0] for name in names if "_" in name})

    def pattern() -> str:
        collection = draw.choice(["Muon", "Muon", "Jet", draw.choice(collections)])
        ends = ("_*", "_p?", "_[pe]*", "_[^pe]*", "*")
        forms = [f"n{collection}*", f"n{collection}", f"*{collection}", draw.choice(names), "*_pt", "Nothing_*"]
        return draw.choice(forms + [collection + end for end in ends])

    first = [("drop", "*")] if draw.random() < 0.7 else []
    return first + [(draw.choice(["keep", "drop"]), pattern()) for _ in range(draw.randint(1, 6))]
