"""The fork server goes on whichever of its processes the system kills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAD = """
import os, signal, sys, time
from pathlib import Path
from studies.launch.processes import fork_server as guard
guard.pause_s = lambda n_failed: 0.0
starts = Path(sys.argv[1])

def note():
    with starts.open("a") as file:
        file.write(".")

def end(number):
    os.kill(number, signal.SIGKILL)
    while os.path.exists(f"/proc/{number}") and number == os.getppid():
        time.sleep(0.01)
"""
SERVE = """
guard.take_turn()
serving = starts.parent / "serving"
if serving.exists():
    (starts.parent / "two at once").touch()
serving.touch()
time.sleep(0.3)
serving.unlink(missing_ok=True)
(starts.parent / "served").touch()
os._exit(0)
"""


def guarded(folder: Path, body: str) -> tuple[int, int, str]:
    """Run `HEAD` and `body`: the exit code, the starts that were noted, and what was printed."""
    starts = folder / "starts"
    starts.touch()
    command = [sys.executable, "-c", HEAD + body, str(starts)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return found.returncode, len(starts.read_text()), found.stdout + found.stderr


def test_a_child_that_is_killed_is_followed_by_another_from_the_same_checkpoint(tmp_path: Path) -> None:
    body = """
guard.checkpoint()
note()
guard.checkpoint()
if len(starts.read_text()) < 5:
    end(os.getpid())
"""
    body = body.replace("if len", "note()\nif len")
    assert guarded(tmp_path, body + SERVE) == (0, 5, "")  # the first checkpoint was passed once
    assert (tmp_path / "served").exists()


def test_so_many_that_came_to_nothing_are_enough(tmp_path: Path) -> None:
    assert guarded(tmp_path, "guard.checkpoint()\nnote()\nend(os.getpid())") == (1, 10, "")


def test_progress_begins_the_count_anew(tmp_path: Path) -> None:
    body = """
guard.checkpoint()
note()
if len(starts.read_text()) < 25:
    if len(starts.read_text()) % 5 == 0:
        guard._tell_progress()
    end(os.getpid())
"""
    assert guarded(tmp_path, body + SERVE) == (0, 25, "")


def test_a_child_whose_parent_is_killed_goes_on_and_of_two_one_serves_after_the_other(tmp_path: Path) -> None:
    body = """
guard.checkpoint()
grandparent = os.getpid()
guard.checkpoint()
note()
if len(starts.read_text()) == 1:
    end(os.getppid())
guard.checkpoint()
"""
    code, n_starts, printed = guarded(tmp_path, body + SERVE)
    assert (code, printed) == (0, "")
    assert n_starts == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["served", "starts"]
