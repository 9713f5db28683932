"""The same tests with many more examples."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
MODULES = sorted(path.name for path in FOLDER.glob("test_*.py") if path.name != Path(__file__).name)


@pytest.mark.long
@pytest.mark.parametrize("module", MODULES)
def test_twenty_times_as_many_examples(module: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER / module)]
    ended = subprocess.run(
        command, env={**os.environ, "HEPFILTER_FUZZ_DEPTH": "20"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-5000:]
