"""A worker whose trials only sleep: claims by the framework's rule and notes each trial that it begins.

python sleeping_worker.py URL N_TRIALS SECONDS LEASE_S NOTES
"""

from __future__ import annotations

import os
import sys
import time

import optuna

from studies import schema
from studies.storage.claim import Claims, Turn
from studies.storage.lease import Lease, Watch, worker_id
from studies.storage.opening import open_storage
from studies.storage.slots import Rules


def main(url: str, n_trials: int, seconds: float, lease_s: float, notes: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url)
    study = optuna.load_study(study_name="sleepers", storage=storage, sampler=optuna.samplers.RandomSampler())
    rules = Rules(n_trials, max_retries=20, redraws=False)
    claims = Claims(study, rules=rules, watch=Watch(storage, lease_s=lease_s))
    while (turn := claims.next()) is not Turn.LEAVE:
        if turn is Turn.WAIT:
            time.sleep(0.05)
            continue
        trial = turn.trial
        trial.set_user_attr(schema.WORKER, worker_id())
        with open(notes, "a") as file:  # noqa: PTH123 - one write of one line, which the system does not split
            file.write(f"{trial.number} {turn.slot} {os.getpid()}\n")
        with Lease(trial, lease_s=lease_s):
            x = trial.suggest_float("x", 0, 1)
            for step in (1, 2, 3):
                time.sleep(seconds / 3)
                trial.report(x, step)
        study.tell(trial, x)


if __name__ == "__main__":
    url, n_trials, seconds, lease_s, notes = sys.argv[1:]
    main(url, int(n_trials), float(seconds), float(lease_s), notes)
