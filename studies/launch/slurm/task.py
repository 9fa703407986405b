"""One task of the array job, on the node that SLURM chooses.

SLURM asks a task to end by a signal: SIGTERM before a pre-emption, SIGUSR2 before the time limit (as submitit requests
it). The worker then saves and frees its trial, and the task puts itself back into SLURM's queue. So it comes back even
if the command is dead. If the command has left a certain file, a signal is the end.
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
from studies.config.settings import StorageSettings, StudySettings
from studies.errors import StudyError
from studies.launch.logs import worker_log, write_to
from studies.launch.remote import describe_worker, refuse_file_of_another_machine, refuse_missing_address
from studies.launch.worker_process import STOPPED, serve
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.lease import worker_id
from studies.storage.opening import open_storage
from studies.storage.patience import Patience
from studies.storage.slots import rules_of
from studies.worker import WorkerContext

log = logging.getLogger(__name__)
UNTIL_REQUEUED_S = 60.0
SLURM_ANSWERS_S = 60.0
STORAGE_ANSWERS_S = 10.0


@dataclass(frozen=True, slots=True)
class SlurmTask:
    """What a task needs to work. submitit writes it into a file, so it holds no secret."""

    settings: StudySettings
    deadline: Deadline
    number: int
    threads: int
    gpus: int
    home: str  # the command's machine
    called_off: Path  # exists once the task is to end for good


def logs_of_job(output_dir: Path, job: str) -> Path:
    """Return the folder for the logs of an array job, or of a job without an array."""
    return output_dir / "logs" / f"slurm-{job}"


def run_task(task: SlurmTask) -> StudyError | None:
    """Run trials until nothing is left to do, and return the `StudyError` that ended the worker, if any.

    If a signal ends the worker before, the process is requeued or ends with `STOPPED`.
    """
    signals = StopSignals().install_in_worker()
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ["SLURM_JOB_ID"]
    write_to(worker_log(logs_of_job(task.settings.output_dir, job), task.number))
    hide_gpus_of_others(task.gpus)
    try:
        refuse_missing_address(task.settings.storage)
        refuse_file_of_another_machine(task.settings.storage.address, home=task.home)
        if not task.called_off.exists():
            place = describe_worker(task.number, f"SLURM job {_job_name()} on {platform.node()}", threads=task.threads)
            serve(WorkerContext(task.settings, place, task.deadline, signals), threads=task.threads)
    except StudyError as error:
        return error
    if signals.reason() is None or task.called_off.exists():
        return None
    log.info("asked to stop (%s)", signals.reason())
    if _is_to_come_back(task):
        _requeue()
    sys.stdout.flush()
    os._exit(STOPPED)  # without a result, which would mean that nothing was left to do


def hide_gpus_of_others(asked: int) -> None:
    """Hide all GPUs if none was `asked` for and SLURM has named none. A node may show its GPUs to every task."""
    if not asked:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def _job_name() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


def _is_to_come_back(task: SlurmTask) -> bool:
    """Return whether the study needs this task again, and SLURM still counts it as running.

    A task that has begun no trial does not come back by itself. Its time limit may be too short, and it would come back
    for ever.
    """
    if task.deadline.is_over:
        return False
    trials = _trials_of(task.settings.storage, task.settings.study_name)
    if trials is not None and rules_of(task.settings).are_all_finished(trials):
        return False
    if trials is not None and not any(trial.user_attrs.get(schema.WORKER) == worker_id() for trial in trials):
        log.warning("no trial was begun in its time, so this task does not come back by itself")
        return False
    state = _ask_slurm("squeue", "--noheader", "--format=%T", f"--jobs={os.environ['SLURM_JOB_ID']}")
    if state != "RUNNING":  # it was cancelled, or its time is up
        log.info("SLURM has this task as %s, so it does not come back by itself", state or "ended")
        return False
    return True


def _trials_of(storage: StorageSettings, study_name: str) -> list[FrozenTrial] | None:
    """Return the study's trials, or None while the storage is away. The task has no time to wait for it."""
    try:
        opened = open_storage(storage.address, patience=Patience(STORAGE_ANSWERS_S))
        return optuna.load_study(study_name=study_name, storage=opened).get_trials(deepcopy=False)
    except (StudyError, StorageInternalError):
        return None


def _requeue() -> None:
    log.info("the study is not finished: this task goes back into the queue")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to free
    if _ask_slurm("scontrol", "requeue", os.environ["SLURM_JOB_ID"]) is not None:
        time.sleep(UNTIL_REQUEUED_S)  # SLURM ends this process; its own end would end the job
        log.warning("SLURM has not ended this task after it was requeued")


def _ask_slurm(*command: str) -> str | None:
    """Return the output of a command of SLURM. Log its failure and return None."""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SLURM_ANSWERS_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s failed (%s)", command[0], error)
        return None
    if asked.returncode != 0:
        log.warning("%s failed (%s)", command[0], asked.stderr.strip())
        return None
    return asked.stdout.strip()
