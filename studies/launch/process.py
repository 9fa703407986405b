"""What a worker process does from its first to its last line."""

from __future__ import annotations

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from studies.errors import Problem, StudyError
from studies.launch.devices import Place, place_problems, visible_gpus
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals, follow_parent
from studies.storage.opening import open_patiently
from studies.storage.patience import Patience

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_path(settings: StudySettings, place: Place) -> Path:
    """The log of the worker at `place`."""
    return settings.output_dir / "logs" / f"worker-{place.worker}.log"


def run_worker(settings: StudySettings, place: Place, shift: Shift, errors: Connection) -> None:
    """Work at `place`; a `StudyError` is sent through `errors`, anything else ends the process with its traceback."""
    from studies.trial.objective import run_trial
    from studies.worker import Post, work

    signals = StopSignals().install_in_worker()
    _write_to(log_path(settings, place))
    try:
        take(place)
        logging.getLogger(__name__).info("%s, process %d", place, os.getpid())
        patience = Patience(settings.storage.patience_s, signals.wait)
        storage = open_patiently(settings.storage.address, patience=patience)
        work(settings, storage, post=Post(str(place), shift, signals), run_trial=run_trial)
    except StudyError as error:
        errors.send(error)


def run_preflight(settings: StudySettings, answers: Connection) -> None:
    """Send the GPUs' ids and the problems that only a first batch shows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to pass on, as SIGTERM, which ends this process at once
    follow_parent(lambda _reason: os._exit(1))
    _write_to(settings.output_dir / "logs" / "preflight.log")
    try:
        problems = find_problems(settings)
    except Exception as error:
        logging.getLogger(__name__).exception("preflight failed")
        log = settings.output_dir / "logs" / "preflight.log"
        problems = [Problem("model", f"fails before training ({type(error).__name__}: {error})", f"see {log}")]
    answers.send((gpu_ids(), problems))


def find_problems(settings: StudySettings) -> list[Problem]:
    """What only this machine's devices, or a first batch on them, show to be wrong."""
    from studies.trial.preflight import preflight

    return place_problems(settings, gpus=gpu_ids()) or preflight(settings)


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
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(place.threads)  # for what the module starts or loads later
    threadpool_limits(limits=place.threads)  # for NumPy's, which is loaded
    torch.set_num_threads(place.threads)


def _write_to(path: Path) -> None:
    """Send everything that this process prints or logs to the end of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr, force=True)
