"""The alarm that ends a check in this very process."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import time

import pytest

from studies.launch.preflight.check import AGAIN_S, alarm
from studies.process.signals import TimeIsUp

pytestmark = pytest.mark.timeout(60, method="thread")  # a limit by the alarm would take this one's place


def busy(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_the_alarm_ends_what_runs_and_leaves_the_process_as_it_was() -> None:
    before = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    with pytest.raises(TimeIsUp), alarm(time.monotonic() + 0.05):
        busy(10)
    assert (signal.getsignal(signal.SIGALRM), sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_falls_into_its_own_end_does_not_ring_later() -> None:
    rng = random.Random(3)
    for _ in range(3000):
        seconds = rng.uniform(1e-3, 1.1e-3)
        with contextlib.suppress(TimeIsUp), alarm(time.monotonic() + seconds):
            busy(seconds)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_falls_into_a_destructor_is_not_printed_and_rings_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Slow:
        def __del__(self) -> None:
            busy(0.2)

    def work() -> None:
        Slow()
        busy(2 * AGAIN_S)

    with pytest.raises(TimeIsUp), alarm(time.monotonic() + 0.1):
        work()
    assert capfd.readouterr().err == ""
