"""What one task of the array job does, on whichever node SLURM puts it.

SLURM asks a task to end by a signal: SIGTERM before a pre-emption, SIGUSR2 some time before the time limit (that is how
submitit asks for it). The worker then saves and frees its trial, and the task puts itself back into SLURM's queue. So
it comes back whether or not the command still lives. A file that the command leaves says that a signal is the end.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial

from studies import schema
from studies.errors import StudyError
from studies.launch.remote import refuse_file_of_another_machine, refuse_missing_address
from studies.launch.logs import worker_log, write_to
from studies.launch.worker_process import STOPPED, limit_threads, serve
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals
from studies.storage.lease import worker_id
from studies.storage.opening import open_storage
from studies.storage.patience import Patience
from studies.storage.slots import rules_of

log = logging.getLogger(__name__)
UNTIL_REQUEUED_S = 60.0
SLURM_ANSWERS_S = 60.0
STORAGE_ANSWERS_S = 10.0


@dataclass(frozen=True, slots=True)
class Task:
    """A worker's part of the array job. `home` is the command's machine; `called_off` is there once it shall end."""

    settings: StudySettings
    shift: Shift
    number: int
    threads: int
    gpus: int
    home: str
    called_off: Path


def logs_of_job(output_dir: Path, job: str) -> Path:
    """The folder for the logs of one array job (or of one task that was submitted alone)."""
    return output_dir / "logs" / f"slurm-{job}"


def run_task(task: Task) -> StudyError | None:
    """Work until there is nothing left to do; the `StudyError` that ended it, or None.

    Where a signal ends it before, the process does not return: it is requeued, or ends with `STOPPED`.
    """
    signals = StopSignals().install_in_worker()
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ["SLURM_JOB_ID"]
    write_to(worker_log(logs_of_job(task.settings.output_dir, job), task.number))
    hide_gpus_of_others(task.gpus)
    limit_threads(task.threads)
    try:
        refuse_missing_address(task.settings)
        refuse_file_of_another_machine(task.settings, home=task.home)
    except StudyError as refusal:
        return refusal
    if task.called_off.exists():
        return None
    error = serve(task.settings, place_in_words(task), shift=task.shift, signals=signals)
    if error is not None or signals.reason() is None or task.called_off.exists():
        return error
    log.info("asked to stop (%s)", signals.reason())
    if _is_to_come_back(task):
        _requeue()
    sys.stdout.flush()
    os._exit(STOPPED)  # without a result, by which the command would take it for one that left by itself


def hide_gpus_of_others(asked: int) -> None:
    """See no GPU where none was `asked` for and SLURM has named none: a node may show its GPUs to every task."""
    if not asked:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def place_in_words(task: Task) -> str:
    """Where this task runs."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ""
    device = f"GPU {gpus}" if gpus and gpus != "NoDevFiles" else "CPU"
    threads = f"{task.threads} thread{'s' if task.threads != 1 else ''}"
    job = os.environ.get("SLURM_ARRAY_JOB_ID")
    name = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}" if job else os.environ["SLURM_JOB_ID"]
    return f"worker {task.number}: SLURM job {name} on {platform.node()}, {device}, {threads}"


def _is_to_come_back(task: Task) -> bool:
    """Whether the study has use for this task once more, and SLURM still has it for a running one.

    A task that has not begun any trial does not come back by itself: its time limit may be too short for that, and it
    would come back for ever.
    """
    if task.shift.is_over:
        return False
    trials = _trials_of(task.settings)
    if trials is not None and rules_of(task.settings).are_all_finished(trials):
        return False
    if trials is not None and not any(trial.user_attrs.get(schema.WORKER) == worker_id() for trial in trials):
        log.warning("no trial was begun in the time that there was; this task does not come back by itself")
        return False
    state = _ask_slurm("squeue", "--noheader", "--format=%T", f"--jobs={os.environ['SLURM_JOB_ID']}")
    if state != "RUNNING":  # somebody cancelled it, or its time is up
        log.info("SLURM has this task as %s; it does not come back by itself", state or "ended")
        return False
    return True


def _trials_of(settings: StudySettings) -> list[FrozenTrial] | None:
    """The study's trials, or None while the storage is away; the task has not the time to wait for it."""
    try:
        storage = open_storage(settings.storage.address, patience=Patience(STORAGE_ANSWERS_S))
        return optuna.load_study(study_name=settings.study_name, storage=storage).get_trials(deepcopy=False)
    except (StudyError, StorageInternalError):
        return None


def _requeue() -> None:
    log.info("the study is not finished: this task goes back into the queue")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to free
    if _ask_slurm("scontrol", "requeue", os.environ["SLURM_JOB_ID"]) is not None:
        time.sleep(UNTIL_REQUEUED_S)  # SLURM ends this process; its own end would end the job
        log.warning("SLURM has not ended this task after it was requeued")


def _ask_slurm(*command: str) -> str | None:
    """What the command says, or None where it fails, which is told."""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SLURM_ANSWERS_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s failed (%s)", command[0], error)
        return None
    if asked.returncode != 0:
        log.warning("%s failed (%s)", command[0], asked.stderr.strip())
        return None
    return asked.stdout.strip()
