"""What a worker process does from its first to its last line."""

from __future__ import annotations

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.devices import Place
from studies.launch.elsewhere import on_any_accelerator
from studies.launch.logs import write_to
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals, follow_parent
from studies.storage.opening import open_storage

STOPPED = 4  # exit code of a worker that a signal stopped; where it was not its command's, a new one takes its place


def run_worker(settings: StudySettings, place: Place, shift: Shift, log: Path, errors: Connection) -> None:
    """Work at `place`; a `StudyError` is sent through `errors`, anything else ends the process with its traceback."""
    signals = StopSignals().install_in_worker()
    write_to(log)
    _take(place)
    error = serve(settings, str(place), shift=shift, signals=signals)
    if error is not None:
        errors.send(error)
    elif signals.reason() is not None:
        sys.exit(STOPPED)


def serve(settings: StudySettings, place: str, *, shift: Shift, signals: StopSignals) -> StudyError | None:
    """Work at `place`, in words, until there is nothing left to do or `signals` says why to stop.

    The `StudyError` that ended it, or None; any other exception is a worker's death.
    """
    from studies.trial.objective import run_trial
    from studies.worker import Post, work

    logging.getLogger(__name__).info("%s, process %d", place, os.getpid())
    try:
        work(settings, open_storage(settings.storage.address), post=Post(place, shift, signals), run_trial=run_trial)
    except StudyError as error:
        logging.getLogger(__name__).error("%s", error)
        return error
    return None


def run_preflight(settings: StudySettings, log: Path, answers: Connection) -> None:
    """Send the GPUs' ids and the problems that only a first batch shows."""
    from studies.trial.preflight import preflight

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to pass on, as SIGTERM, which ends this process at once
    follow_parent(lambda _reason: os._exit(1))
    write_to(log)
    try:
        problems = preflight(on_any_accelerator(settings))
    except Exception as error:
        logging.getLogger(__name__).exception("preflight failed")
        problems = [Problem("model", f"fails before training ({type(error).__name__}: {error})", f"see {log}")]
    answers.send((gpu_ids(), problems))


def gpu_ids() -> list[str]:
    """The GPUs that CUDA would show, by the names that CUDA_VISIBLE_DEVICES takes. Does not initialise CUDA."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()] if torch.cuda.device_count() else []
    return [str(i) for i in range(torch.cuda.device_count())]


def _take(place: Place) -> None:
    """See the place's device only, and use its number of threads."""
    if place.device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.device
    import torch

    torch.set_num_threads(place.threads)
