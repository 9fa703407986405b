"""Trials whose value is known in advance: a function of the point, and noise that follows from the training seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from optuna.storages import BaseStorage
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.schema import Failure
from studies.selection.steps import Selection, next_step, reader
from studies.storage.creation import open_study
from studies.trial.outcome import Outcome
from studies.worker import WorkerContext, work

Point = Mapping[str, Any]


@dataclass(slots=True)
class Landscape:
    """Runs a trial by looking up `worth` of its point and adding noise of sd `noise`; where `fails` (of point, seed and
    settings) names a failure it ends in that. `signals` stop it after `n_left` more trials, if that is given."""

    worth: Callable[[Point], float]
    noise: float = 0.01
    fails: Callable[[Point, int, StudySettings], Failure | None] = lambda *_: None
    seconds: Callable[[Point], float] = lambda _: 1.0
    has_test_part: bool = True
    signals: StopSignals | None = None
    n_left: int | None = None
    n_run: int = 0

    def __call__(
        self,
        trial: BaseTrial,
        settings: StudySettings,
        *,
        seed: int,
        interrupted: Callable[[], str | None],
        repeated: FrozenTrial | None,
    ) -> Outcome:
        """Look it up."""
        point = settings.space.suggest(trial)
        self.n_run += 1
        if self.n_left is not None and self.signals is not None and self.n_run >= self.n_left:
            self.signals.stop("SIGINT")
        failure = self.fails(point, seed, settings)
        if failure is not None:
            state = TrialState.PRUNED if failure in schema.OF_THE_POINT else TrialState.FAIL
            return Outcome(state, attributes={schema.FAILURE: failure, schema.FAILURE_MESSAGE: "as was asked for"})
        rng = np.random.default_rng([seed, zlib.crc32(repr(sorted(point.items())).encode())])
        value = self.worth(point) + self.noise * float(rng.standard_normal())
        attributes: dict[str, Any] = {schema.SECONDS: self.seconds(point), schema.THREADS: 1}
        if settings.objective.test and self.has_test_part:
            attributes[schema.TEST] = {"test/accuracy": value - 0.02, "test/loss": 1 - value, "n": 500}
        return Outcome(TrialState.COMPLETE, value, attributes)


def run_study(settings: StudySettings, storage: BaseStorage, landscape: Landscape) -> list[FrozenTrial]:
    """Run a study, or a round of a selection, until it is finished or the landscape's signals stop it."""
    study = open_study(settings, storage)
    signals = landscape.signals or StopSignals()
    work(storage, context=WorkerContext(settings, "here", Deadline(datetime.now()), signals), run_trial=landscape)
    return study.get_trials(deepcopy=False)


def run_selection(
    settings: StudySettings, storage: BaseStorage, landscape: Landscape
) -> tuple[Selection | None, list[StudySettings]]:
    """Search and select; what that came to (None where signals ended it), and the rounds that were run."""
    trials = run_study(settings, storage, landscape)
    rounds: list[StudySettings] = []
    while landscape.signals is None or landscape.signals.reason() is None:
        step = next_step(settings, trials, reader(storage))
        if step is None or isinstance(step, Selection):
            return step, rounds
        rounds.append(step)
        run_study(step, storage, landscape)
    return None, rounds
