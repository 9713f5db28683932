"""Which branches are kept: by patterns on the command line, or by a keep/drop file as nanoAOD-tools reads it.

The file's meaning was read off nanoAOD-tools' BranchSelection and measured with ROOT's TTree::SetBranchStatus, on which
it stands: everything is kept at first, each line in turn changes what it matches, so that the last match wins. A line
that matches jagged branches speaks for their counter as well: it is dropped with the last of them.
"""

import fnmatch
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hepfilter.errors import ConfigError, HepfilterError, UsageError, nearest

_VERBS = ("keep", "drop", "keepmatch", "dropmatch")
_LONGEST_PATTERN = 500
_NAME_LENGTH = 64  # for the estimate of a regular expression's steps: the longest names of HLT branches
_MOST_STEPS = 8 * (_NAME_LENGTH + 1) ** 4  # four times .* and a few alternatives
_REGEX_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"  # one character: escaped, or of a class
    r"|\((?:\?(?:P<\w+>|P=\w+|\(\w+\)|<?[=!]|[:>]|[a-zA-Z-]+:?))?"  # a group begins
    r"|[*+?][?+]?|\{\d+\}[?+]?|\{\d*,\d*\}[?+]?"  # repetition
    r"|.",
    re.DOTALL,
)


@dataclass(frozen=True)
class BranchRule:
    """One pattern that keeps or drops branches; `verb` is one of keep, drop (globs), keepmatch, dropmatch (regular
    expressions for the whole name), `where` tells its place in messages."""

    verb: str
    pattern: str
    where: str

    @property
    def keeps(self) -> bool:
        """Whether what matches is kept."""
        return self.verb.startswith("keep")

    def matching(self, names: Collection[str]) -> list[str]:
        """The names that the pattern matches, as they stand in `names`."""
        return [name for name in names if name == self.pattern or self._expression.fullmatch(name)]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        if self.verb.endswith("match"):
            return re.compile(self.pattern)
        # ROOT negates a class by ^, the shell by !
        return re.compile(fnmatch.translate(self.pattern.replace("[^", "[!")))


@dataclass(frozen=True)
class BranchRules:
    """Rules in the order in which they apply; `default` says whether a branch that none matches is kept.

    A rule of a `strict` set must match a branch.
    """

    rules: tuple[BranchRule, ...] = ()
    default: bool = True
    strict: bool = False

    def kept(self, names: Sequence[str]) -> list[bool]:
        """Which branches of these names the rules keep; counters are not known here: see `select_branches`."""
        return list(_apply(self, dict.fromkeys(names))[0].values())


@dataclass(frozen=True)
class BranchChoice:
    """The branches that are kept, and those that are `dropped`, in the tree's order.

    `forced` are those among them that the rules drop: needed, or counters of kept branches. `unmatched` are the rules
    of a file that match nothing, each with its place: made for many eras, a file may name what this tree lacks.
    """

    kept: tuple[str, ...]
    forced: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def branch_rules(*, keep: Sequence[str] = (), drop: Sequence[str] = ()) -> BranchRules:
    """The rules of the command line, as globs (``*``, ``?``, ``[…]``; upper and lower case differ).

    `keep` alone: only what one of them matches; `drop` alone: all but that; both: of what `keep` matches all but what
    `drop` matches, in whatever order they were given. UsageError for a pattern that is empty or too long.
    """
    rules = [_rule("keep", text, where="--keep-branches", error=UsageError) for text in keep]
    rules += [_rule("drop", text, where="--drop-branches", error=UsageError) for text in drop]
    return BranchRules(tuple(rules), default=not keep, strict=True)


