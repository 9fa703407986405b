"""The options of `launcher=ray`, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studies.errors import Problems
from studies.launch.remote import check_gpus_are_asked_for
from studies.reading.limits import MOST_WORKERS
from studies.reading.section import Section
from studies.settings import StudySettings

OPTIONS = ("address", "cpus_per_worker", "gpus_per_worker", "devices_per_trial")
ADDRESS = re.compile(r"auto|(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d+")


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Which cluster, and what each worker takes of it. `address` None: a cluster of its own on this machine."""

    address: str | None
    cpus_per_worker: float
    gpus_per_worker: float
    devices_per_trial: int = 1


def read_ray(settings: StudySettings, problems: Problems) -> RayOptions:
    """The options of the launcher; what is wrong with them is noted."""
    section = Section(dict(settings.launcher.options), prefix="launcher", problems=problems)
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


def check_ray(settings: StudySettings, problems: Problems) -> None:
    """Note what is wrong with a study that is to run on Ray."""
    if settings.launcher.name == "ray":
        gpus = read_ray(settings, problems).gpus_per_worker
        check_gpus_are_asked_for(settings, problems, option="gpus_per_worker", gpus=gpus)
