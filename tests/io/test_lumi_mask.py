"""Luminosity masks, against coffea's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.errors import ConfigError, SourceError
from hepfilter.io.lumi_mask import LumiMask, load_lumi_mask


def mask_of(folder: Path, data: Any) -> LumiMask:
    (folder / "mask.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return load_lumi_mask(folder / "mask.json")


def good(mask: LumiMask, run: int, stop: int = 20) -> list[int]:
    return np.flatnonzero(mask.passes(np.full(stop, run), np.arange(stop))).tolist()


def test_both_ends_are_good_and_runs_are_apart(tmp_path):
    mask = mask_of(tmp_path, {"7": [[3, 5], [9, 9]], "5": [[1, 2]], "6": []})
    assert good(mask, 7) == [3, 4, 5, 9]
    assert good(mask, 5) == [1, 2]
    assert [good(mask, run) for run in (0, 4, 6, 8)] == [[], [], [], []]
    assert mask.runs.tolist() == [5, 7]
    assert mask.runs.dtype == np.uint32


def test_ranges_that_overlap_touch_or_are_out_of_order(tmp_path):
    mask = mask_of(tmp_path, {"1": [[10, 12], [2, 4], [3, 7], [8, 8], [3, 3], [2, 4], [14, 18], [15, 16]]})
    assert good(mask, 1) == [2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 15, 16, 17, 18]
    assert len(mask.first) == 3


def test_the_largest_numbers(tmp_path):
    top = 2**32 - 1
    mask = mask_of(tmp_path, {str(top): [[top, top]], str(top - 1): [[0, top]], "0": [[0, 0]]})
    runs, blocks = np.array([top, top, top - 1, top - 1, 0, 0]), np.array([top, top - 1, 0, top, 0, 1])
    assert mask.passes(runs, blocks).tolist() == [True, False, True, True, True, False]


def test_a_mask_without_a_run_passes_nothing(tmp_path):
    mask = mask_of(tmp_path, {})
    assert good(mask, 1) == []
    assert mask.runs.tolist() == []
    assert mask.passes(np.zeros(0, np.uint32), np.zeros(0, np.uint32)).dtype == bool


def test_what_is_no_run_number_is_told(tmp_path):
    with pytest.raises(SourceError, match=r"^run -1: lies outside"):
        good(mask_of(tmp_path, {"1": [[1, 2]]}), -1)


def test_coffea_agrees_on_a_real_mask(shared_data):
    from coffea.lumi_tools import LumiMask as CoffeaMask

    path = shared_data / "Cert_2017_golden.json"
    data = json.loads(path.read_text())
    borders = [(int(run), end) for run, ranges in data.items() for one in ranges for end in one]
    rng = np.random.default_rng(1)
    runs = [np.array([run + dr for run, _ in borders for dr in (-1, 0, 0, 0, 1)])]
    blocks = [np.array([end + de for _, end in borders for de in (0, -1, 0, 1, 0)])]
    runs += [rng.choice([int(run) for run in data], 200_000), rng.integers(297_000, 307_000, 50_000)]
    blocks += [rng.integers(0, 2_500, 200_000), rng.integers(0, 2_500, 50_000)]
    run, block = np.concatenate(runs).astype(np.uint32), np.concatenate(blocks).astype(np.uint32)
    mask = load_lumi_mask(path)
    passed = mask.passes(run, block)
    assert np.array_equal(passed, CoffeaMask(str(path))(run, block))
    assert 0.1 < passed.mean() < 0.9
    assert mask.runs.tolist() == sorted(int(run) for run in data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{1: [[1, 2]]}", "not valid JSON"),
        ('{"1": [[1, 2]], "1": [[3, 4]]}', "key '1' stands twice"),
        ([[1, 2]], "is no luminosity mask; it needs"),
        ({"Run1": [[1, 2]]}, "'Run1' is no run number"),
        ({"01": [[1, 2]]}, "'01' is no run number"),
        ({"-1": [[1, 2]]}, "'-1' is no run number"),
        ({"4294967296": [[1, 2]]}, "'4294967296' is no run number"),
        ({"٣": [[1, 2]]}, "is no run number"),
        ({"1": {"a": 1}}, 'run 1: needs a list of ranges .*, not {"a": 1}'),
        ({"1": [1, 2]}, "run 1: a range is .* in integers, not 1$"),
        ({"1": [[1, 2, 3]]}, r"run 1: a range is .* not \[1, 2, 3\]$"),
        ({"1": [[1, 2.0]]}, r"run 1: a range is .* not \[1, 2.0\]$"),
        ({"1": [[True, 2]]}, r"run 1: a range is .* not \[true, 2\]$"),
        ({"1": [["1", "2"]]}, "run 1: a range is"),
        ({"1": [[137, 12]]}, r"run 1: \[137, 12\] is reversed; a range is \[FIRST, LAST\]$"),
        ({"1": [[-3, 12]]}, r"run 1: \[-3, 12\] lies outside 0 to 4294967295$"),
        ({"1": [[1, 2**32]]}, "lies outside"),
    ],
)
def test_what_is_refused(tmp_path, data, message):
    with pytest.raises(ConfigError, match=message) as raised:
        mask_of(tmp_path, data)
    assert str(raised.value).startswith(f"{tmp_path}/mask.json: ")
    assert "\n" not in str(raised.value)


def test_only_local_files(tmp_path):
    with pytest.raises(ConfigError, match="is read from a local file; download it"):
        load_lumi_mask("https://host/mask.json")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_lumi_mask(tmp_path / "lost.json")
