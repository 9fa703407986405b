"""Trials that only sleep and report, run by the framework's own worker, which then imports no torch.

What kill storms and the scale benchmark start as processes: `start_sleeper`.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.opening import open_patiently
from studies.storage.patience import Patience
from studies.trial.outcome import Outcome
from studies.worker import WorkerContext, work

SPACE = (  # five parameters of a module that is never built
    "+study=mnist",
    *("sampler=random", "pruner=none", "analysis=none", "~search_space.activation", "budget.amount=5"),
)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """Runs a trial by sleeping: `seconds` by slot, in turn; each begin and end is noted in `notes`."""

    seconds: Sequence[float]
    notes: Path | None = None

    def __call__(
        self,
        trial: BaseTrial,
        settings: StudySettings,
        *,
        seed: int,
        interrupted: Callable[[], str | None],
        repeated: FrozenTrial | None,
    ) -> Outcome:
        """Suggest, then sleep and report at each rung."""
        self._note("begin", trial)
        point = settings.space.suggest(trial)
        rungs, seconds = settings.budget.rungs, self.seconds[trial.user_attrs[schema.SLOT] % len(self.seconds)]
        value = float(sum(value for value in point.values() if isinstance(value, int | float)))
        for rung in range(1, rungs + 1):
            time.sleep(seconds / rungs)
            trial.report(value, rung)
            trial.should_prune()
        self._note("end", trial)
        attributes = {  # what a real trial records, so that it costs the same
            schema.STEPS: rungs,
            schema.SECONDS: seconds,
            schema.SAMPLES_SEEN: list(range(rungs)),
            schema.DEVICE: "none",
            schema.THREADS: 1,
            schema.PEAK_MEMORY_MB: 0.0,
            schema.CONVERGENCE: 1,
        }
        return Outcome(TrialState.COMPLETE, value, attributes)

    def _note(self, what: str, trial: BaseTrial) -> None:
        if self.notes is not None:
            moment = f"{time.time()} {time.process_time()}"
            line = f"{what} {trial.number} {trial.user_attrs[schema.SLOT]} {os.getpid()} {moment}\n"
            with self.notes.open("a") as file:  # one write of one line, which the system does not split
                file.write(line)


def settings_of(overrides: Sequence[str]) -> StudySettings:
    """Return the settings of a study of sleeping trials."""
    return parse_settings(compose([*SPACE, *overrides]), checks=CHECKS)


def start_sleeper(overrides: Sequence[str], sleeper: Sleeper) -> ForkServerProcess:
    """Return a worker process of the study that `overrides` describe; the first one starts the fork server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sleeping"])
    process = context.Process(target=sleep_and_work, args=(list(overrides), sleeper))
    process.start()
    return process


def sleep_and_work(overrides: Sequence[str], sleeper: Sleeper) -> None:
    """Work until the study is finished."""
    settings = settings_of(overrides)
    signals = StopSignals().install()
    patience = Patience(settings.storage.patience_s, signals.wait)
    storage = open_patiently(settings.storage.address, patience=patience)
    work(storage, context=WorkerContext(settings, "sleeper", Deadline(datetime.now()), signals), run_trial=sleeper)
