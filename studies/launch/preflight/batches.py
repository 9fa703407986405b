"""Tries batches in this process. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from studies.config.resolvers import load_resolvers
from studies.config.settings import StudySettings
from studies.errors import Problem
from studies.launch.local.device_slots import slot_problems
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
    return _device_problems(settings) or preflight(on_any_accelerator(settings), tell=tell)


def check_points(settings: StudySettings, plan: Plan, *, margin_s: float = 0.0) -> Iterator[Found]:
    """Yield the findings on this machine's devices, on the targets, and at the points of `plan`.

    The first piece has the end of the check. No batch begins in the last `margin_s` seconds.
    """
    gpus, until = tuple(gpu_ids()), plan.ends()
    yield Found(gpus=gpus, until=until)
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    tried = Preflight(on_any_accelerator(settings))
    problems = _device_problems(settings) or tried.bound()
    yield Found(problems=tuple(problems), is_procedure=not problems and is_procedure(fixed_config(settings.template)))
    if problems:
        return
    yield Found(notes=tuple(tried.notes()))
    earlier = None if until is None else until - margin_s
    for kind, dry_run in tried.dry_runs(corners=plan.corners, typical=plan.typical, until=earlier):
        yield Found(kind=kind, dry_run=dry_run)


def _device_problems(settings: StudySettings) -> list[Problem]:
    return [] if settings.launcher.name in REMOTE else slot_problems(device_request(settings), gpus=gpu_ids())
