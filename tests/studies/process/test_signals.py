"""Which signals ask a process to stop, and which end it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from studies.process.signals import SIGNALS, StopSignals

SCRIPT = """
import sys, time
from studies.process.signals import StopSignals
signals = StopSignals()
signals.install_in_worker() if sys.argv[1] == "worker" else signals.install()
print("ready", flush=True)
while signals.reason() is None:
    time.sleep(0.01)
print(signals.reason(), flush=True)
time.sleep(1)
print("done", flush=True)
"""


def outcome(role: str, *numbers: signal.Signals) -> tuple[int, list[str]]:
    """The exit code and the lines of a process that gets these signals, one after the other."""
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, role], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        os.kill(process.pid, number)
        time.sleep(0.2)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output.split()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_each_signal_asks_to_stop_and_says_its_name(number: signal.Signals) -> None:
    assert outcome("command", number) == (0, [number.name, "done"])


def test_a_second_ctrl_c_ends_a_command_at_once() -> None:
    assert outcome("command", signal.SIGINT, signal.SIGINT) == (-signal.SIGINT, ["SIGINT"])


def test_the_end_that_follows_a_warning_does_not_cut_off_what_the_warning_began() -> None:
    assert outcome("command", signal.SIGUSR1, signal.SIGTERM) == (0, ["SIGUSR1", "done"])
    assert outcome("command", signal.SIGTERM, signal.SIGUSR1) == (0, ["SIGTERM", "done"])


def test_a_worker_is_not_ended_by_the_signal_that_its_parent_passes_on_once_more() -> None:
    assert outcome("worker", signal.SIGTERM, signal.SIGTERM) == (0, ["SIGTERM", "done"])
    assert outcome("worker", signal.SIGINT, signal.SIGUSR1, signal.SIGTERM) == (0, ["SIGUSR1", "done"])


def test_signals_that_are_handed_back_do_what_they_did_before() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signals = StopSignals().install()
    signals.install()
    assert signal.getsignal(signal.SIGTERM) == signals._handle
    signals.hand_back()
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
