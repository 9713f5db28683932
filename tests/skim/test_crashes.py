"""A skim that is killed, wherever, goes on by the same command to what it would have made undisturbed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.nano import make_nano


def crash(folder: Path, *, workers: int, moments: int, seed: int) -> list[dict]:
    """Kill a skim at so many random moments, and let it go on each time."""
    for number in range(3):
        make_nano(folder / f"in{number}.root", 1500, seed=number, first_event=10_000 * number, basket=100)
    rng = np.random.default_rng(seed)
    fractions = [f"{(slot + rng.random()) / moments:.4f}" for slot in range(moments)]  # one in each stretch of the run
    command = [sys.executable, "-m", "tests.skim.crashes", str(folder), str(workers), *fractions]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(found: list[dict], moments: int) -> None:
    """Killed each time, and the same in the end."""
    assert len(found) == moments
    for one in found:
        output = f"out{one['place']}.root"
        assert one["killed"] == 9 and one["ended"] == (-1 if one["finished"] else 0), one
        assert one["same"] and one["list"], one
        assert one["rest"] == sorted([output, output.replace(".root", ".txt")]), one
    assert sum(one["finished"] for one in found) < moments / 3


def test_a_skim_that_is_killed_goes_on_to_the_same_end(tmp_path: Path) -> None:
    check(crash(tmp_path, workers=1, moments=24, seed=1), 24)


def test_so_it_is_with_worker_processes(tmp_path: Path) -> None:
    check(crash(tmp_path, workers=2, moments=6, seed=2), 6)


@pytest.mark.long
def test_so_it_is_at_many_more_moments(tmp_path: Path) -> None:
    check(crash(tmp_path, workers=2, moments=80, seed=3), 80)
