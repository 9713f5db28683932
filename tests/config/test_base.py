"""Reading configuration files: bounded, and with errors that say where."""

import os
import threading
from pathlib import Path

import pytest

from hepfilter.config.base import LARGEST_TEXT, find_config, load_plain, read_text
from hepfilter.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1,\n  b: }", "line 2, column 6: "),
        ("a: 1\nb: c: d", "line 2, column 5: mapping values are not allowed"),
        ("é: 1\nb: {a: 1, a: 2}", "line 2, column 11: key 'a' stands twice"),
        ("é: 1\nb: é\x07", "line 2, column 5: the character '\\x07' is not allowed"),
        ("b: 1\na: 2024-99-99", "line 2, column 4: month must be in 1..12"),
        ("a: &x 1\nb: *x", "line 2, column 4: aliases (*name) are not allowed"),
        ("a:\n- !!python/object:os.system 1", "line 2, column 3: tags (!name) are not allowed"),
        ("a:\n " + "[" * 200, "line 2, column 101: nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_told_with_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_plain(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: not valid YAML: {message}")
    assert "unicode string" not in said and "\n" not in said


def test_what_has_no_end_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(ConfigError, match=f"{path}: is no plain file; write it to one"):
            read_text(path)
    with pytest.raises(ConfigError, match="/dev/zero: is no plain file; give a file or the name of a built-in"):
        find_config("schemas", "/dev/zero")
    with pytest.raises(ConfigError, match="/dev/zero: is no plain file"):
        read_text(Path("/dev/zero"), from_pipe=True)


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1")
    assert read_text(path, largest=4) == "a: 1"
    with pytest.raises(ConfigError, match=r"x\.yaml: has more than"):
        read_text(path, largest=3)
    with path.open("wb") as stream:
        stream.truncate(100 * LARGEST_TEXT)  # 10 GB, none of which lies on the disk
    with pytest.raises(ConfigError, match=r"x\.yaml: has more than 100 MB"):
        load_plain(path)


def test_a_pipe_is_read_where_it_may_be_and_up_to_the_bound(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            stream.write(b"a\r\nb\n")

    for largest in (5, 4):
        writer = threading.Thread(target=write)
        writer.start()
        if largest == 5:
            assert read_text(pipe, from_pipe=True, largest=5) == "a\nb\n"
        else:
            with pytest.raises(ConfigError, match="pipe: has more than"):
                read_text(pipe, from_pipe=True, largest=4)
        writer.join(10)


def test_of_few_built_ins_all_are_named() -> None:
    with pytest.raises(ConfigError, match=r"known: interest-objects, interest-particles$"):
        find_config("training", "zzz")
    with pytest.raises(ConfigError, match=r"there are \d\d, from a_4l to zprime_tt"):
        find_config("simulation", "????")
