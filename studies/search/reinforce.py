"""`sampler=reinforce`: an Optuna sampler that learns a policy over the space by policy gradient with a baseline.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning" (1992), as Zoph
& Le, "Neural architecture search with reinforcement learning" (2017), brought it to the choice of configurations.

Context: any number of workers, a retry and a resumed study must share one policy. Choice: nothing is kept but the
trials, from which the policy is rebuilt in the order of their numbers; what a worker remembers of the trials up to the
first unfinished one saves time and changes nothing. Cost: a trial that finishes late changes the policies after it,
and a point is not known to have been drawn from the policy that is rebuilt (see `studies.search.lessons`).
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
from studies.search.lessons import IsOwn, Lessons
from studies.search.policy import Rates

NAME = "reinforce"
LIMITS: Mapping[str, tuple[float, float]] = {
    "learning_rate": (0.001, 1.0),
    "entropy": (0.0, 1.0),
    "baseline_decay": (0.0, 1.0),
}


class Memory:
    """What one worker has learnt so far, for samplers that are begun anew."""

    def __init__(self) -> None:
        self.settled: Lessons | None = None


class ReinforceSampler(BaseSampler):
    """Draws each active parameter of `space` from its policy.

    `learning_rate`: how far a policy steps for an advantage of one standard deviation of ranks, in its own spreads;
    `entropy`: weight of the policies' entropy in what is earned; `baseline_decay`: of the moving average of what was
    earned. `seed`: draws follow from it, the trial's number and the parameter's name; None: a random one. `is_own`
    tells whether a trial's point was drawn by this sampler. Raises ValueError for numbers outside of `LIMITS`.
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
        self._lessons: dict[int, Lessons] = {}

    def learnt(self, study: Study) -> Lessons:
        """What all finished trials of `study` teach. Raises ValueError where it has several objectives."""
        if len(study.directions) != 1:
            raise ValueError(f"{NAME} searches for one objective, the study has {len(study.directions)}")
        sign = 1.0 if study.direction == StudyDirection.MINIMIZE else -1.0
        trials = study.get_trials(deepcopy=False)
        settled = self._memory.settled
        if settled is None or not settled.continue_in(trials, sign=sign):
            settled = Lessons(self._space, rates=self._rates, baseline_decay=self._baseline_decay, sign=sign)
        open_from = settled.n_read
        while open_from < len(trials) and trials[open_from].state.is_finished():
            open_from += 1
        settled = settled.copy()
        settled.read(trials[settled.n_read : open_from], is_own=self._is_own)
        self._memory.settled = settled
        lessons = settled.copy()
        lessons.read(trials[open_from:], is_own=self._is_own)
        return lessons

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Learn what there is to learn."""
        self._lessons[trial.number] = self.learnt(study)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: policies are independent of each other, and only the trial knows which parameters are active."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One draw from the parameter's policy. Raises ValueError for a parameter that the space does not have."""
        if param_name not in self._space.names:
            raise ValueError(f"{param_name} is not in the search space: it has {', '.join(self._space.names)}")
        policy = self._lessons[trial.number].policies[param_name]
        return policy.draw(np.random.default_rng([self._seed, trial.number, *param_name.encode()]))

    def after_trial(self, study: Study, trial: FrozenTrial, state: object, values: object) -> None:
        """Forget what was learnt for this trial."""
        self._lessons.pop(trial.number, None)


def check_options(options: Mapping[str, Any], problems: Problems) -> None:
    """Note numbers outside of `LIMITS`."""
    for option, (low, high) in LIMITS.items():
        value = options.get(option, low)
        if not (is_number(value) and low <= value <= high):
            problems.add(f"sampler.{option}", f"is {shown(value)}", f"give a number from {low:g} to {high:g}")


def _is_own(trial: FrozenTrial) -> bool:
    """Whether the policy drew a trial's point, by what the trial says of its source, if anything."""
    return not schema.is_imported(trial) and bool(trial.user_attrs.get(schema.SOURCE, NAME) == NAME)
