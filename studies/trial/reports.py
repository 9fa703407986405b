"""Reports the rungs of a trial to its study, and asks whether to stop.

After the last rung there is nothing left to save: the trial is complete. Optuna keeps the first value of a rung, and a
pruner looks at the furthest rung. So a second training reports and asks nothing until it is further than the first one.
"""

from __future__ import annotations

from optuna import Trial
from optuna.trial import BaseTrial

from studies import schema
from studies.config.settings import ObjectiveSettings
from studies.trial.rungs.rungs import Rung


def reports_of(trial: BaseTrial, objective: ObjectiveSettings, *, n_rungs: int) -> IntermediateValues | RungsAttribute:
    """Return the way to report the rungs of `trial`: Optuna's intermediate values if there is one objective."""
    return (IntermediateValues if objective.second is None else RungsAttribute)(trial, last=n_rungs)


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
        """Report the rungs of an earlier attempt, so that pruners and tables see the whole trial."""
        for rung in rungs:
            self._furthest = rung.index
            self._trial.report(rung.value, rung.index)
            self._trial.should_prune()  # the answer is known from then; halving pruners note a rung when asked


class RungsAttribute:
    """Keeps the rungs in an attribute of the trial, for a study of several objectives.

    Optuna takes no intermediate values of these, and its `should_prune` refuses to answer. So the study's pruner is
    asked directly, and it reads the attribute.
    """

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
        """Keep the rungs of an earlier attempt, so that the pruner and tables see the whole trial."""
        self._keep(rungs)

    def _keep(self, rungs: tuple[Rung, ...]) -> None:
        known = {index for index, _ in self._kept}
        self._kept = sorted([*self._kept, *([r.index, r.value] for r in rungs if r.index not in known)])
        self._trial.set_user_attr(schema.RUNGS, self._kept)

    def _is_to_stop(self) -> bool:
        if not isinstance(self._trial, Trial):  # without a study, as in tests
            return False
        study = self._trial.study
        return study.pruner.prune(study, study.get_trials(deepcopy=False)[self._trial.number])
