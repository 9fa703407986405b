"""Runs trials in this process, on its devices and with its number of threads. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence

from studies.config.resolvers import load_resolvers
from studies.launch.torch_devices import limit_threads, use_devices
from studies.secrets.masking import remember_those_of
from studies.storage.opening import open_patiently
from studies.storage.patience import Patience
from studies.trial.objective import run_trial
from studies.worker import WorkerContext, work


def run_trials(context: WorkerContext, *, threads: int, devices: Sequence[str]) -> None:
    """Claim and run trials until nothing is left to do. Raises `StudyError`."""
    use_devices(devices)
    limit_threads(threads)
    settings = context.settings
    load_resolvers(settings.template)
    remember_those_of(settings.template)
    patience = Patience(settings.storage.patience_s, context.signals.wait)
    storage = open_patiently(settings.storage.address, patience=patience)
    work(storage, context=context, run_trial=run_trial)
