"""JSON that is read strictly."""

from pathlib import Path

import pytest

from hepfilter.config.strict_json import load_json
from hepfilter.errors import ConfigError


def test_plain_data_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"b": [1, 18446744073709551615, true], "a": {"b": null}}')  # with a byte order mark
    data = load_json(path)
    assert data == {"b": [1, 2**64 - 1, True], "a": {"b": None}}
    assert list(data) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "not valid JSON: key 'a' stands twice"),
        ('[{"x": {"y": 1, "y": 1}}]', "key 'y' stands twice"),
        ("{'a': 1}", "not valid JSON: Expecting property name"),
        ("", "not valid JSON: Expecting value"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
        ("9" * 5000, "not valid JSON: Exceeds the limit"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load_json(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_json(tmp_path / "lost.json")
