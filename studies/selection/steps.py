"""The selection after a search: the best few race on common fresh seeds, and the winner is trained on others.

What comes next follows from what the storage holds alone, so that any number of commands do the same rounds, and an
interrupted one goes on. The statistics are those of `studies.analysis.racing`.
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
from studies.selection.contest import Candidate, Contest, after_round, contests_of, decided, estimated
from studies.selection.rounds import Lane, interleaved, round_of
from studies.storage.slots import read_slots, rules_of

Read = Callable[[str], Sequence[FrozenTrial]]  # the trials of the study of that name; none where there is no such study


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection that has come to its end: its `contests` and their `comparison`; `searched` is the best of the
    search; `n_trainings` counts those of all rounds; `fresh_in` is the round of the winners' fresh trainings.
    """

    asked: SelectSettings
    contests: tuple[Contest, ...]
    comparison: WinnerComparison
    searched: Candidate
    n_trainings: int
    fresh_in: StudySettings | None = None

    @property
    def best(self) -> Contest | None:
        """The contest whose winner is the best and has an estimate; None where there is none."""
        return self.comparison.best


def next_step(settings: StudySettings, trials: Sequence[FrozenTrial], read: Read) -> StudySettings | Selection | None:
    """The round that has to be run next, or what the selection came to; None where the search has no candidate.

    `trials` are those of the search, which has come to its end.
    """
    contests = contests_of(settings, trials)
    if not contests:
        return None
    n_trainings, number = 0, 0
    for n_looks, look in enumerate(interim_analyses(settings.select.seeds), 1):
        while entries := _due(contests, n_looks, look):
            number += 1
            trainings = _trainings(round_of(settings, "race", entries, number=number), read)
            if trainings is None:
                return round_of(settings, "race", entries, number=number)
            for c in {lane.contest for lane, _ in entries}:
                results = [(e.candidate, r, t) for (e, r), t in zip(entries, trainings, strict=True) if e.contest == c]
                contests[c] = after_round(contests[c], results, settings, n_looks=n_looks)
            n_trainings += len(entries)
    contests = [decided(contest, settings) for contest in contests]
    lanes = [_lane(contests, c, i.winner) for c, i in enumerate(contests) if i.winner is not None]
    fresh = interleaved(lanes, range(settings.select.estimate_seeds))
    entries = [(lane, r) for lane, r in fresh if r == 0 or not contests[lane.contest].is_seedless]
    estimate = round_of(settings, "estimate", entries) if entries else None
    if estimate is not None:
        trainings = _trainings(estimate, read)
        if trainings is None:
            return estimate
        for lane in lanes:
            own = [t for (e, _), t in zip(entries, trainings, strict=True) if e.contest == lane.contest]
            contests[lane.contest] = estimated(contests[lane.contest], own, metric=settings.objective.metric)
    found = _concluded(settings, contests, n_trainings + len(entries))
    return replace(found, fresh_in=estimate) if estimate is not None else found


def reader(storage: BaseStorage) -> Read:
    """Reads the trials of the studies in `storage`."""

    def read(name: str) -> Sequence[FrozenTrial]:
        try:
            return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        except KeyError:
            return ()

    return read


def _due(contests: Sequence[Contest], n_looks: int, look: int) -> list[tuple[Lane, int]]:
    """The trainings that are still to be done before that look: of all who stay, on the seeds that they lack."""
    racing = [c for c, contest in enumerate(contests) if _races_on(contest, n_looks, n_contests=len(contests))]
    lanes = [_lane(contests, c, i) for c in racing for i in contests[c].staying]
    return [(e, r) for e, r in interleaved(lanes, range(look)) if contests[e.contest].lacks(e.candidate, r)]


def _races_on(contest: Contest, n_looks: int, *, n_contests: int) -> bool:
    """Whether a contest goes on to a look. To the first go all where several are to be compared."""
    if contest.seedless:  # further seeds would tell nothing
        return False
    return len(contest.staying) > 1 or (n_looks == 1 and n_contests > 1)


def _lane(contests: Sequence[Contest], c: int, i: int) -> Lane:
    return Lane(c, i, contests[c].candidates[i].trial)


def _trainings(settings: StudySettings, read: Read) -> list[FrozenTrial] | None:
    """The trials that decided the slots of a round; None where it has not come to its end."""
    trials = read(settings.study_name)
    if not rules_of(settings).are_all_finished(trials):
        return None
    return [slot.last for slot in read_slots(trials, settings.n_trials)]


def _concluded(settings: StudySettings, contests: Sequence[Contest], n_trainings: int) -> Selection:
    sign = 1.0 if settings.objective.direction == "maximize" else -1.0
    comparison = compared(contests, maximize=sign > 0)
    searched = min((contest.candidates[0] for contest in contests), key=lambda c: -sign * c.value)
    return Selection(settings.select, tuple(contests), comparison, searched, n_trainings)
