"""The message of a command that a signal interrupts: what it still does, for how long, and how to end it at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from studies.process.signals import StopSignals
from studies.text.wording import counted

POLL_S = 0.2
BEGINS_AGAIN = "its trial then begins again at its last checkpoint"


def of_workers(reason: str, n_workers: int, *, grace_s: float) -> str:
    """Return the message of a command that waits for its workers."""
    workers = counted(n_workers, "worker", "workers")
    return (
        f"interrupted ({reason}): waiting for {workers} to save the running trials, at most {grace_s:g} s"
        f"{_again(reason, 'this command at once, and the workers save and leave without it')}"
    )


def of_this_process(reason: str) -> str:
    """Return the message of a process that ends the batch of its own trial."""
    ending = f"this process at once; {BEGINS_AGAIN}"
    return f"interrupted ({reason}): the running trial ends its batch and saves its state{_again(reason, ending)}"


@contextlib.contextmanager
def told_at_once(signals: StopSignals, tell: Callable[[str], None]) -> Iterator[None]:
    """Tell of a signal as soon as it comes, while this process itself trains."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            if signals.wait(POLL_S):
                tell(of_this_process(signals.reason() or "signal"))
                return

    thread = threading.Thread(target=watch, name="tell-of-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _again(reason: str, ends: str) -> str:
    """Return what a second signal does. After a warning signal it does nothing more."""
    return f"; Ctrl-C again ends {ends}" if reason in ("SIGINT", "SIGTERM") else ""
