"""Workers whose trials only sleep, as processes at one storage; and what must be true when they have left."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from sleeping import Sleeper, settings_of, start_sleeper

from studies import schema
from studies.config.settings import StudySettings
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.storage.slots import read_slots

GRID = (  # 5 × 3 × 4 cells, 3 reports
    *("sampler=grid", "n_trials=null", "search_space.lr.levels=5", "+search_space.width.levels=all"),
    *("~search_space.batch_size", "~search_space.dropout", "budget.amount=3"),
)


class Sleepers:
    """Processes whose trials sleep for `seconds` (of a slot, in turn), at the storage `url`; `asked` overrides the
    config."""

    def __init__(
        self, url: str, folder: Path, *asked: str, seconds: float | Sequence[float] = 0.3, lease_s: float = 60
    ) -> None:
        self.storage = open_storage(url)
        self.workers: list[ForkServerProcess] = []
        self.notes = folder / "notes"
        self._sleeper = Sleeper([seconds] if isinstance(seconds, int | float) else seconds, self.notes)
        places = (f"storage.url='{url}'", f"output_dir={folder}/out", f"storage.lease_s={lease_s}")
        self._asked = ("study_name=sleepers", *places, "max_retries=20", "workers=1", *asked)
        self.settings = settings_of(self._asked)
        open_study(self.settings, self.storage)

    def start(self, n_workers: int) -> None:
        self.workers += [start_sleeper(self._asked, self._sleeper) for _ in range(n_workers)]

    def kill_one(self, rng: random.Random) -> None:
        """Kill any of them, and start another in its place."""
        victim = rng.choice(self.workers)
        victim.kill()
        victim.join()
        self.workers.remove(victim)
        self.start(1)

    def n_complete(self) -> int:
        return sum(trial.state == TrialState.COMPLETE for trial in self.study().get_trials(deepcopy=False))

    def study(self) -> optuna.Study:
        return optuna.load_study(study_name="sleepers", storage=self.storage)

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 100) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.05)

    def leave(self) -> None:
        self.wait_for(lambda: not any(worker.is_alive() for worker in self.workers))
        assert [worker.exitcode for worker in self.workers] == [0] * len(self.workers)

    def check_exact(self) -> None:
        check_exact(self.study(), self.settings, self.notes)

    def end(self) -> None:
        """Kill what is left of the workers."""
        for worker in self.workers:
            worker.kill()
            worker.join()


def check_exact(study: optuna.Study, settings: StudySettings, notes: Path) -> None:
    """The whole budget, each trial run by one worker and ended once, nothing left over, no cell twice or missing.

    `notes` has a line for each begin and end of a trial: which, its number, and more.
    """
    trials = study.get_trials(deepcopy=False)
    slots = read_slots(trials, settings.n_trials)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * settings.n_trials
    assert Counter(trial.state for trial in trials)[TrialState.COMPLETE] == settings.n_trials
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
    retries = [trial for trial in run if schema.RETRY_OF in trial.user_attrs]
    assert max(Counter(trial.user_attrs[schema.RETRY_OF] for trial in retries).values(), default=1) == 1
    for slot in slots:  # one that was killed early has drawn a part of its point, or nothing
        assert all(trial.params.items() <= slot.last.params.items() for trial in slot.of_one_point)
    if settings.is_designed:
        cells = Counter(frozenset(slot.last.params.items()) for slot in slots)
        assert cells == {frozenset(cell.items()): settings.replicates for cell in settings.space.grid()}
    check_notes(notes, trials)


def check_notes(notes: Path, trials: Sequence[FrozenTrial]) -> None:
    """Each trial was begun by one worker only, and each complete one was run to its end."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    lines = [line for line in lines if line[1].isdigit()]  # the first batch, which is tried before, is no trial
    begun = Counter(int(number) for what, number, *_ in lines if what == "begin")
    ended = Counter(int(number) for what, number, *_ in lines if what == "end")
    assert set(begun.values()) == {1}, "a trial was run by two workers"
    assert {trial.number for trial in trials if trial.state == TrialState.COMPLETE} <= ended.keys()
