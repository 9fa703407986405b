"""Lessons: what the policies of a space have learnt from a study's trials, read in the order of their numbers.

A trial earns the normal score of its rank among the trials before it, so that neither the metric's unit nor a few wild
values matter; the baseline is a moving average of what the policies' own points earned (Zoph & Le 2017). What has no
value is ranked too: pruned trials behind completed ones, those that got further first, and diverged ones last. A trial
that ended in an error or was killed says nothing about its point.

Off-policy points. Context: others' points (explored, enqueued, imported) are not drawn by the policy, and parallel
workers draw from a policy that knew a few trials less. Choice: others' count by how likely the policy is to draw them,
relative to the uniform one and at most 1, the whole point together; own points count in full, as if they had been drawn
from the policy as it is rebuilt. Cost: late in a search a point drawn by others teaches next to nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.space import Point, SearchSpace
from studies.search.policy import NORMAL, Policy, Rates, begin

IsOwn = Callable[[FrozenTrial], bool]
Standing = tuple[int, int, float]  # sorts from best to worst


class Lessons:
    """Policies by parameter, brought on trial by trial. `sign` is 1 where a small value is good, else -1."""

    def __init__(self, space: SearchSpace, *, rates: Rates, baseline_decay: float, sign: float) -> None:
        self.policies: Mapping[str, Policy] = {parameter.name: begin(parameter) for parameter in space}
        self.n_read = 0
        self._space = space
        self._rates = rates
        self._baseline_decay = baseline_decay
        self._sign = sign
        self._standings: list[Standing] = []
        self._baseline = 0.0
        self._last: FrozenTrial | None = None

    def copy(self) -> Lessons:
        """The same lessons, to be brought on apart from these."""
        other = Lessons(self._space, rates=self._rates, baseline_decay=self._baseline_decay, sign=self._sign)
        other.policies, other.n_read, other._last = dict(self.policies), self.n_read, self._last
        other._standings, other._baseline = list(self._standings), self._baseline
        return other

    def continue_in(self, trials: list[FrozenTrial], *, sign: float) -> bool:
        """Whether these are lessons of the study that has `trials`, by number."""
        if sign != self._sign or self.n_read > len(trials):
            return False
        return self.n_read == 0 or trials[self.n_read - 1] == self._last

    def read(self, trials: Iterable[FrozenTrial], *, is_own: IsOwn) -> None:
        """Learn from the study's next trials; of those that are not finished there is nothing to learn yet."""
        for trial in trials:
            standing = _standing(trial, self._sign)
            if standing is not None:
                self._learn(self._active(trial), self._earned(standing), is_own=is_own(trial))
            self.n_read += 1
            self._last = trial

    def _earned(self, standing: Standing) -> float:
        """The normal score of a rank, tied ones sharing theirs; 0 is as good as the median so far."""
        before = bisect_left(self._standings, standing) + bisect_right(self._standings, standing)
        share_not_worse = (0.5 * before + 1.0) / (len(self._standings) + 2.0)
        insort(self._standings, standing)
        return -NORMAL.inv_cdf(share_not_worse)

    def _learn(self, point: Point, earned: float, *, is_own: bool) -> None:
        weight = 1.0 if is_own else self._likelihood(point)
        rates = replace(self._rates, learning_rate=weight * self._rates.learning_rate)
        stepped = {
            name: self.policies[name].step(value, earned - self._baseline, rates) for name, value in point.items()
        }
        self.policies = {**self.policies, **stepped}
        if is_own:
            self._baseline += (1 - self._baseline_decay) * (earned - self._baseline)

    def _likelihood(self, point: Point) -> float:
        return math.exp(min(0.0, sum(self.policies[name].log_ratio(value) for name, value in point.items())))

    def _active(self, trial: FrozenTrial) -> Point:
        """The values that the space has too: what was inactive is not among a trial's, and learns nothing from it."""
        return {
            parameter.name: trial.params[parameter.name]
            for parameter in self._space
            if parameter.name in trial.params and parameter.contains(trial.params[parameter.name])
        }


def _standing(trial: FrozenTrial, sign: float) -> Standing | None:
    """What a finished trial is ranked by; None where it says nothing about its point."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return 0, 0, sign * trial.value
    if trial.state != TrialState.PRUNED:
        return None
    step = trial.last_step
    if schema.failure_of(trial) is None and step is not None and math.isfinite(trial.intermediate_values[step]):
        return 1, -step, sign * trial.intermediate_values[step]
    return 2, 0, 0.0
