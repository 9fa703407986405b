"""Workers whose trials only sleep, as processes at one storage; and what must be true when they have left."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import TrialState

from studies import schema
from studies.storage.opening import open_storage
from studies.storage.slots import read_slots

WORKER = Path(__file__).parent / "studies" / "scripts" / "sleeping_worker.py"


class Sleepers:
    """Processes whose trials only sleep, at one storage."""

    def __init__(self, url: str, folder: Path, *, n_trials: int, seconds: float, lease_s: float = 60) -> None:
        self.storage = open_storage(url)
        optuna.create_study(study_name="sleepers", storage=self.storage)
        self.n_trials = n_trials
        self.notes = folder / "notes"
        self.log = folder / "log"
        self.command = [sys.executable, str(WORKER), url, str(n_trials), str(seconds), str(lease_s), str(self.notes)]
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, n_workers: int) -> None:
        for _ in range(n_workers):
            with self.log.open("ab") as log:
                self.workers.append(subprocess.Popen(self.command, stdout=log, stderr=log))

    def kill_one(self, rng: random.Random) -> None:
        victim = rng.choice(self.workers)
        victim.kill()
        victim.wait()
        self.workers.remove(victim)
        self.start(1)

    def n_complete(self) -> int:
        return sum(trial.state == TrialState.COMPLETE for trial in self.study().get_trials(deepcopy=False))

    def study(self) -> optuna.Study:
        return optuna.load_study(study_name="sleepers", storage=self.storage)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def leave(self) -> None:
        self.wait_for(lambda: all(worker.poll() is not None for worker in self.workers))
        assert [worker.returncode for worker in self.workers] == [0] * len(self.workers), self.log.read_text()

    def check_exact(self) -> None:
        """The budget is spent exactly, each trial was begun by one worker only, and nothing is left open."""
        trials = self.study().trials
        begun = Counter(line.split()[0] for line in self.notes.read_text().splitlines())
        assert set(begun.values()) == {1}, "a trial was run by two workers"
        slots = read_slots(trials, self.n_trials)
        assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * self.n_trials
        assert sum(trial.state == TrialState.COMPLETE for trial in trials) == self.n_trials
        assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
        run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
        retried = [trial.user_attrs[schema.RETRY_OF] for trial in run if schema.RETRY_OF in trial.user_attrs]
        assert len(retried) == len(set(retried)), "a trial was retried twice"

    def end(self) -> None:
        """Kill what is left of the workers."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
