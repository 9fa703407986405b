"""What a trial tells the study at each rung, and whether it is to stop there.

After the last rung there is nothing left to save: the trial is complete. Optuna keeps the first value of a rung, and a
pruner looks at the furthest rung: a second go reports nothing, and asks nothing, until it is further than the first
one came.
"""

from __future__ import annotations

from typing import Protocol

from optuna import Trial
from optuna.trial import BaseTrial

from studies import schema
from studies.config.settings import StudySettings
from studies.trial.callbacks import Rung


class Reports(Protocol):
    """Reports the rungs of one trial."""

    def __call__(self, rung: Rung) -> bool:
        """Report `rung` and say whether to stop."""

    def repeat(self, rungs: tuple[Rung, ...]) -> None:
        """Report what an earlier attempt had reached, so that pruners and tables see the trial whole."""


def reports_of(trial: BaseTrial, settings: StudySettings) -> Reports:
    """How `trial` reports: Optuna's own way where there is one objective."""
    kind = IntermediateValues if settings.objective.second is None else RungsAttribute
    return kind(trial, last=settings.budget.rungs)


class IntermediateValues:
    """Reports rungs as Optuna's intermediate values, which its pruners read."""

    def __init__(self, trial: BaseTrial, *, last: int) -> None:
        self._trial = trial
        self._last = last
        self._furthest = 0

    def __call__(self, rung: Rung) -> bool:
        """Report `rung` and say whether to stop."""
        if rung.index <= self._furthest:
            return False
        self._furthest = rung.index
        self._trial.report(rung.value, rung.index)
        return rung.index < self._last and self._trial.should_prune()

    def repeat(self, rungs: tuple[Rung, ...]) -> None:
        """Report what an earlier attempt had reached, so that pruners and tables see the trial whole."""
        for rung in rungs:
            self._furthest = rung.index
            self._trial.report(rung.value, rung.index)
            self._trial.should_prune()  # what it answers was decided then; halving pruners note each rung when asked


class RungsAttribute:
    """Keeps the rungs in an attribute of the trial: of several objectives Optuna takes no intermediate values, and its
    `should_prune` refuses to answer. The study's pruner is asked directly; it reads that attribute."""

    def __init__(self, trial: BaseTrial, *, last: int) -> None:
        self._trial = trial
        self._last = last
        self._kept: list[list[float]] = []

    def __call__(self, rung: Rung) -> bool:
        """Report `rung` and say whether to stop."""
        if self._kept and rung.index <= self._kept[-1][0]:
            return False
        self._keep((rung,))
        return rung.index < self._last and self._is_to_stop()

    def repeat(self, rungs: tuple[Rung, ...]) -> None:
        """Keep what an earlier attempt had reached, so that the rung rule and tables see the trial whole."""
        self._keep(rungs)

    def _keep(self, rungs: tuple[Rung, ...]) -> None:
        known = {index for index, _ in self._kept}
        self._kept = sorted([*self._kept, *([r.index, r.value] for r in rungs if r.index not in known)])
        self._trial.set_user_attr(schema.RUNGS, self._kept)

    def _is_to_stop(self) -> bool:
        if not isinstance(self._trial, Trial):  # one without a study, as tests make them
            return False
        study = self._trial.study
        return study.pruner.prune(study, study.get_trials(deepcopy=False)[self._trial.number])
