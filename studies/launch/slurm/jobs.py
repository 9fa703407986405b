"""Talks to SLURM: submits tasks (by submitit), asks how they are (squeue), signals and cancels them (scancel).

submitit asks sacct for a job's state, which needs an accounting database that many clusters lack; squeue does not.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.errors import Problem, StudyError
from studies.launch.worker_pool import Ending, How
from studies.launch.logs import worker_log
from studies.launch.slurm.options import SlurmOptions
from studies.launch.slurm.task import Task, logs_of_job, run_task
from studies.signals import ctrl_c_blocked

ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
)
GONE = "GONE"  # SLURM forgets ended jobs after some minutes
MAY_HAVE_A_RESULT = ("COMPLETED", GONE)
COMMAND_S = 60.0
ASK_EVERY_S = 2.0
RESULT_LATE_S = 5.0  # a shared folder may show a result some seconds late


@dataclass(slots=True)
class Job:
    """One task, as SLURM and submitit know it: its id, the submitit job, and its state when SLURM was last asked."""

    number: int
    id: str
    submitted: Any
    log: Path
    state: str = "PENDING"
    ended_since: float | None = None
    _ending: Ending | None = field(default=None)

    def is_queued(self) -> bool:
        """Whether it still waits for a place (at first, or again after it was requeued)."""
        return self.state == "PENDING"

    def ending(self) -> Ending | None:
        """How it ended, or None while it runs or waits."""
        if self._ending is None:
            self._ending = self._find_ending()
        return self._ending

    def _find_ending(self) -> Ending | None:
        if self.submitted.paths.result_pickle.exists() and self.submitted.exception() is None:
            error = self.submitted.result()
            return Ending(How.LEFT, error if isinstance(error, StudyError) else None)
        if self.ended_since is None:
            return None
        if self.state in MAY_HAVE_A_RESULT and time.monotonic() - self.ended_since < RESULT_LATE_S:
            return None
        words = f"SLURM job {self.id}: {self.state.lower().replace('_', ' ')}; see {self._where_to_look()}"
        return Ending(How.WITHDRAWN if self.state == "CANCELLED" else How.DIED, words=words)

    def _where_to_look(self) -> Path:
        return self.log if self.log.exists() else Path(self.submitted.paths.stderr)


class Slurm:
    """The jobs of one run of the command, whose files lie in `folder`."""

    def __init__(self, options: SlurmOptions, *, folder: Path, name: str) -> None:
        self._options = options
        self._folder = folder
        self._name = name
        self._asked = 0.0

    def submit(self, tasks: Sequence[Task]) -> list[Job]:
        """Submit `tasks`, several as one array. Raises `StudyError` with SLURM's words where it refuses them."""
        import submitit

        logging.getLogger("submitit").setLevel(logging.ERROR)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the tasks' settings lie in it
        executor = submitit.SlurmExecutor(folder=self._folder)
        executor.update_parameters(**self._parameters(len(tasks)))
        try:
            with ctrl_c_blocked():
                submitted = executor.map_array(run_task, tasks)
        except submitit.core.utils.FailedJobError as error:
            raise StudyError(f"SLURM refuses the job: {_refusal(error)}") from error
        output_dir = tasks[0].settings.output_dir
        return [
            Job(task.number, job.job_id, job, worker_log(logs_of_job(output_dir, master(job.job_id)), task.number))
            for task, job in zip(tasks, submitted, strict=True)
        ]

    def refresh(self, jobs: Sequence[Job]) -> None:
        """Ask SLURM how `jobs` are, at most every other second. Where it does not answer, what was known stays."""
        now = time.monotonic()
        if not jobs or now - self._asked < ASK_EVERY_S:
            return
        self._asked = now
        states = _states(sorted({master(job.id) for job in jobs}))
        if states is None:
            return
        for job in jobs:
            job.state = states.get(job.id, GONE)
            if job.state not in ENDED and job.state != GONE:
                job.ended_since = None
            elif job.ended_since is None:
                job.ended_since = now

    def cancel(self, jobs: Sequence[Job], *, signal: str | None = None) -> None:
        """Cancel `jobs` for good, or only send `signal` to those that run."""
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


def slurm_problems() -> list[Problem]:
    """What this machine lacks for submitting jobs."""
    problems = []
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        complaint = f"is slurm, and this machine has no {', '.join(missing)}"
        problems.append(Problem("launcher.name", complaint, "run the command where jobs are submitted"))
    try:
        import submitit  # noqa: F401
    except ImportError:
        remedy = "pip install 'lightning-studies[slurm]'"
        problems.append(Problem("launcher.name", "is slurm, which needs submitit", remedy))
    return problems


def master(job_id: str) -> str:
    """The id of the array that a task belongs to, or its own."""
    return job_id.partition("_")[0]


def _states(ids: Sequence[str]) -> dict[str, str] | None:
    """The state of each task of these jobs that SLURM still knows; None where it does not answer."""
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
    """What sbatch said, without submitit's words around it."""
    lines = [line.strip() for line in str(error).splitlines() if "sbatch: error" in line]
    return "; ".join(line.removeprefix("sbatch: error: ") for line in lines) or str(error).strip()
