"""A worker that trains modules of 40 MB, each in a cycle of references.

It prints how much more memory it has after the last trial than after the second, in MB.

python large_worker.py FOLDER USERS N_TRIALS
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


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(folder: str, users: str, n_trials: int) -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, users)
    places = [f"output_dir={folder}/out", f"storage.url=sqlite:///{folder}/s.db", "launcher=serial"]
    large = ["model._target_=user_memory.Counted", "+model.n_weights=10000000", "budget.amount=1"]
    asked = ["+study=plain", *places, *large, f"n_trials={n_trials}", "checkpoint.keep_best=0"]
    settings = parse_settings(compose(asked, config_dirs=[f"{users}/conf"]), checks=CHECKS)
    storage = open_storage(settings.storage.address)
    open_study(settings, storage)
    resident: list[float] = []

    def measured(trial: BaseTrial, settings: StudySettings, **given: Any) -> Outcome:
        outcome = run_trial(trial, settings, **given)
        resident.append(resident_mb())
        return outcome

    work(storage, context=WorkerContext(settings, "here", Deadline(datetime.now()), StopSignals()), run_trial=measured)
    print(resident[-1] - resident[1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
