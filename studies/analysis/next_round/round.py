"""The next round: whether the best lies at a limit, where trials fail, whether they were enough, and the next space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.next_round.best_of_m import BestOfM, best_of_m
from studies.analysis.next_round.boundary import Place, places
from studies.analysis.next_round.infeasible import Region, infeasible
from studies.analysis.next_round.space import NextSpace, next_space
from studies.analysis.threads import one_thread
from studies.analysis.tuning.tolerance import Tolerance
from studies.config.parameter import Parameter
from studies.config.space import SearchSpace
from studies.records.eligible import is_feasible, is_finite
from studies.schema import Failure, failure_of

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis

INFEASIBLE = "infeasible"  # how a trial failed whose values violate a constraint


@dataclass(frozen=True, slots=True)
class NextRound:
    """What a study says about the next one.

    space: the study's own, without paths if they are not known
    best_of_m: None with too few trials, and for a grid
    tolerance: the difference in the metric that does not matter
    compared: the value by which trials are compared, as in `TrialsTable`
    n_infeasible: trials that violate a constraint
    """

    space: SearchSpace
    places: tuple[Place, ...]
    regions: tuple[Region, ...]
    best_of_m: BestOfM | None
    next: NextSpace
    tolerance: Tolerance
    compared: str = "final"
    n_infeasible: int = 0
    is_grid: bool = False

    @property
    def can_be_written(self) -> bool:
        """Whether the next space is known well enough to be run: with config paths."""
        return bool(self.next.space.parameters) and all(parameter.paths for parameter in self.space)


@one_thread
def next_round(
    analysis: Analysis,
    trials: Sequence[FrozenTrial],
    *,
    space: SearchSpace | None = None,
) -> NextRound:
    """Return the next round after the study of `analysis`, with finished `trials`.

    `space` is the study's. Without it, the trials' distributions tell. If trials are infeasible, no fitted function
    says where the best lies: its minimum may violate a constraint, too.
    """
    known = space or space_of_trials(trials)
    found = places(analysis.table, () if analysis.table.n_infeasible else analysis.tunability)
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    tried = [trial for trial in ended if trial.params]
    regions = infeasible(known, [trial.params for trial in tried], [_failure(trial) for trial in tried])
    return NextRound(
        space=known,
        places=found,
        regions=regions,
        best_of_m=best_of_m(analysis.table, ended, seed=analysis.seed),
        next=next_space(known, found, regions),
        tolerance=analysis.tolerance,
        compared=analysis.table.compared,
        n_infeasible=analysis.table.n_infeasible,
        is_grid=analysis.table.is_grid,
    )


def space_of_trials(trials: Sequence[FrozenTrial]) -> SearchSpace:
    """Return the parameters of `trials`, with their newest distributions and without paths or conditions.

    A parameter that was categorical in some trials only is left out: its values cannot be compared.
    """
    newest: dict[str, BaseDistribution] = {}
    kinds: dict[str, set[bool]] = defaultdict(set)
    for trial in trials:
        newest |= trial.distributions
        for name, distribution in trial.distributions.items():
            kinds[name].add(isinstance(distribution, CategoricalDistribution))
    return SearchSpace(tuple(_parameter(name, newest[name]) for name in newest if len(kinds[name]) == 1))


def _parameter(name: str, distribution: BaseDistribution) -> Parameter:
    if isinstance(distribution, CategoricalDistribution):
        return Parameter(name, (), "categorical", choices={choice: choice for choice in distribution.choices})
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    is_float, low, high = isinstance(distribution, FloatDistribution), float(distribution.low), float(distribution.high)
    step = None if (not is_float and distribution.step == 1) or distribution.step is None else float(distribution.step)
    return Parameter(name, (), "float" if is_float else "int", low=low, high=high, log=distribution.log, step=step)


def _failure(trial: FrozenTrial) -> str | None:
    """Return how a trial failed, None if it did not. An infinite value counts as diverged."""
    failure = failure_of(trial)
    if failure is not None:
        return str(failure)
    if not all(map(is_finite, trial.values or [])):
        return str(Failure.DIVERGED)
    return None if is_feasible(trial) else INFEASIBLE
