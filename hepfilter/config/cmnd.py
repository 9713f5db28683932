"""Pythia's own command files (``.cmnd``) as simulation cards."""

import re
from pathlib import Path
from typing import Any

from hepfilter.config.base import parse_plain, read_text
from hepfilter.errors import ConfigError

OWN_KEYS = re.compile(r"^\s*[!#]\s*hepfilter:\s*(?P<keys>\{.*\})\s*$")
# What a main program sets, and we: ours stands in the command line, so theirs is left out instead of refused.
_OF_THE_MAIN_PROGRAM = ("main:", "init:", "next:", "stat:", "print:", "random:")
_LABEL = 1000
_PROTON = "2212"


def read_cmnd(path: Path) -> dict[str, Any]:
    """The keys of a card, as plain data, from a file of Pythia's settings.

    As in Pythia, a line that begins with no letter or digit is a comment, ``!`` begins one within a line, and a block
    of lines stands between ``/*`` and ``*/``. Settings of a main program (``Main:``, ``Init:``, ``Next:``, ``Stat:``,
    ``Print:``, ``Random:``) are left out; beam energy and ``PartonLevel:MPI`` become the card's own keys. A comment of
    the form ``! hepfilter: {family: mine, label: 7, is_signal: true}`` gives further keys of the card; without it the
    process is a signal of the family ``own`` with label 1000, named like the file.
    """
    name = re.sub(r"\W", "_", path.stem)
    data: dict[str, Any] = {"name": name, "title": path.stem, "family": "own", "is_signal": True, "label": _LABEL}
    settings: list[str] = []
    for line in _without_blocks(read_text(path), path):
        if found := OWN_KEYS.match(line):
            data |= _own_keys(found["keys"], path)
        line = line.split("!")[0].strip()
        if not line or not line[0].isalnum():
            continue
        key, value = _setting(line, path)
        folded = key.lower()
        if folded == "beams:ecm":
            data["energy_tev"] = _tev(value, path)
        elif folded == "partonlevel:mpi":
            data["multiple_interactions"] = value
        elif folded in ("beams:ida", "beams:idb") and value == _PROTON:
            continue
        elif folded == "main:subrun" or not folded.startswith(_OF_THE_MAIN_PROGRAM):
            settings.append(f"{key} = {value}")
    if not settings:
        raise ConfigError(f"{path}: switches no process on; it needs a line such as 'HardQCD:all = on'")
    return {**data, "settings": settings}


def _without_blocks(text: str, path: Path) -> list[str]:
    """The lines outside of ``/* … */``, whose marks begin a line."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = inside or line.strip().startswith("/*")
        if not inside:
            lines.append(line)
        inside = inside and not line.strip().startswith("*/") and not line.strip().endswith("*/")
    if inside:
        raise ConfigError(f"{path}: a comment begins with /* and never ends; close it with */")
    return lines


def _setting(line: str, path: Path) -> tuple[str, str]:
    """Key and value; Pythia takes ``key = value`` and ``key value`` alike."""
    parts = re.split(r"\s*=\s*|\s+", line, maxsplit=1)
    if len(parts) != 2 or not parts[1]:
        raise ConfigError(f"{path}: {line!r} is no Pythia line of the form 'Group:name = value'")
    return parts[0], parts[1]


def _tev(value: str, path: Path) -> float:
    try:
        return float(value) / 1000.0
    except ValueError as error:
        raise ConfigError(f"{path}: Beams:eCM = {value} is no number of GeV") from error


def _own_keys(text: str, path: Path) -> dict[str, Any]:
    keys = parse_plain(text, where=f"{path}: the comment 'hepfilter: {text}'")
    assert isinstance(keys, dict)  # it stands in braces
    if "settings" in keys:
        raise ConfigError(f"{path}: settings stand in the lines of the file, not in its comment")
    return keys
