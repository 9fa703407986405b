"""`sampler=reinforce`: an Optuna sampler that learns a policy over the space by policy gradient with a baseline.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning" (1992), as Zoph
& Le, "Neural architecture search with reinforcement learning" (2017), brought it to the choice of configurations.

Context: any number of workers, retries and a resumed study must share one policy. Choice: only the trials are kept, and
the policy is rebuilt from them in the order of their numbers. A worker remembers the state up to the first unfinished
trial, which saves time and changes nothing. Cost: a trial that finishes late changes the policies after it, and a point
may have been drawn from another policy than the rebuilt one (see `studies.search.policy_state`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from studies import schema
from studies.config.parsing.limits import shown
from studies.config.parsing.section import is_number
from studies.config.space import SearchSpace
from studies.errors import Problems
from studies.search.policy import Rates
from studies.search.policy_state import IsOwn, PolicyState

NAME = "reinforce"
LIMITS: Mapping[str, tuple[float, float]] = {
    "learning_rate": (0.001, 1.0),
    "entropy": (0.0, 1.0),
    "baseline_decay": (0.0, 1.0),
}


class Memory:
    """The policy state of one worker, shared by the samplers that it begins anew."""

    def __init__(self) -> None:
        self.settled: PolicyState | None = None


class ReinforceSampler(BaseSampler):
    """A sampler that draws each active parameter of `space` from its policy.

    `learning_rate` is the step for an advantage of one standard deviation of ranks, in the policy's own spreads.
    `entropy` is the weight of the policies' entropy in a trial's reward. `baseline_decay` is that of the moving average
    of rewards. Draws depend on `seed` (None: a random one), the trial's number and the parameter's name. `is_own` tells
    whether this sampler drew a trial's point. Raises ValueError for numbers outside of `LIMITS`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        learning_rate: float = 0.2,
        entropy: float = 0.02,
        baseline_decay: float = 0.9,
        seed: int | None = None,
        memory: Memory | None = None,
        is_own: IsOwn | None = None,
    ) -> None:
        problems = Problems()
        options = {"learning_rate": learning_rate, "entropy": entropy, "baseline_decay": baseline_decay}
        check_options(options, problems)
        if problems.found:
            raise ValueError("; ".join(str(problem) for problem in problems.found))
        self._space = space
        self._rates = Rates(learning_rate=learning_rate, entropy=entropy)
        self._baseline_decay = baseline_decay
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._memory = memory or Memory()
        self._is_own = is_own or _is_own
        self._states: dict[int, PolicyState] = {}

    def policy_state(self, study: Study) -> PolicyState:
        """Return what all finished trials of `study` teach. Raises ValueError where it has several objectives."""
        if len(study.directions) != 1:
            raise ValueError(f"{NAME} searches for one objective, the study has {len(study.directions)}")
        sign = 1.0 if study.direction == StudyDirection.MINIMIZE else -1.0
        trials = study.get_trials(deepcopy=False)
        settled = self._memory.settled
        if settled is None or not settled.continues_in(trials, sign=sign):
            settled = PolicyState(self._space, rates=self._rates, baseline_decay=self._baseline_decay, sign=sign)
        open_from = settled.n_read
        while open_from < len(trials) and trials[open_from].state.is_finished():
            open_from += 1
        settled = settled.copy()
        settled.read(trials[settled.n_read : open_from], is_own=self._is_own)
        self._memory.settled = settled
        state = settled.copy()
        state.read(trials[open_from:], is_own=self._is_own)
        return state

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Learn from all finished trials."""
        self._states[trial.number] = self.policy_state(study)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: policies are independent, and only the trial knows which parameters are active."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw from the parameter's policy. Raises ValueError for a parameter that the space does not have."""
        if param_name not in self._space.names:
            raise ValueError(f"{param_name} is not in the search space: it has {', '.join(self._space.names)}")
        policy = self._states[trial.number].policies[param_name]
        return policy.draw(np.random.default_rng([self._seed, trial.number, *param_name.encode()]))

    def after_trial(self, study: Study, trial: FrozenTrial, state: object, values: object) -> None:
        """Forget the state of this trial."""
        self._states.pop(trial.number, None)


def check_options(options: Mapping[str, Any], problems: Problems) -> None:
    """Note numbers outside of `LIMITS`."""
    for option, (low, high) in LIMITS.items():
        value = options.get(option, low)
        if not (is_number(value) and low <= value <= high):
            problems.add(f"sampler.{option}", f"is {shown(value)}", f"give a number from {low:g} to {high:g}")


def _is_own(trial: FrozenTrial) -> bool:
    """Return whether the policy drew a trial's point. A trial without a recorded source counts as drawn by it."""
    return not schema.is_imported(trial) and bool(trial.user_attrs.get(schema.SOURCE, NAME) == NAME)
