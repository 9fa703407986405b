from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "long_worker.py"


@pytest.mark.slow
def test_five_hundred_trials_in_one_worker_take_no_more_memory_than_twenty(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(data_dir), "500"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=290).stdout
    settled, last = map(float, printed.split())
    assert last - settled < 50
