"""Workers that are killed at random moments while they share one study, and what must hold afterwards."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import optuna
import sleeping
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.settings import StudySettings
from studies.storage.identity import open_study
from studies.storage.opening import open_storage
from studies.storage.slots import read_slots

DEADLINE_S = 280
GRID = ("sampler=grid", "n_trials=null", "~search_space.batch_size", "~search_space.dropout")  # 5 × 3 × 4 cells
CELLS = ("search_space.lr.levels=5", "+search_space.width.levels=all")


@dataclass(frozen=True, slots=True)
class Storm:
    """What is run: trials of so many seconds, and what happens to their workers."""

    folder: Path
    url: str
    seed: int = 0
    n_workers: int = 4
    n_kills: int = 15
    seconds: Sequence[float] = (0.3,)
    lease_s: float = 10
    overrides: tuple[str, ...] = (*GRID, *CELLS, "budget.amount=3")

    @property
    def settings(self) -> StudySettings:
        """The study's settings."""
        return sleeping.settings_of(self._overrides)

    @property
    def notes(self) -> Path:
        """Where each begin and end of a trial is noted."""
        return self.folder / "notes"

    def run(self) -> optuna.Study:
        """Work until all workers have left; each one that is killed is replaced."""
        study = open_study(self.settings, open_storage(self.url))
        rng, kills, deadline = random.Random(self.seed), self.n_kills, time.monotonic() + DEADLINE_S
        workers = [self.start() for _ in range(self.n_workers)]
        while any(worker.is_alive() for worker in workers):
            assert time.monotonic() < deadline, "the workers do not come to an end"
            time.sleep(rng.uniform(0.2, 1.2))
            if kills > 0 and self.notes.exists():
                kills -= 1
                victim = rng.randrange(self.n_workers)
                workers[victim].kill()
                workers[victim].join()
                workers[victim] = self.start()
        assert [worker.exitcode for worker in workers] == [0] * self.n_workers
        return study

    def start(self) -> ForkServerProcess:
        """One worker, a process of its own."""
        return sleeping.start_sleeper(self._overrides, sleeping.Sleeper(self.seconds, self.notes))

    @property
    def _overrides(self) -> list[str]:
        places = (f"storage.url='{self.url}'", f"output_dir={self.folder}/out", f"storage.lease_s={self.lease_s}")
        return [f"study_name=storm{self.seed}", *places, "max_retries=20", "workers=1", *self.overrides]


def check_exact(study: optuna.Study, settings: StudySettings, notes: Path | None) -> None:
    """The whole budget, each trial run by one worker and ended once, nothing left over, no cell twice or missing."""
    trials = study.get_trials(deepcopy=False)
    slots = read_slots(trials, settings.n_trials)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * settings.n_trials
    assert Counter(trial.state for trial in trials)[TrialState.COMPLETE] == settings.n_trials
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
    retried = [trial.user_attrs[schema.RETRY_OF] for trial in run if schema.RETRY_OF in trial.user_attrs]
    assert len(retried) == len(set(retried)), "a trial was retried twice"
    for trial in run:
        if schema.RETRY_OF in trial.user_attrs:
            assert trial.params.items() >= trials[trial.user_attrs[schema.RETRY_OF]].params.items()
    if settings.is_designed:
        cells = Counter(frozenset(slot.last.params.items()) for slot in slots)
        expected = {frozenset(cell.items()) for cell in settings.space.grid()}
        assert cells.keys() == expected
        assert set(cells.values()) == {settings.replicates}
    if notes is not None:
        check_notes(notes, trials)


def check_notes(notes: Path, trials: Sequence[FrozenTrial]) -> None:
    """Each trial was begun by one worker only, and each complete one was run to its end."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    begun = Counter(int(number) for what, number, *_ in lines if what == "begin")
    ended = Counter(int(number) for what, number, *_ in lines if what == "end")
    assert set(begun.values()) == {1}, "a trial was run by two workers"
    complete = {trial.number for trial in trials if trial.state == TrialState.COMPLETE}
    assert complete <= ended.keys()
