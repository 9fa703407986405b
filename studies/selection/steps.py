"""The steps of a selection: the best few race on common fresh seeds, and the winner is trained on others.

The storage alone decides the next step. So any number of commands run the same rounds, and an interrupted one is
resumed. The statistics are those of `studies.analysis.racing`.

Races end after different numbers of seeds, and some seeds are easier than others. So winners are compared over the race
seeds that all of them have. Each winner was the luckiest of its own race there, so these seeds choose the best but do
not prove it. The fresh seeds test it: they chose nothing and are the same for all. The tests are paired one-sided t
tests, with Bonferroni's correction for the number of other races. Cost: the choice ignores the later seeds of the
longer races.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.axis import Array
from studies.analysis.levels import SIGNIFICANCE
from studies.analysis.racing import interim_analyses, surely_positive
from studies.config.settings import SelectSettings, StudySettings
from studies.selection.race import Candidate, Race, after_round, decided, estimated, races_of
from studies.selection.rounds import Entry, RoundCandidate, interleaved, round_settings
from studies.storage.checkpoints import StudyCheckpoints, checkpoints_of
from studies.storage.slots import Rules, rules_of

Read = Callable[[str], Sequence[FrozenTrial]]  # the trials of the study of that name; none if there is no such study
ROUNDING = float(np.finfo(np.float32).eps)  # modules log in single precision


@dataclass(frozen=True, slots=True)
class WinnerComparison:
    """The races compared by their winners. Only winners with an estimate count."""

    best: Race | None  # with the best mean over the common race seeds
    n_seeds: int = 0  # race seeds that all winners have
    n_others: int = 0
    rivals: tuple[Race, ...] = ()  # others that the fresh seeds do not show to be worse
    equals: tuple[Race, ...] = ()  # others with the same mean as the best, but for rounding


@dataclass(frozen=True, slots=True)
class Selection:
    """A finished selection."""

    asked: SelectSettings
    races: tuple[Race, ...]
    comparison: WinnerComparison  # of the races
    searched: Candidate  # the best of the search
    n_trainings: int  # of all rounds
    fresh_in: StudyCheckpoints | None = None  # of the round of the winners' fresh trainings

    @property
    def best(self) -> Race | None:
        """The race of the best winner with an estimate. None if there is none."""
        return self.comparison.best


def next_step(settings: StudySettings, trials: Sequence[FrozenTrial], read: Read) -> StudySettings | Selection | None:
    """Return the round to run next, or the finished selection. None if the search has no candidate.

    `trials` are those of the search, which must be finished.
    """
    select, maximize = settings.select, settings.objective.maximize
    races = races_of(trials, select, settings.space, maximize=maximize, is_designed=settings.is_designed)
    if not races:
        return None
    n_trainings, number = 0, 0
    for n_analyses, n_seeds in enumerate(interim_analyses(select.seeds), 1):
        while entries := _due(races, n_seeds, is_first=n_analyses == 1):
            number += 1
            due = round_settings(settings, "race", entries, number=number)
            trainings = _trainings(rules_of(due), read(due.study_name))
            if trainings is None:
                return due
            done = list(zip(entries, trainings, strict=True))
            for i in {candidate.race for candidate, _ in entries}:
                own = [(candidate.index, r, trial) for (candidate, r), trial in done if candidate.race == i]
                races[i] = after_round(races[i], own, select, n_analyses=n_analyses, maximize=maximize)
            n_trainings += len(entries)
    races = [decided(race, select, maximize=maximize) for race in races]
    winners = [_candidate(races, i, race.winner) for i, race in enumerate(races) if race.winner is not None]
    fresh = interleaved(winners, range(select.estimate_seeds))
    entries = [(winner, r) for winner, r in fresh if r == 0 or not races[winner.race].is_seedless]
    estimate = round_settings(settings, "estimate", entries) if entries else None
    if estimate is not None:
        trainings = _trainings(rules_of(estimate), read(estimate.study_name))
        if trainings is None:
            return estimate
        for winner in winners:
            of_winner = [trial for (w, _), trial in zip(entries, trainings, strict=True) if w.race == winner.race]
            races[winner.race] = estimated(races[winner.race], of_winner, metric=settings.objective.metric)
    found = _concluded(races, select, maximize=maximize, n_trainings=n_trainings + len(entries))
    return replace(found, fresh_in=checkpoints_of(estimate)) if estimate is not None else found


def reader(storage: BaseStorage) -> Read:
    """Return a reader of the trials of studies in `storage`."""

    def read(name: str) -> Sequence[FrozenTrial]:
        try:
            return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        except KeyError:
            return ()

    return read


def _due(races: Sequence[Race], n_seeds: int, *, is_first: bool) -> list[Entry]:
    """Return the trainings before the interim analysis at `n_seeds`: the survivors, on the seeds that they lack."""
    racing = [i for i, race in enumerate(races) if _races_on(race, is_compared=is_first and len(races) > 1)]
    survivors = [_candidate(races, i, k) for i in racing for k in races[i].survivors]
    entries = interleaved(survivors, range(n_seeds))
    return [(candidate, r) for candidate, r in entries if races[candidate.race].lacks(candidate.index, r)]


def _races_on(race: Race, *, is_compared: bool) -> bool:
    """Return whether a race continues. All races that are compared with others train for the first analysis."""
    if race.seedless:  # further seeds would tell nothing
        return False
    return len(race.survivors) > 1 or is_compared


def _candidate(races: Sequence[Race], race: int, index: int) -> RoundCandidate:
    return RoundCandidate(race, index, races[race].candidates[index].trial)


def _trainings(rules: Rules, trials: Sequence[FrozenTrial]) -> list[FrozenTrial] | None:
    """Return the trials that decided the slots of a round. None while it has not ended."""
    ended = rules.ended(trials)
    return ended if len(ended) == rules.n_trials else None


def _concluded(races: Sequence[Race], select: SelectSettings, *, maximize: bool, n_trainings: int) -> Selection:
    sign = 1.0 if maximize else -1.0
    comparison = compared(races, maximize=maximize)
    searched = min((race.candidates[0] for race in races), key=lambda candidate: -sign * candidate.value)
    return Selection(select, tuple(races), comparison, searched, n_trainings)


def compared(races: Sequence[Race], *, maximize: bool) -> WinnerComparison:
    """Compare finished races. Those without an estimate of their winner are left out."""
    able = [race for race in races if race.estimate is not None]
    if len(able) < 2:
        return WinnerComparison(able[0] if able else None)
    sign = 1.0 if maximize else -1.0
    raced = sign * np.array([race.values[race.winner or 0] for race in able])
    common = ~np.isnan(raced).any(axis=0)
    means = raced[:, common].mean(axis=1)
    equals = np.flatnonzero(means >= means.max() - ROUNDING * abs(means.max()))
    best = int(equals[0])
    n_fresh = max(len(race.fresh) for race in able)
    fresh = sign * np.array([_fresh(race, n_fresh) for race in able])
    others = [i for i in range(len(able)) if i != best]
    differences = [gaps[~np.isnan(gaps)] for gaps in (fresh[best] - fresh[i] for i in others)]
    spreads = [float(gaps.std(ddof=1)) for gaps in differences if len(gaps) > 1]
    can_test = [not able[best].is_seedless and not able[i].is_seedless for i in others]
    tested = [able_to and len(gaps) > 1 for able_to, gaps in zip(can_test, differences, strict=True)]
    p_values = [surely_positive(gaps, spreads) if t else 1.0 for t, gaps in zip(tested, differences, strict=True)]
    shown = [len(others) * p_value <= SIGNIFICANCE for p_value in p_values]
    rivals = tuple(able[i] for i, is_shown in zip(others, shown, strict=True) if not is_shown)
    return WinnerComparison(
        able[best], int(common.sum()), len(others), rivals, tuple(able[i] for i in equals if i != best)
    )


def _fresh(race: Race, n: int) -> Array:
    """Return the values of the fresh trainings in the order of their `n` seeds, NaN for one without a value."""
    values = [trial.value if trial.state == TrialState.COMPLETE else None for trial in race.fresh]
    return np.array([*values, *[None] * (n - len(values))], dtype=float)
