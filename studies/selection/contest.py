"""One race of a selection: its candidates, what their trainings gave, and what its winner is worth."""

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
from studies.analysis.racing import Race, cheapest_of_the_best, estimate_of, interim_analyses, run_race
from studies.analysis.same_runs import distinct, same_runs
from studies.config.parameter import Parameter, Value
from studies.config.settings import StudySettings
from studies.config.space import Point, SearchSpace, is_active
from studies.schema import bounds_of, failure_of, is_share


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that races: the `trial` of the search that has its point, and its `value` there."""

    trial: FrozenTrial
    value: float


@dataclass(frozen=True, slots=True)
class OnTestPart:
    """What a metric is on the test part; its interval covers new samples too where `n_samples` says how many."""

    estimate: Estimate
    n_samples: int | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """A race over all configurations, or over those of one value of the scientific parameters (`scientific`).

    `values` is (k, seeds), NaN where there is none; `costs` are those of a training of each candidate, as far as known;
    `failures` says of a candidate why a training gave no value; `seedless` are those that are the same training under
    different seeds, with which nothing can be compared. `race`, `winner` (a candidate), the `fresh` trainings,
    their `estimate` in the metric and their `tests` are there once the contest has come so far.
    """

    scientific: Point
    candidates: tuple[Candidate, ...]
    values: Array
    costs: tuple[tuple[float, ...], ...]
    failures: Mapping[int, str] = field(default_factory=dict)
    seedless: frozenset[int] = frozenset()
    race: Race | None = None
    winner: int | None = None
    fresh: tuple[FrozenTrial, ...] = ()
    estimate: Estimate | None = None
    tests: Mapping[str, OnTestPart] = field(default_factory=dict)

    @property
    def staying(self) -> tuple[int, ...]:
        """The candidates that have not left, best first."""
        return self.race.ties if self.race is not None else tuple(range(len(self.candidates)))

    def lacks(self, i: int, replicate: int) -> bool:
        """Whether candidate `i`, which stays, has no value for that seed."""
        return bool(np.isnan(self.values[i, replicate]))

    @property
    def champion(self) -> Candidate | None:
        """The winning candidate; None before there is one, and where all have failed."""
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
        """The mean cost of a training of candidate `i`, NaN where unknown."""
        return float(np.mean(self.costs[i])) if self.costs[i] else math.nan


def contests_of(settings: StudySettings, trials: Iterable[FrozenTrial]) -> list[Contest]:
    """The races that there are to be, each with the best `k` different points that completed; of a designed study, with
    its best cells. Pruned trials have no value to be chosen by."""
    maximize = settings.objective.direction == "maximize"
    whole = [trial for trial in trials if _is_whole(settings.space, trial.params)]
    scientific = [p for p in settings.space if p.role == "scientific"] if settings.select.per_value else []
    groups: dict[tuple[float, ...], dict[object, Candidate]] = defaultdict(dict)
    for choice in ranked(whole, maximize=maximize, by_point=settings.is_designed):
        params = choice.trial.params
        group = groups[tuple(_place(parameter, params) for parameter in scientific)]
        if len(group) < settings.select.k:
            group.setdefault(tuple(sorted(params.items())), Candidate(choice.trial, choice.value))
    contests = []
    for _, group in sorted(groups.items()):
        candidates = tuple(group.values())
        params = candidates[0].trial.params
        values = np.full((len(candidates), settings.select.seeds), np.nan)
        point = {p.name: params[p.name] for p in scientific if p.name in params}
        contests.append(Contest(point, candidates, values, ((),) * len(candidates)))
    return contests


def after_round(
    contest: Contest, results: Sequence[tuple[int, int, FrozenTrial]], settings: StudySettings, *, n_looks: int
) -> Contest:
    """The contest after `n_looks` looks: `results` are (candidate, replicate, training) of the last round."""
    values, costs, failures = contest.values.copy(), [list(known) for known in contest.costs], dict(contest.failures)
    for i, replicate, trial in results:
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            values[i, replicate] = trial.value
        else:
            failures.setdefault(i, failure_in_words(trial))
        cost = trial.user_attrs.get(settings.select.cost)
        costs[i] += [float(cost)] if isinstance(cost, int | float) else []
    analyses = interim_analyses(settings.select.seeds)
    maximize = settings.objective.direction == "maximize"
    own = {i: [trial for j, _, trial in results if j == i] for i, _, _ in results}
    seedless = contest.seedless.union(i for i, trials in own.items() if same_runs(trials))
    done = analyses[:n_looks]
    race = run_race(
        values, analyses=done, n_analyses=len(analyses), maximize=maximize, failed=failures, seedless=seedless
    )
    costs_of_each = tuple(map(tuple, costs))
    return replace(contest, values=values, costs=costs_of_each, failures=failures, race=race, seedless=seedless)


def decided(contest: Contest, settings: StudySettings) -> Contest:
    """The contest with its winner: by the rule, or the only candidate where there was no race."""
    if contest.race is None:
        return replace(contest, winner=0)
    if settings.select.rule == "best" or contest.seedless:  # no spread, no standard error
        return replace(contest, winner=contest.race.leader)
    costs = [contest.cost(i) for i in range(len(contest.candidates))]
    maximize = settings.objective.direction == "maximize"
    return replace(contest, winner=cheapest_of_the_best(contest.race, costs, maximize=maximize))


def estimated(contest: Contest, fresh: Sequence[FrozenTrial], *, metric: str) -> Contest:
    """The contest with what its winner is worth in `metric`: by trainings that decided nothing, and what they gave on
    the test part where they were tested."""
    if same_runs(fresh) and contest.winner is not None:
        contest = replace(contest, seedless=contest.seedless | {contest.winner})
    complete = [t for t in distinct(fresh) if t.state == TrialState.COMPLETE and t.value is not None]
    if not complete:
        return replace(contest, fresh=tuple(fresh))
    found = _estimate(metric, np.array([trial.value for trial in complete], dtype=float))
    return replace(contest, fresh=tuple(fresh), estimate=found, tests=_tests(complete))


def failure_in_words(trial: FrozenTrial) -> str:
    """Why a training gave no value."""
    message = str(trial.user_attrs.get(schema.FAILURE_MESSAGE, ""))
    told = str(failure_of(trial) or trial.state.name.lower())
    return f"{told}: {message}" if message else told


def _tests(complete: Sequence[FrozenTrial]) -> dict[str, OnTestPart]:
    """What the test part gave, by metric; nothing where not all were tested."""
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
    """The mean of a metric's `values`, its interval within the bounds that are known. One seed has none."""
    return estimate_of(values, n_samples=n_samples).within(*bounds_of(name, values))


def _n_samples(tests: Sequence[Mapping[str, float]]) -> int | None:
    """How many samples each of the tests was on; None where that is not recorded, or differs: no common sample then."""
    counts = {test.get("n") for test in tests}
    n = counts.pop()
    return int(n) or None if n is not None and not counts else None


def _place(parameter: Parameter, params: Mapping[str, Any]) -> float:
    """Where a point lies on a scientific parameter; first come the points for which it is not active."""
    if parameter.name not in params:
        return -math.inf
    value = params[parameter.name]
    return float(list(parameter.choices).index(value) if parameter.type == "categorical" else value)


def _is_whole(space: SearchSpace, params: Mapping[str, Any]) -> bool:
    """Whether `params` are a point of the space: each active parameter with a value of its own, and no other."""
    point: dict[str, Value] = {}
    for parameter in space:
        if is_active(parameter, point):
            if parameter.name not in params or not parameter.contains(params[parameter.name]):
                return False
            point[parameter.name] = params[parameter.name]
    return len(point) == len(params)
