"""The script of the reference experiments refuses what it cannot run, before the first experiment trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "reference.py"


@pytest.mark.parametrize(
    ("argument", "code", "told"),
    [
        ("--help", 0, "python scripts/reference.py"),
        ("--nonsense", 2, "--nonsense is no flag"),
        ("tables/nonsense", 2, "study is tables/nonsense, which is no reference experiment"),
    ],
)
def test_the_script_tells_its_use_and_refuses_mistakes(argument: str, code: int, told: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, argument], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stdout + done.stderr
