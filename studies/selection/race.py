"""A race of a selection: its candidates, the values of their trainings, and the estimate of its winner."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.choice import ranked
from studies.analysis.estimate import Estimate
from studies.analysis.racing import Elimination, cheapest_of_the_best, estimate_of, interim_analyses, run_race
from studies.analysis.same_runs import distinct, same_runs
from studies.config.parameter import Parameter, Value
from studies.config.settings import SelectSettings
from studies.config.space import Point, SearchSpace, is_active
from studies.schema import bounds_of, failure_of, is_share
from studies.selection.rounds import scientific


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration in a race."""

    trial: FrozenTrial  # of the search, with the configuration's point
    value: float  # in the search


@dataclass(frozen=True, slots=True)
class OnTestPart:
    """A metric on the test part, over the fresh trainings of a winner."""

    estimate: Estimate
    n_samples: int | None = None  # with it, the interval also covers new samples


@dataclass(frozen=True, slots=True)
class Race:
    """A race over all configurations, or over those of one value of the scientific parameters.

    The last five fields are filled as the race goes on.
    """

    scientific: Point  # that value; empty for a race over all
    candidates: tuple[Candidate, ...]
    values: Array  # (k, seeds), NaN where there is none
    costs: tuple[tuple[float, ...], ...]  # by candidate: the known costs of its trainings
    failures: Mapping[int, str] = field(default_factory=dict)  # candidate → why a training gave no value
    seedless: frozenset[int] = frozenset()  # candidates that are the same training under all seeds: no test
    elimination: Elimination | None = None
    winner: int | None = None  # a candidate
    fresh: tuple[FrozenTrial, ...] = ()  # trainings of the winner on fresh seeds
    estimate: Estimate | None = None  # in the metric, of the fresh trainings
    tests: Mapping[str, OnTestPart] = field(default_factory=dict)

    @property
    def survivors(self) -> tuple[int, ...]:
        """The candidates that have not left, best first."""
        return self.elimination.survivors if self.elimination is not None else tuple(range(len(self.candidates)))

    def lacks(self, i: int, replicate: int) -> bool:
        """Return whether candidate `i` has no value for that seed."""
        return bool(np.isnan(self.values[i, replicate]))

    @property
    def champion(self) -> Candidate | None:
        """The winning candidate. None before the race is decided, and if all candidates have failed."""
        return None if self.winner is None else self.candidates[self.winner]

    @property
    def is_seedless(self) -> bool:
        """Whether the winner is the same training under each seed."""
        return self.winner is not None and self.winner in self.seedless

    @property
    def n_fresh(self) -> int:
        """How many of the fresh trainings gave a value."""
        return sum(trial.state == TrialState.COMPLETE for trial in self.fresh)

    def cost(self, i: int) -> float:
        """Return the mean cost of a training of candidate `i`, NaN if unknown."""
        return float(np.mean(self.costs[i])) if self.costs[i] else math.nan


def races_of(
    trials: Iterable[FrozenTrial], select: SelectSettings, space: SearchSpace, *, maximize: bool, is_designed: bool
) -> list[Race]:
    """Return the races before their first round, each with the best `k` different completed points.

    A design's points are its cells, ranked by their means. Pruned trials have no value to rank by.
    """
    whole = [trial for trial in trials if _is_whole(space, trial.params)]
    by_value = scientific(space, select)
    groups: dict[tuple[float, ...], dict[object, Candidate]] = defaultdict(dict)
    for choice in ranked(whole, maximize=maximize, by_point=is_designed):
        params = choice.trial.params
        group = groups[tuple(_place(parameter, params) for parameter in by_value)]
        if len(group) < select.k:
            group.setdefault(tuple(sorted(params.items())), Candidate(choice.trial, choice.value))
    races = []
    for _, group in sorted(groups.items()):
        candidates = tuple(group.values())
        params = candidates[0].trial.params
        values = np.full((len(candidates), select.seeds), np.nan)
        point = {p.name: params[p.name] for p in by_value if p.name in params}
        races.append(Race(point, candidates, values, ((),) * len(candidates)))
    return races


