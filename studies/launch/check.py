"""The check of a launcher's options, whichever launcher the config names."""

from __future__ import annotations

from omegaconf import ListConfig

from studies.config.settings import StudySettings
from studies.errors import Problems
from studies.launch.local.options import check_local
from studies.launch.ray.options import check_ray
from studies.launch.slurm.options import check_slurm


def check_launcher(settings: StudySettings, problems: Problems) -> None:
    """Add unknown options, wrong values, and options that exclude each other to `problems`."""
    launcher, trainer = settings.launcher, settings.trainer
    devices = trainer.get("devices", 1)
    if launcher.name != "serial" and isinstance(devices, ListConfig) and len(devices) == 1 and devices[0] != 0:
        remedy = "give 1: each worker sees its own devices only"
        remedy += "; export CUDA_VISIBLE_DEVICES to choose among them" if launcher.name == "local" else ""
        problems.add("trainer.devices", f"is {devices!r} but launcher is {launcher.name}", remedy)
    if launcher.name == "slurm":
        check_slurm(launcher.options, problems, workers=settings.workers, trainer=trainer, url=settings.storage.url)
    elif launcher.name == "ray":
        check_ray(launcher.options, problems, trainer=trainer)
    else:
        check_local(launcher, problems)
