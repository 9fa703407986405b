"""The steps of a selection: the best few race on common fresh seeds, and the winner is trained on others.

The storage alone decides the next step. So any number of commands run the same rounds, and an interrupted one is
resumed. The statistics are those of `studies.analysis.racing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from studies.analysis.racing import interim_analyses
from studies.config.settings import SelectSettings, StudySettings
from studies.selection.comparison import WinnerComparison, compared
from studies.selection.race import Candidate, Race, after_round, decided, estimated, races_of
from studies.selection.rounds import Entry, RoundCandidate, interleaved, round_settings
from studies.storage.checkpoints import StudyCheckpoints, checkpoints_of
from studies.storage.slots import Rules, rules_of

Read = Callable[[str], Sequence[FrozenTrial]]  # the trials of the study of that name; none if there is no such study


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection that has come to its end."""

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

    `trials` are those of the search, which must have come to its end.
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