def after_round(
    race: Race,
    results: Sequence[tuple[int, int, FrozenTrial]],
    select: SelectSettings,
    *,
    n_analyses: int,
    maximize: bool,
) -> Race:
    """Return the race after `n_analyses` interim analyses. `results`: (candidate, replicate, training) of a round."""
    values, costs, failures = race.values.copy(), [list(known) for known in race.costs], dict(race.failures)
    for i, replicate, trial in results:
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            values[i, replicate] = trial.value
        else:
            failures.setdefault(i, failure_in_words(trial))
        cost = trial.user_attrs.get(select.cost)
        costs[i] += [float(cost)] if isinstance(cost, int | float) else []
    analyses = interim_analyses(select.seeds)
    own = {i: [trial for j, _, trial in results if j == i] for i, _, _ in results}
    seedless = race.seedless.union(i for i, trials in own.items() if same_runs(trials))
    done = analyses[:n_analyses]
    elimination = run_race(
        values, analyses=done, n_analyses=len(analyses), maximize=maximize, failed=failures, seedless=seedless
    )
    costs_of_each = tuple(map(tuple, costs))
    return replace(
        race, values=values, costs=costs_of_each, failures=failures, elimination=elimination, seedless=seedless
    )


def decided(race: Race, select: SelectSettings, *, maximize: bool) -> Race:
    """Return the race with its winner: by the rule, or the only candidate if there was no elimination."""
    if race.elimination is None:
        return replace(race, winner=0)
    if select.rule == "best" or race.seedless:  # no spread, no standard error
        return replace(race, winner=race.elimination.leader)
    costs = [race.cost(i) for i in range(len(race.candidates))]
    return replace(race, winner=cheapest_of_the_best(race.elimination, costs, maximize=maximize))


def estimated(race: Race, fresh: Sequence[FrozenTrial], *, metric: str) -> Race:
    """Return the race with the estimates of its winner, in `metric` and on the test part, from `fresh` trainings."""
    if same_runs(fresh) and race.winner is not None:
        race = replace(race, seedless=race.seedless | {race.winner})
    complete = [t for t in distinct(fresh) if t.state == TrialState.COMPLETE and t.value is not None]
    if not complete:
        return replace(race, fresh=tuple(fresh))
    found = _estimate(metric, np.array([trial.value for trial in complete], dtype=float))
    return replace(race, fresh=tuple(fresh), estimate=found, tests=_tests(complete))


def failure_in_words(trial: FrozenTrial) -> str:
    """Say why a training gave no value."""
    message = str(trial.user_attrs.get(schema.FAILURE_MESSAGE, ""))
    failure = str(failure_of(trial) or trial.state.name.lower())
    return f"{failure}: {message}" if message else failure


def _tests(complete: Sequence[FrozenTrial]) -> dict[str, OnTestPart]:
    """Return the results on the test part by metric. It is empty unless all trainings were tested."""
    recorded = [trial.user_attrs.get(schema.TEST) for trial in complete]
    known: list[dict[str, float]] = [test for test in recorded if isinstance(test, dict)]
    if len(known) < len(complete):
        return {}
    found = {}
    for name in known[0]:
        if name != "n" and all(name in test for test in known):
            values = np.array([test[name] for test in known], dtype=float)
            counts = is_share(name) and bool(((values >= 0) & (values <= 1)).all())
            n_samples = _n_samples(known) if counts else None
            found[name] = OnTestPart(_estimate(name, values, n_samples=n_samples), n_samples)
    return found


def _estimate(name: str, values: Array, *, n_samples: int | None = None) -> Estimate:
    """Return the mean of a metric's `values`, its interval cut at the metric's bounds. One seed has no interval."""
    return estimate_of(values, n_samples=n_samples).within(*bounds_of(name, values))


def _n_samples(tests: Sequence[Mapping[str, float]]) -> int | None:
    """Return the number of samples of each test. None if it differs or is not recorded: there is no common sample."""
    counts = {test.get("n") for test in tests}
    n = counts.pop()
    return int(n) or None if n is not None and not counts else None


def _place(parameter: Parameter, params: Mapping[str, Any]) -> float:
    """Return the place of a point on a scientific parameter. Points come first if the parameter is inactive in them."""
    if parameter.name not in params:
        return -math.inf
    value = params[parameter.name]
    return float(list(parameter.choices).index(value) if parameter.type == "categorical" else value)


def _is_whole(space: SearchSpace, params: Mapping[str, Any]) -> bool:
    """Return whether `params` are a point of the space: a valid value for each active parameter, and no other."""
    point: dict[str, Value] = {}
    for parameter in space:
        if is_active(parameter, point):
            if parameter.name not in params or not parameter.contains(params[parameter.name]):
                return False
            point[parameter.name] = params[parameter.name]
    return len(point) == len(params)
