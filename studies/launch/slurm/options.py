"""The options of `launcher=slurm`, parsed and checked, and what this machine lacks for it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.config.parsing.limits import MOST_WORKERS, shown
from studies.config.parsing.section import ConfigSection
from studies.errors import Problem, Problems
from studies.launch.remote import check_gpus_are_asked_for, check_password_stays_out_of_files

MOST_MINUTES = 527_040  # a year, far beyond any queue's limit
MOST_GB = 1e6  # a node has some thousand
OPTIONS = (
    *("partition", "timeout_min", "grace_s", "cpus_per_task", "gpus_per_task", "mem_gb"),
    *("devices_per_trial", "array_parallelism", "setup", "additional_parameters"),
)
OURS = {  # parameters of sbatch that other keys set
    "array": "use workers",
    "time": "use launcher.timeout_min",
    "signal": "use launcher.grace_s",
    "partition": "use launcher.partition",
    "cpus-per-task": "use launcher.cpus_per_task",
    "gpus-per-task": "use launcher.gpus_per_task",
    "mem": "use launcher.mem_gb",
    "requeue": "a task always comes back while the study is unfinished",
    **dict.fromkeys(("job-name", "output", "error", "open-mode", "ntasks", "nodes"), "it is the framework's to choose"),
}


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What each task asks of SLURM. `None` leaves it to the cluster."""

    partition: str | None
    timeout_min: int
    grace_s: int
    cpus_per_task: int
    gpus_per_task: int
    devices_per_trial: int
    mem_gb: float | None
    array_parallelism: int | None
    setup: tuple[str, ...]
    additional_parameters: Mapping[str, Any]


def parse_slurm(options: Mapping[str, Any], problems: Problems) -> SlurmOptions:
    """Parse the launcher's `options`, and add what is wrong with them to `problems`."""
    section = ConfigSection(dict(options), prefix="launcher", problems=problems)
    section.only(OPTIONS)
    setup = section.values.get("setup") or []
    if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
        problems.add("launcher.setup", f"is {shown(setup)}", "give a list of lines of shell")
        setup = []
    return SlurmOptions(
        partition=section.text("partition") if section.has("partition") else None,
        timeout_min=section.whole("timeout_min", low=1, high=MOST_MINUTES, default=60),
        grace_s=section.whole("grace_s", low=1, high=60 * MOST_MINUTES, default=90),
        cpus_per_task=section.whole("cpus_per_task", low=1, high=MOST_WORKERS),
        gpus_per_task=section.whole("gpus_per_task", low=0, high=MOST_WORKERS, default=0),
        devices_per_trial=section.whole("devices_per_trial", low=1, high=MOST_WORKERS),
        mem_gb=section.optional_number("mem_gb", above=0, high=MOST_GB),
        array_parallelism=section.optional_whole("array_parallelism", low=1, high=MOST_WORKERS),
        setup=tuple(setup),
        additional_parameters=_parse_parameters(section),
    )


def check_slurm(
    given: Mapping[str, Any], problems: Problems, *, workers: int | None, trainer: Mapping[Any, Any], url: str | None
) -> None:
    """Add what is wrong with a study under SLURM to `problems`. `given` are its options, `url` is the storage's."""
    options = parse_slurm(given, problems)
    if workers is None:
        remedy = "give the number of tasks, workers=8: what a cluster has free cannot be known beforehand"
        problems.add("workers", "is auto but launcher is slurm", remedy)
    if options.grace_s >= 60 * options.timeout_min:
        complaint = f"is {options.grace_s}, which leaves nothing of {options.timeout_min} minutes"
        problems.add("launcher.grace_s", complaint, "give less, or raise launcher.timeout_min")
    if options.gpus_per_task not in (0, options.devices_per_trial):
        complaint = f"is {options.gpus_per_task} but devices_per_trial is {options.devices_per_trial}"
        remedy = f"give the same, launcher.devices_per_trial={options.gpus_per_task}: a task trains one trial at a time"
        problems.add("launcher.gpus_per_task", complaint, remedy)
    if not _brings_gpus(options):
        gpus, each = options.gpus_per_task, options.devices_per_trial
        check_gpus_are_asked_for(trainer, problems, option="gpus_per_task", gpus=gpus, devices_per_trial=each)
    check_password_stays_out_of_files(url, problems)


def slurm_problems() -> list[Problem]:
    """Return what this machine lacks for submitting jobs."""
    problems = []
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        complaint = f"is slurm, and this machine has no {', '.join(missing)}"
        problems.append(Problem("launcher.name", complaint, "run the command where jobs are submitted"))
    if importlib.util.find_spec("submitit") is None:
        remedy = "pip install 'lightning-studies[slurm]'"
        problems.append(Problem("launcher.name", "is slurm, which needs submitit", remedy))
    return problems


def _brings_gpus(options: SlurmOptions) -> bool:
    """Return whether a task gets GPUs in another way than by gpus_per_task."""
    asked = [f"{key}={value}" for key, value in options.additional_parameters.items()]
    by_sbatch = any(re.match(r"gpus|(gres|tres).*gpu", text) for text in asked)
    return by_sbatch or any("CUDA_VISIBLE_DEVICES" in line for line in options.setup)


def _parse_parameters(section: ConfigSection) -> dict[str, Any]:
    given = section.section("additional_parameters").values if section.has("additional_parameters") else {}
    parameters = {str(key).replace("_", "-"): value for key, value in given.items()}
    for key, value in parameters.items():
        if key in OURS:
            section.problems.add(f"launcher.additional_parameters.{key}", f"is {value!r}", OURS[key])
        elif value is None or isinstance(value, list | dict):
            remedy = "give a word or a number, or true for a flag without a value"
            section.problems.add(f"launcher.additional_parameters.{key}", f"is {value!r}", remedy)
    return parameters
