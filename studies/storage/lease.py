"""Leases: how a running trial shows that its worker lives, and how a dead worker's trial is freed.

A worker increments a counter in its trial's attributes each third of the lease. A watcher that sees no change for a
whole lease *on its own clock* tells the trial FAIL. Clocks of different machines are never compared. A dead worker on
the watcher's own machine is noticed at once, by its process id.

The time between two checks counts for at most a third of the lease. A watcher may have been held up, by an outage or
by its own machine, and others with it. It must give them time to move again before it judges them.

Optuna's own heartbeat misses a trial that dies before its first beat, and works only inside `study.optimize`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from optuna import Study
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from studies import schema
from studies.process.leaving import is_zombie
from studies.records.objectives import rungs_of


def worker_id() -> str:
    """Identify this process by host, boot, process-id namespace (containers may share a host name) and process id."""
    return f"{_place()}:{os.getpid()}"


@functools.cache
def _place() -> str:
    """Identify the machine by name, boot (two machines may share a name) and process-id namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    booted = boot.read_text().strip()[:8] if boot.exists() else "0"
    return f"{platform.node()}:{booted}:{namespace.stat().st_ino if namespace.exists() else 0}"


def is_dead(worker: str) -> bool:
    """Return whether `worker` ran on this machine and its process is gone. False if that cannot be known."""
    place, _, pid = worker.rpartition(":")
    if place != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return is_zombie(int(pid))


class Lease:
    """A context manager around a training: it shows in the storage that the worker of `trial` lives."""

    def __init__(self, trial: Trial, *, lease_s: float) -> None:
        self._trial = trial
        self._interval_s = lease_s / 3
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{trial.number}", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        beats = 0
        while not self._ended.wait(self._interval_s):
            beats += 1
            try:
                self._trial.set_user_attr(schema.LEASE, beats)
            except (UpdateFinishedTrialError, KeyError):
                return  # somebody took the trial over or deleted the study: the training's next report will notice
            except StorageInternalError:
                continue  # an outage: the training's next report raises it, and the next beat tries again


class Watch:
    """A watcher of a study's running trials. It frees those of dead or silent workers."""

    def __init__(self, storage: BaseStorage, *, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._lease_s = lease_s
        self._clock = clock
        self._last_check: float | None = None
        self._watched_s = 0.0
        self._seen: dict[int, tuple[object, float]] = {}

    def release_stale(self, study: Study, trials: Sequence[FrozenTrial]) -> bool:
        """Tell FAIL (`killed`) for each stale one of `trials`, which were just read. Return whether there was any."""
        self._count_time()
        stale = [trial for trial in trials if trial.state == TrialState.RUNNING and self._is_stale(trial)]
        for trial in stale:
            worker = trial.user_attrs.get(schema.WORKER, "unknown")
            self._release(study, trial, f"worker {worker} died or fell silent")
        return bool(stale)

    def release_dead(self, study: Study, trials: Sequence[FrozenTrial], *, message: str) -> None:
        """Tell FAIL (`killed`, with `message`) for each of `trials` with a worker known to be dead."""
        for trial in trials:
            if trial.state == TrialState.RUNNING and is_dead(str(trial.user_attrs.get(schema.WORKER, ""))):
                self._release(study, trial, message)

    def _is_stale(self, trial: FrozenTrial) -> bool:
        if is_dead(str(trial.user_attrs.get(schema.WORKER, ""))):
            return True
        sign = (trial.user_attrs.get(schema.LEASE), len(rungs_of(trial)), len(trial.user_attrs))
        last_sign, since = self._seen.get(trial.number, (None, 0.0))
        if sign != last_sign:
            self._seen[trial.number] = (sign, self._watched_s)
            return False
        return self._watched_s - since > self._lease_s

    def _count_time(self) -> None:
        now = self._clock()
        if self._last_check is not None:
            self._watched_s += min(now - self._last_check, self._lease_s / 3)
        self._last_check = now

    def void(self, study: Study, trial: FrozenTrial) -> None:
        """Void a surplus claim. Its worker may have died before it could."""
        self._end(study, trial, {schema.VOID: True})

    def _release(self, study: Study, trial: FrozenTrial, message: str) -> None:
        self._end(study, trial, {schema.FAILURE: schema.Failure.KILLED, schema.FAILURE_MESSAGE: message})

    def _end(self, study: Study, trial: FrozenTrial, attributes: Mapping[str, Any]) -> None:
        """Tell FAIL. Several watchers may do this at once: all write the same, and one of them succeeds."""
        study_id = self._storage.get_study_id_from_name(study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        # another watcher may be first, or the worker may come back and finish the trial
        with contextlib.suppress(UpdateFinishedTrialError, ValueError):
            for key, value in attributes.items():
                self._storage.set_trial_user_attr(trial_id, key, value)
            study.tell(trial.number, state=TrialState.FAIL)
