"""A worker that runs many short trainings and prints its resident memory, in MB, after the twentieth and the last.

python long_worker.py FOLDER DATA N_TRIALS
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from optuna.trial import BaseTrial

from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.worker import WorkerContext, work

SETTLED = 20


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(folder: str, data: str, n_trials: int) -> None:
    torch.set_num_threads(1)
    places = [f"output_dir={folder}/out", f"storage.url=sqlite:///{folder}/s.db", f"datamodule.data_dir={data}"]
    asked = ["+study=digits", *places, f"n_trials={n_trials}", "budget.amount=1", "launcher=serial"]
    settings = parse_settings(compose(asked), checks=CHECKS)
    storage = open_storage(settings.storage.address)
    open_study(settings, storage)

    def measured(trial: BaseTrial, settings: StudySettings, **given: Any) -> Outcome:
        if trial.number == SETTLED:
            print(resident_mb(), flush=True)
        return run_trial(trial, settings, **given)

    work(storage, context=WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals()), run_trial=measured)
    print(resident_mb(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
