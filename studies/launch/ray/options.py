"""The options of `launcher=ray`, parsed and checked, and what this machine lacks for it."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.config.parsing.limits import MOST_WORKERS
from studies.config.parsing.section import ConfigSection
from studies.errors import Problem, Problems
from studies.launch.remote import check_gpus_are_asked_for

OPTIONS = ("address", "cpus_per_worker", "gpus_per_worker", "devices_per_trial")
ADDRESS = re.compile(r"auto|(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d+")
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's coming default, which it announces at each start
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@dataclass(frozen=True, slots=True)
class RayOptions:
    """The cluster, and the resources of each worker."""

    address: str | None  # None: a cluster of its own on this machine
    cpus_per_worker: float
    gpus_per_worker: float
    devices_per_trial: int = 1


def parse_ray(options: Mapping[str, Any], problems: Problems) -> RayOptions:
    """Parse the launcher's `options`, and add what is wrong with them to `problems`."""
    section = ConfigSection(dict(options), prefix="launcher", problems=problems)
    section.only(OPTIONS)
    address = section.text("address") if section.has("address") else None
    if address is not None and not ADDRESS.fullmatch(address):
        remedy = "give null (a cluster of its own), auto, or HOST:PORT of the head node"
        problems.add("launcher.address", f"is {address!r}", remedy)
    cpus = section.number("cpus_per_worker", above=0, high=MOST_WORKERS, default=1)
    gpus = section.number("gpus_per_worker", low=0, high=MOST_WORKERS, default=0)
    for key, value in (("cpus_per_worker", cpus), ("gpus_per_worker", gpus)):
        if value > 1 and not value.is_integer():
            problems.add(f"launcher.{key}", f"is {value:g}", "give a whole number, or a fraction below 1")
    devices = section.whole("devices_per_trial", low=1, high=MOST_WORKERS)
    if gpus and max(gpus, 1) != devices:
        remedy = "give the same number to both: a worker trains one trial at a time"
        problems.add("launcher.gpus_per_worker", f"is {gpus:g} but devices_per_trial is {devices}", remedy)
    return RayOptions(address, cpus, gpus, devices)


def check_ray(given: Mapping[str, Any], problems: Problems, *, trainer: Mapping[Any, Any]) -> None:
    """Add what is wrong with a study on Ray to `problems`. `given` are its options."""
    options = parse_ray(given, problems)
    gpus, each = options.gpus_per_worker, options.devices_per_trial
    check_gpus_are_asked_for(trainer, problems, option="gpus_per_worker", gpus=gpus, devices_per_trial=each)


def ray_problems() -> list[Problem]:
    """Return what this machine lacks for Ray, and keep Ray quiet. Call it before `ray` is imported."""
    if importlib.util.find_spec("ray") is None:
        return [Problem("launcher.name", "is ray, which is not installed", "pip install 'lightning-studies[ray]'")]
    os.environ.update({key: value for key, value in QUIET.items() if key not in os.environ})
    return []
