"""The policy state: what the policies of a space have learnt from a study's trials, read by number.

A trial earns the normal score of its rank among the trials before it, so neither the metric's unit nor a few wild
values matter. The baseline is a moving average of what the policies' own points earned (Zoph & Le 2017). Trials without
a value are ranked too: pruned ones come after completed ones, later rungs first, and diverged ones come last. A trial
that ended in an error or was killed says nothing about its point.

Off-policy points. Context: explored, enqueued and imported points are not drawn by the policy, and parallel workers
draw from a policy that has seen fewer trials. Choice: points of others count by how likely the policy is to draw them,
relative to the uniform policy and at most 1, the whole point together. Own points count in full, as if drawn from the
policy as it is rebuilt. Cost: late in a search, points of others teach next to nothing.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.space import Point, SearchSpace
from studies.search.policy import NORMAL, Policy, Rates, begin

IsOwn = Callable[[FrozenTrial], bool]
RankKey = tuple[int, int, float]  # sorts from best to worst


class PolicyState:
    """Policies by parameter, updated trial by trial. `sign` is 1 where a small value is good, else -1."""

    def __init__(self, space: SearchSpace, *, rates: Rates, baseline_decay: float, sign: float) -> None:
        self.policies: Mapping[str, Policy] = {parameter.name: begin(parameter) for parameter in space}
        self.n_read = 0
        self._space = space
        self._rates = rates
        self._baseline_decay = baseline_decay
        self._sign = sign
        self._rank_keys: list[RankKey] = []
        self._baseline = 0.0
        self._last: FrozenTrial | None = None

    def copy(self) -> PolicyState:
        """Return a copy that learns on its own."""
        other = copy.copy(self)
        other._rank_keys = list(self._rank_keys)  # all else is replaced, never changed
        return other

    def continues_in(self, trials: list[FrozenTrial], *, sign: float) -> bool:
        """Return whether this state was learnt from the first of `trials`, which are a study's by number."""
        if sign != self._sign or self.n_read > len(trials):
            return False
        return self.n_read == 0 or trials[self.n_read - 1] == self._last

    def read(self, trials: Iterable[FrozenTrial], *, is_own: IsOwn) -> None:
        """Learn from the study's next trials. Unfinished ones teach nothing yet."""
        for trial in trials:
            rank_key = _rank_key(trial, self._sign)
            if rank_key is not None:
                self._learn(self._active(trial), self._earned(rank_key), is_own=is_own(trial))
            self.n_read += 1
            self._last = trial

    def _earned(self, rank_key: RankKey) -> float:
        """Return the normal score of a rank, shared among ties. 0 is as good as the median so far."""
        before = bisect_left(self._rank_keys, rank_key) + bisect_right(self._rank_keys, rank_key)
        share_not_worse = (0.5 * before + 1.0) / (len(self._rank_keys) + 2.0)
        insort(self._rank_keys, rank_key)
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
        """Return the values of a trial that the space has too. Inactive parameters have none, and learn nothing."""
        return {
            parameter.name: trial.params[parameter.name]
            for parameter in self._space
            if parameter.name in trial.params and parameter.contains(trial.params[parameter.name])
        }


def _rank_key(trial: FrozenTrial, sign: float) -> RankKey | None:
    """Return the rank key of a finished trial. None where it says nothing about its point."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return 0, 0, sign * trial.value
    if trial.state != TrialState.PRUNED:
        return None
    step = trial.last_step
    if schema.failure_of(trial) is None and step is not None and math.isfinite(trial.intermediate_values[step]):
        return 1, -step, sign * trial.intermediate_values[step]
    return 2, 0, 0.0
