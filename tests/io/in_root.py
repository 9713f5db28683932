"""Asking ROOT, in a process of its own, whether a copy holds what its source holds."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def compare_in_root(pairs: Sequence[tuple[str, str, str, Sequence[int], Sequence[str]]]) -> list[dict[str, Any]]:
    """What compare_in_root.py finds of each (source, copy, tree, the source's entries in the copy, classes to skip)."""
    script = Path(__file__).with_name("compare_in_root.py")
    run = subprocess.run(
        [sys.executable, str(script)], input=json.dumps(pairs), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert len(found) == len(pairs)
    return found
