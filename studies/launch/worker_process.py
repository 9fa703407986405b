"""What a worker process does from its first to its last line, however it was launched.

The command imports this file too, so `_run_trials` imports late what loads torch.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from studies.config.resolvers import load_resolvers
from studies.config.settings import StudySettings
from studies.errors import StorageUnusable, StudyError
from studies.launch.local.device_slots import DeviceSlot
from studies.launch.logs import write_to
from studies.process.deadline import Deadline
from studies.process.leaving import ends_in_time
from studies.process.signals import StopSignals
from studies.secrets.masking import remember_those_of
from studies.storage.opening import open_patiently
from studies.storage.patience import Patience
from studies.worker import WorkerContext, work

log = logging.getLogger(__name__)

STOPPED = 4  # exit code of a worker that a signal stopped; the pool replaces it if the signal was not the command's


def run_worker(settings: StudySettings, slot: DeviceSlot, deadline: Deadline, log: Path, words: Connection) -> None:
    """Run trials on `slot`, then send the `StudyError` that ended the worker, or None if nothing was left to do.

    A process that ends without sending anything has died.
    """
    signals = StopSignals().install_in_worker()
    multiprocessing.set_start_method(None, force=True)  # the system's own: a DataLoader's workers start as in a script
    write_to(log)
    failure = None
    with ends_in_time():
        try:
            context = WorkerContext(settings, str(slot), deadline, signals, is_renewable=True)
            serve(context, threads=slot.threads, devices=slot.devices)
        except StudyError as error:
            failure = error
        if failure is None and signals.reason() is not None:
            sys.exit(STOPPED)
        words.send(failure)


def serve(context: WorkerContext, *, threads: int, devices: Sequence[str] = ()) -> None:
    """Run trials until nothing is left to do or a signal asks to stop.

    `devices` are for CUDA_VISIBLE_DEVICES. Leave them empty if a cluster has set it. Raises `StudyError`. Any other
    exception is the death of the worker. A worker whose context `is_renewable` may end the process.
    """
    log.info("%s, process %d", context.device_slot, os.getpid())
    try:
        _run_trials(context, threads=threads, devices=devices)
    except StudyError as error:
        reason = context.signals.reason()
        if isinstance(error, StorageUnusable) and reason is not None:  # the command no longer waits for the storage
            log.warning("asked to stop (%s) while the storage was away: the lease frees the trial", reason)
            return
        log.error("%s", error)
        raise


def _run_trials(context: WorkerContext, *, threads: int, devices: Sequence[str]) -> None:
    """Claim and run trials on these devices until nothing is left to do. Raises `StudyError`."""
    from studies.launch.torch_devices import limit_threads, use_devices
    from studies.trial.objective import run_trial

    use_devices(devices)
    limit_threads(threads)
    settings = context.settings
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    patience = Patience(settings.storage.patience_s, context.signals.wait)
    storage = open_patiently(settings.storage.address, patience=patience)
    work(storage, context=context, run_trial=run_trial)
