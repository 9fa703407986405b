"""Talks to SLURM: submits tasks (by submitit), asks for their states (squeue), signals and cancels them (scancel).

submitit asks sacct for a job's state, and many clusters lack the accounting database behind it. squeue needs none.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import submitit

from studies.errors import StudyError
from studies.launch.logs import worker_log
from studies.launch.slurm.options import SlurmOptions
from studies.launch.slurm.task import SlurmTask, logs_of_job, run_task
from studies.launch.worker_pool import EndReason, WorkerEnd
from studies.process.signals import ctrl_c_blocked

GONE = "GONE"  # not a state of SLURM, which forgets ended jobs after some minutes
ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT", GONE),
)
MAY_HAVE_A_RESULT = ("COMPLETED", GONE)
COMMAND_S = 60.0
ASK_EVERY_S = 2.0
RESULT_LATE_S = 5.0  # a shared folder may show a result some seconds late


@dataclass(slots=True)
class SlurmWorker:
    """One worker as the command sees it: a task of an array job."""

    number: int
    id: str
    submitted: Any  # submitit's job
    log: Path
    state: str = "PENDING"  # at the last answer of SLURM
    ended_since: float | None = None
    _end: WorkerEnd | None = field(default=None)

    def is_queued(self) -> bool:
        """Return whether it waits for a place, at first or after it was requeued."""
        return self.state == "PENDING"

    def end(self) -> WorkerEnd | None:
        """Return how it ended, or None while it runs or waits."""
        self._end = self._end or self._find_end()
        return self._end

    def _find_end(self) -> WorkerEnd | None:
        if self.submitted.paths.result_pickle.exists() and self.submitted.exception() is None:
            error = self.submitted.result()
            return WorkerEnd(EndReason.LEFT, error if isinstance(error, StudyError) else None)
        if self.ended_since is None:
            return None
        if self.state in MAY_HAVE_A_RESULT and time.monotonic() - self.ended_since < RESULT_LATE_S:
            return None
        log = self.log if self.log.exists() else self.submitted.paths.stderr
        words = f"SLURM job {self.id}: {self.state.lower().replace('_', ' ')}; see {log}"
        return WorkerEnd(EndReason.WITHDRAWN if self.state == "CANCELLED" else EndReason.DIED, words=words)


class Slurm:
    """The jobs of one run of the command. Their files lie in `folder`."""

    def __init__(self, options: SlurmOptions, *, folder: Path, name: str) -> None:
        self._options = options
        self._folder = folder
        self._name = name
        self._asked = 0.0

    def submit(self, tasks: Sequence[SlurmTask]) -> list[SlurmWorker]:
        """Submit `tasks`, several as one array. Raises `StudyError` with SLURM's own words if it refuses them."""
        logging.getLogger("submitit").setLevel(logging.ERROR)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the tasks' settings lie in it
        executor = submitit.SlurmExecutor(folder=self._folder)
        executor.update_parameters(**self._parameters(len(tasks)))
        try:
            with ctrl_c_blocked():
                submitted = executor.map_array(run_task, tasks)
        except submitit.core.utils.FailedJobError as error:
            raise StudyError(f"SLURM refuses the job: {_refusal(error)}") from error
        return [_worker(task, job) for task, job in zip(tasks, submitted, strict=True)]

    def refresh(self, jobs: Sequence[SlurmWorker]) -> None:
        """Update the states of `jobs`, at most every `ASK_EVERY_S`. They stay as they are if SLURM does not answer."""
        now = time.monotonic()
        if not jobs or now - self._asked < ASK_EVERY_S:
            return
        self._asked = now
        states = _states(sorted({array_of(job.id) for job in jobs}))
        if states is None:
            return
        for job in jobs:
            job.state = states.get(job.id, GONE)
            if job.state not in ENDED:
                job.ended_since = None
            elif job.ended_since is None:
                job.ended_since = now

    def cancel(self, jobs: Sequence[SlurmWorker], *, signal: str | None = None) -> None:
        """Cancel `jobs` for good, or only send `signal` to the running ones."""
        if jobs:
            how = [f"--signal={signal}"] if signal is not None else []
            _run("scancel", "--quiet", *how, *(job.id for job in jobs))

    def _parameters(self, n_tasks: int) -> dict[str, Any]:
        options = self._options
        chosen = {
            "partition": options.partition,
            "gpus_per_task": options.gpus_per_task or None,
            "mem": f"{round(1024 * options.mem_gb)}M" if options.mem_gb is not None else None,
            "setup": list(options.setup) or None,
        }
        return {
            "job_name": self._name,
            "time": options.timeout_min,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": options.cpus_per_task,
            "srun_args": [f"--cpus-per-task={options.cpus_per_task}"],  # not passed on by SLURM from 22.05 on
            "signal_delay_s": options.grace_s,
            "array_parallelism": options.array_parallelism or n_tasks,
            "additional_parameters": {"ntasks": 1, "requeue": True, **options.additional_parameters},
            **{key: value for key, value in chosen.items() if value is not None},
        }


def _worker(task: SlurmTask, job: Any) -> SlurmWorker:
    logs = logs_of_job(task.settings.output_dir, array_of(job.job_id))
    return SlurmWorker(task.number, job.job_id, job, worker_log(logs, task.number))


def array_of(job_id: str) -> str:
    """Return the id of a task's array, or the id itself of a job without an array."""
    return job_id.partition("_")[0]


def _states(ids: Sequence[str]) -> dict[str, str] | None:
    """Return the states of the tasks of these jobs by id, or None if SLURM does not answer. It forgets old tasks."""
    asked = _run("squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--jobs={','.join(ids)}")
    if asked is None or (asked.returncode != 0 and "Invalid job id" not in asked.stderr):
        return None
    lines = [line.split() for line in asked.stdout.splitlines()]
    return {fields[0]: fields[1] for fields in lines if len(fields) == 2}


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        with ctrl_c_blocked():
            return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except subprocess.TimeoutExpired:
        return None


def _refusal(error: Exception) -> str:
    """Return the message of sbatch, without submitit's words around it."""
    lines = [line.strip() for line in str(error).splitlines() if "sbatch: error" in line]
    return "; ".join(line.removeprefix("sbatch: error: ") for line in lines) or str(error).strip()
