"""What a worker process does from its first to its last line."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from studies.errors import Problem, StorageUnusable, StudyError
from studies.launch.local.launcher.device_slots import Place, place_problems, visible_gpus
from studies.launch.remote import on_any_accelerator, runs_elsewhere
from studies.launch.logs import write_to
from studies.leaving import ends_in_time
from studies.printable import described
from studies.resolvers import load_resolvers
from studies.secrets import remember_those_of
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import SIGNALS, StopSignals, follow_parent
from studies.storage.opening import open_patiently
from studies.storage.patience import Patience

log = logging.getLogger(__name__)


STOPPED = 4  # exit code of a worker that a signal stopped; where it was not its command's, a new one takes its place


def run_worker(settings: StudySettings, place: Place, shift: Shift, log: Path, words: Connection) -> None:
    """Work at `place`, and send the last word: a `StudyError`, or None where nothing is left to do.

    Anything else ends the process without a word.
    """
    signals = StopSignals().install_in_worker()
    multiprocessing.set_start_method(None, force=True)  # the system's own: a DataLoader's workers start as in a script
    write_to(log)
    with ends_in_time():
        try:
            take(place)
            failure = serve(settings, str(place), shift=shift, signals=signals, is_renewable=True)
        except StudyError as error:
            failure = error
        if failure is None and signals.reason() is not None:
            sys.exit(STOPPED)
        words.send(failure)


def serve(
    settings: StudySettings, place: str, *, shift: Shift, signals: StopSignals, is_renewable: bool = False
) -> StudyError | None:
    """Work at `place`, in words, until there is nothing left to do or `signals` says why to stop.

    The `StudyError` that ended it, or None; any other exception is a worker's death. A worker that `is_renewable` may
    end the process before, see `studies.worker.Post`.
    """
    from studies.trial.objective import run_trial
    from studies.worker import Post, work

    log.info("%s, process %d", place, os.getpid())
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    try:
        patience = Patience(settings.storage.patience_s, signals.wait)
        storage = open_patiently(settings.storage.address, patience=patience)
        work(settings, storage, post=Post(place, shift, signals, is_renewable), run_trial=run_trial)
    except StudyError as error:
        if isinstance(error, StorageUnusable) and signals.reason() is not None:  # nobody waits for it any longer
            log.warning("asked to stop (%s) while the storage was away: the lease frees the trial", signals.reason())
            return None
        log.error("%s", error)
        return error
    return None


def run_preflight(settings: StudySettings, log: Path, answers: Connection) -> None:
    """Send the GPUs' ids, the problems that only a first batch shows, and notes."""
    begin_trying(log)
    notes: list[str] = []
    with ends_in_time():
        try:
            problems = find_problems(settings, tell=notes.append)
        except Exception as error:  # noqa: BLE001 - logged, and told by the parent
            problems = [of_failure(error, log)]
        answers.send((gpu_ids(), problems, notes))


def begin_trying(log: Path) -> None:
    """Be a process that another one ends; write to `log`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to pass on, as SIGTERM, which ends this process at once
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    follow_parent(lambda _reason: os._exit(1))
    write_to(log)


def of_failure(error: Exception, log: Path) -> Problem:
    """Return what an exception outside of a batch means; its traceback goes to the log."""
    logging.getLogger(__name__).exception("preflight failed")
    return Problem("model", f"fails before training ({described(error)})", f"see {log}")


def find_problems(settings: StudySettings, *, tell: Callable[[str], None]) -> list[Problem]:
    """What only this machine's devices, or a first batch on them, show to be wrong; `tell` takes notes."""
    from studies.trial.preflight import preflight

    load_resolvers(settings.template)
    remember_those_of(settings.template)
    return of_places(settings) or preflight(on_any_accelerator(settings), tell=tell)


def of_places(settings: StudySettings) -> list[Problem]:
    """Return what is wrong with the devices that the settings ask of this machine."""
    return [] if runs_elsewhere(settings) else place_problems(settings, gpus=gpu_ids())


def gpu_ids() -> list[str]:
    """The GPUs that CUDA would show, by the names that CUDA_VISIBLE_DEVICES takes. Does not initialise CUDA."""
    import torch

    return visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())


def take(place: Place) -> None:
    """See the place's devices only, and use its number of threads, in torch and in what else has a pool of them.

    Raises `StudyError` where CUDA has been initialised before, and so has chosen already.
    """
    import torch

    if place.devices:
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            raise StudyError("CUDA was initialised before the worker had taken its place; see what preload.py imports")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(place.devices)
    limit_threads(place.threads)


def limit_threads(n: int) -> None:
    """Use so many threads at most, in torch and in what else has a pool of them."""
    import torch
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)  # for what the module starts or loads later
    threadpool_limits(limits=n)  # for NumPy's, which is loaded
    torch.set_num_threads(n)