def parse_branch_file(path: Path | str) -> BranchRules:
    """The rules of a keep/drop file: ``keep GLOB``, ``drop GLOB``, ``keepmatch REGEX``, ``dropmatch REGEX`` a line.

    What follows ``#`` and blank lines are skipped; a regular expression must match the whole name. ConfigError tells
    the line that is none of these (nanoAOD-tools reports it and goes on), does not compile, or could take for ever.
    """
    from hepfilter.config.base import read_text

    rules = []
    for number, line in enumerate(read_text(Path(path)).splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"{path}: line {number}"
        if len(words) != 2 or words[0] not in _VERBS or words[1].endswith("\\"):
            text = line.strip()[:60]
            hint = nearest(words[0], _VERBS) if words[0] not in _VERBS else ""
            raise ConfigError(f"{where}: {text!r} is no rule; write {', '.join(_VERBS)} and one pattern a line{hint}")
        rules.append(_rule(*words, where=where, error=ConfigError))
    return BranchRules(tuple(rules))


def select_branches(
    rules: BranchRules, branches: Sequence[tuple[str, str | None]], *, needed: Collection[str] = ()
) -> BranchChoice:
    """The branches that are kept of a tree, whose `branches` are given as (name, name of the counter or None).

    In spite of the rules the counters of kept branches are kept (ROOT and coffea read no jagged branch without) and
    those of `needed` that are there. To skim many files, give the branches of all of them at once.

    An error (UsageError on the command line, ConfigError for a file) if the rules keep no branch at all; UsageError if
    a pattern of the command line matches none: it names the nearest.
    """
    counters = dict(branches)
    kept, unmatched = _apply(rules, counters)
    if rules.strict and unmatched:
        rule = unmatched[0]
        raise UsageError(f"{rule.where} {rule.pattern!r} matches no branch{nearest(rule.pattern, counters)}")
    if branches and not any(kept.values()):
        where = rules.rules[-1].where
        error = UsageError if rules.strict else ConfigError
        raise error(f"{where}: no branch is left; keep at least one of the {len(branches)}")
    wanted = {name for name in counters if kept[name] or name in needed}
    wanted |= {counter for name, counter in branches if counter is not None and name in wanted}
    return BranchChoice(
        tuple(name for name in counters if name in wanted),
        tuple(name for name in counters if name in wanted and not kept[name]),
        tuple(f"{rule.where}: {rule.verb} {rule.pattern}" for rule in unmatched),
        tuple(name for name in counters if name not in wanted),
    )


def _apply(rules: BranchRules, counters: dict[str, str | None]) -> tuple[dict[str, bool], list[BranchRule]]:
    """Which branches the rules keep, and the rules that match none; `counters` maps each branch to its counter."""
    jagged = {name: counter for name, counter in counters.items() if counter is not None and counter in counters}
    users: dict[str, list[str]] = {}
    for name, counter in jagged.items():
        users.setdefault(counter, []).append(name)
    kept = dict.fromkeys(counters, rules.default)
    unmatched = []
    for rule in rules.rules:
        matching = rule.matching(counters)
        if not matching:
            unmatched.append(rule)
        kept.update(dict.fromkeys(matching, rule.keeps))
        for counter in {jagged[name] for name in matching if name in jagged}:
            kept[counter] = any(kept[name] for name in users[counter])
    return kept, unmatched


def _rule(verb: str, pattern: str, *, where: str, error: type[HepfilterError]) -> BranchRule:
    """A rule whose pattern can be used, or the error that says why not."""
    if not pattern or len(pattern) > _LONGEST_PATTERN:
        raise error(f"{where}: a pattern has 1 to {_LONGEST_PATTERN} characters, not {len(pattern)}")
    if verb.endswith("match"):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as fault:
            raise error(f"{where}: {pattern[:60]!r} is no regular expression: {fault}") from fault
        if _steps(pattern) > _MOST_STEPS:
            raise error(
                f"{where}: {pattern[:60]!r} could take for ever: it repeats within repetitions, or in too many "
                "places; split it into several lines"
            )
    return BranchRule(verb, pattern, where)


def _steps(pattern: str) -> int:
    """In how many ways, at most, a valid regular expression may try to match a name: what backtracking costs.

    Ways multiply along a sequence and add up over alternatives; a repetition has as many as there are numbers of
    rounds, times those of one round to the power of the rounds. Counted up to a little more than is allowed.
    """
    # per open group: ways of the finished alternatives, of this one so far, and of its last element
    groups = [[0, 1, 1]]
    for token in _REGEX_TOKEN.findall(f"({pattern})"):
        done, ways, last = groups[-1]
        rounds = _rounds(token)
        if token == "|":
            groups[-1] = [done + ways * last, 1, 1]
        elif token == ")":
            groups.pop()
            groups[-1] = [groups[-1][0], groups[-1][1] * groups[-1][2], done + ways * last]
        elif token.startswith("("):
            groups.append([0, 1, 1])
        elif rounds:
            groups[-1] = [done, ways, (rounds[1] - rounds[0] + 1) * last ** rounds[1]]
        else:
            groups[-1] = [done, ways * last, 1]
        groups[-1] = [min(number, _MOST_STEPS + 1) for number in groups[-1]]
    return groups[0][2]


def _rounds(token: str) -> tuple[int, int] | None:
    """The least and the greatest number of rounds if the token is a repetition; no name has more than _NAME_LENGTH."""
    if token[0] in "*+?":
        return int(token[0] == "+"), 1 if token[0] == "?" else _NAME_LENGTH
    if token[0] != "{" or len(token) == 1:
        return None
    least, comma, most = token[1 : token.index("}")].partition(",")
    low = min(int(least or 0), _NAME_LENGTH)
    return low, (min(int(most), _NAME_LENGTH) if most else _NAME_LENGTH) if comma else low
