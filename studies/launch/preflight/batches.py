"""Tries batches in this process. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from studies.config.resolvers import load_resolvers
from studies.config.settings import StudySettings
from studies.errors import Problem
from studies.launch.local.device_slots import DeviceRequest, slot_problems
from studies.launch.local.options import device_request
from studies.launch.preflight.findings import Found, Plan
from studies.launch.remote import REMOTE, on_any_accelerator
from studies.launch.torch_devices import gpu_ids
from studies.secrets.masking import remember_those_of
from studies.storage.identity import fixed_config
from studies.trial.preflight.preflight import Preflight, preflight
from studies.trial.procedures.procedure import is_procedure


def find_problems(settings: StudySettings, *, tell: Callable[[str], None]) -> list[Problem]:
    """Return the problems of this machine's devices, or those of a first batch on them. `tell` takes notes."""
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    tried = replace(settings, template=on_any_accelerator(settings.template, launcher=settings.launcher.name))
    return _device_problems(settings.launcher.name, device_request(settings)) or preflight(tried, tell=tell)


def check_points(plan: Plan, *, margin_s: float = 0.0) -> Iterator[Found]:
    """Yield the findings on this machine's devices, on the targets, and at the points of `plan`.

    The first piece has the end of the check. No batch begins in the last `margin_s` seconds.
    """
    gpus, until = tuple(gpu_ids()), plan.ends()
    yield Found(gpus=gpus, until=until)
    settings = plan.settings
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    template = on_any_accelerator(settings.template, launcher=settings.launcher.name)
    tried = Preflight(replace(settings, template=template))
    problems = _device_problems(settings.launcher.name, device_request(settings)) or tried.bound()
    yield Found(problems=tuple(problems), is_procedure=not problems and is_procedure(fixed_config(settings.template)))
    if problems:
        return
    yield Found(notes=tuple(tried.notes()))
    earlier = None if until is None else until - margin_s
    for kind, dry_run in tried.dry_runs(corners=plan.corners, typical=plan.typical, until=earlier):
        yield Found(kind=kind, dry_run=dry_run)


def _device_problems(launcher: str, request: DeviceRequest) -> list[Problem]:
    return [] if launcher in REMOTE else slot_problems(request, gpus=gpu_ids())
