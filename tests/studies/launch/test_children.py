"""Processes that are started, watched and ended, with the system's handles on them and without."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from textwrap import dedent

import pytest

from studies.errors import StudyError
from studies.launch.processes import child as children
from studies.launch.processes.child import BY_THE_SYSTEM, Child, start, stop
from studies.secrets.texts import know


@pytest.fixture(params=["handles", "no handles"], autouse=True)
def handles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def refused(_: int) -> int:
        raise PermissionError

    if request.param == "no handles":
        monkeypatch.setattr(os, "pidfd_open", refused)
    return str(request.param)


UNBLOCKED = "import os, signal, time; signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM]); "
STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: 0)\nwhile True: time.sleep(9)"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os._exit(3)", "exit code 3"),
        ("os._exit(-1)", "exit code 255"),
        ("os.kill(os.getppid(), 9); time.sleep(1); os._exit(0)", BY_THE_SYSTEM),  # nobody knows how it has ended
        ("os.kill(os.getpid(), 15)", "ended by SIGTERM"),
        ("os.kill(os.getpid(), 9)", BY_THE_SYSTEM),
    ],
)
def test_how_a_process_ended_is_told(body: str, words: str) -> None:
    child = start(exec, (UNBLOCKED + body,), name="ends")
    assert child.join(60)
    assert not child.is_alive()
    assert child.in_words() == words
    assert child.was_killed() is (words == BY_THE_SYSTEM)


def test_one_that_lives_is_asked_and_then_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    meek = start(exec, (UNBLOCKED + "time.sleep(600)",), name="meek")
    stubborn = start(exec, (UNBLOCKED + STUBBORN,), name="stubborn")
    assert meek.is_alive()
    assert not meek.join(0.5)
    others = [start(exec, (UNBLOCKED + STUBBORN,), name="another") for _ in range(3)]
    time.sleep(0.5)
    asked: list[float | None] = []
    join = Child.join
    monkeypatch.setattr(Child, "join", lambda self, seconds: asked.append(seconds) or join(self, seconds))
    stop([meek, stubborn, *others], grace_s=1.0)
    assert len([seconds for seconds in asked if seconds]) <= 2  # the first stubborn one uses the grace up for all
    assert meek.exit_code() == -signal.SIGTERM
    assert stubborn.exit_code() == -signal.SIGKILL
    meek.send(signal.SIGTERM)  # it has ended: no error


def test_a_process_masks_the_secrets_that_this_one_knows_whatever_it_prints(tmp_path: Path) -> None:
    know(["a value of the environment"])
    body = """
        import sys, threading, warnings
        from pathlib import Path
        from studies.launch.logs import write_to
        write_to(Path(path))
        print("printed", secret)
        warnings.warn(f"warned {secret}")
        threading.excepthook = threading.__excepthook__
        thread = threading.Thread(target=lambda: int(secret)); thread.start(); thread.join()
        raise ValueError(secret)
    """
    given = "path, secret = " + repr((str(tmp_path / "log"), "a value of " + "the environment"))
    child = start(exec, (f"{given}\n{dedent(body)}",), name="prints")
    assert child.join(60)
    log = (tmp_path / "log").read_text()
    assert all(f"{said} ***" in log for said in ("printed", "warned", "ValueError:"))
    assert "environment" not in log.replace("of ' 'the", "")


class Context:
    """Starts processes of which the first so many come to nothing."""

    def __init__(self, n_failing: int) -> None:
        self.left = n_failing
        self.real = multiprocessing.get_context("forkserver")

    def set_forkserver_preload(self, _: list[str]) -> None:
        pass

    def Process(self, **given: object) -> Context:
        self.process = self.real.Process(**given)  # type: ignore[arg-type]
        return self

    def start(self) -> None:
        self.left -= 1
        if self.left >= 0:
            raise EOFError("unexpected EOF")
        self.process.start()

    def __getattr__(self, name: str) -> object:
        return getattr(self.process, name)


@pytest.mark.parametrize("n_failing", [9, 10])
def test_ten_starts_are_tried_with_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch, n_failing: int) -> None:
    asked: list[int] = []
    monkeypatch.setattr(children, "pause_s", lambda n_failed: asked.append(n_failed) or 0.0)
    context = Context(n_failing)
    monkeypatch.setattr(children, "_context", lambda: context)
    if n_failing < 10:
        assert start(int, (), name="late").join(60)
    else:
        with pytest.raises(StudyError, match=r"no worker process could be started in 10 tries \(unexpected EOF\)"):
            start(int, (), name="never")
    assert asked == list(range(10))
