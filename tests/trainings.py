"""Trainings in the test's own process, as a worker runs them, and of one job on two ranks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.job import Job
from studies.trial.objective import run_trial
from studies.trial.ranks.processes import train_in_ranks
from studies.trial.training import Training, Watchers
from studies.worker import WorkerContext, work

TRAINER = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


class StopsAfter(StopSignals):
    """A signal that comes once it has been asked for so often."""

    def __init__(self, n_questions: int) -> None:
        super().__init__()
        self._left = n_questions

    def reason(self) -> str | None:
        self._left -= 1
        if self._left < 0:
            self.stop("SIGUSR1")
        return super().reason()


def run(
    settings: StudySettings,
    *,
    deadline: datetime | None = None,
    signals: StopSignals | None = None,
    storage: BaseStorage | None = None,
) -> list[FrozenTrial]:
    """Work in this process until there is nothing left to do; the trials of the study.

    A study that is there is gone on with, also under another config than its own."""
    storage = storage or open_storage(settings.storage.address)
    if settings.study_name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=settings.study_name, storage=storage)
    else:
        study = open_study(settings, storage)
    deadline = Deadline(datetime.now(), deadline)
    work(storage, context=WorkerContext(settings, "here", deadline, signals or StopSignals()), run_trial=run_trial)
    return study.get_trials()


def files(settings: StudySettings) -> list[Path]:
    """What the trials of a study have left in their folders."""
    return sorted((settings.output_dir / "trials").glob("*/*"))


def train(job: Job, watchers: Watchers | None = None) -> Training:
    """The job on two ranks."""
    return train_in_ranks(job, n_ranks=2, watchers=watchers or Watchers())
