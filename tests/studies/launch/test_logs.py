from __future__ import annotations

import subprocess
import time
from pathlib import Path

from studies.launch.logs import ShortLog


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    (path := tmp_path / "log").write_bytes(b"a" * 100)
    ShortLog(path, limit=100, kept=10).look()
    assert path.read_bytes() == b"a" * 100


def test_a_long_log_keeps_its_beginning_and_its_end_and_says_so(tmp_path: Path) -> None:
    (path := tmp_path / "log").write_bytes(b"begin" + b"x" * (5 * 2**20) + b"end")
    ShortLog(path, limit=100, kept=5).look()
    assert path.read_text() == "begin\n[… 5 MB of this log are left out here …]\nxxend"


def test_who_appends_goes_on_at_the_new_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab", buffering=0) as file:
        log = ShortLog(path, limit=100, kept=10)
        for _ in range(3):
            file.write(b"x" * 200)
            log.look()
        file.write(b"the last line")
    assert path.read_text().endswith("the last line")
    assert "\0" not in path.read_text()
    assert path.stat().st_size < 200


def test_a_process_that_prints_without_end_fills_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file, subprocess.Popen(["yes"], stdout=file) as printing:
        ShortLog(path, limit=2**20, kept=2**18).watch()
        longest, until = 0, time.monotonic() + 1.5
        while time.monotonic() < until:
            time.sleep(0.02)
            longest = max(longest, path.stat().st_size)
        printing.kill()
    assert longest > 2**20  # it has been cut
    time.sleep(0.3)
    assert path.stat().st_size <= 2**20
