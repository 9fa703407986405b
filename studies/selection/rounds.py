"""The rounds of a selection: each is a study of its own in the same storage, whose settings list its slots.

A round is named after the config, points and seeds that it rests on. So the same command on another machine joins the
same round. Where the search went on and has other candidates, other rounds begin, and unchanged ones are found again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from optuna.trial import FrozenTrial

from studies.config.parameter import Parameter
from studies.config.settings import POINTS, Named, RoundSettings, SelectSettings, StudySettings
from studies.config.space import SearchSpace
from studies.schema import Round, Stage
from studies.storage.identity import fingerprint, identity
from studies.text.wording import counted

SHORT = 6  # hexadecimal digits of a digest


@dataclass(frozen=True, slots=True)
class RoundCandidate:
    """A candidate in a round."""

    race: int
    index: int  # among the candidates of its race
    trial: FrozenTrial  # of the search, with the candidate's point


Entry = tuple[RoundCandidate, int]  # a training of a round: a candidate, and a replicate of its stage


def interleaved(candidates: Sequence[RoundCandidate], replicates: Iterable[int]) -> list[Entry]:
    """Return replicate after replicate, each beginning with another candidate, so that none always trains first."""
    n = len(candidates)
    return [(candidates[(replicate + i) % n], replicate) for replicate in replicates for i in range(n)]


def round_settings(
    settings: StudySettings, stage: Stage, entries: Sequence[Entry], *, number: int = 0
) -> StudySettings:
    """Return the settings of the study that trains `entries`, one a slot."""
    points = tuple(dict(candidate.trial.params) for candidate, _ in entries)
    replicates = tuple(replicate for _, replicate in entries)
    rests_on = json.dumps([fingerprint(identity(settings)), stage, points, replicates], sort_keys=True, default=str)
    label = f"{number or stage}-{hashlib.sha256(rests_on.encode()).hexdigest()[:SHORT]}"
    name, folder = f"{settings.study_name}.select-{label}", settings.output_dir / "select" / label
    recorded = Round(settings.study_name, stage, number, tuple(candidate.trial.number for candidate, _ in entries))
    is_last = stage == "estimate"
    return replace(
        settings.renamed(name, folder),
        n_trials=len(entries),
        replicates=1,
        stop_at=None,
        device_seconds=None,
        resume="continue",
        enqueue=(),
        sampler=Named(POINTS),
        pruner=Named("none"),
        analysis=replace(settings.analysis, name="none"),
        select=SelectSettings(),
        round=RoundSettings(recorded, points, replicates),
        objective=replace(settings.objective, test=is_last and settings.devices_per_trial == 1),
        checkpoint=replace(settings.checkpoint, keep_best=settings.checkpoint.keep_best if is_last else 0),
    )


def announcement(settings: StudySettings) -> str:
    """Return the highest cost of the selection, in words."""
    select, space, is_designed = settings.select, settings.space, settings.is_designed
    n_races = _n_races(select, space, is_designed=is_designed)
    crossed = " × ".join(parameter.name for parameter in scientific(space, select))
    each = f", for each of {counted(n_races, 'value', 'values')} of {crossed}" if crossed else ""
    beyond = ", beyond device_seconds" if settings.device_seconds is not None else ""
    return (
        f"select: {select.k} configurations × up to {select.seeds} seeds, then {select.estimate_seeds} fresh seeds of "
        f"the winner{each}: at most {most_trainings(select, space, is_designed=is_designed)} trainings{beyond}"
    )


def most_trainings(select: SelectSettings, space: SearchSpace, *, is_designed: bool) -> int:
    """Return how many trainings the selection takes at most. 0 where there is none."""
    if select.name == "none":
        return 0
    return _n_races(select, space, is_designed=is_designed) * (select.k * select.seeds + select.estimate_seeds)


def describe_round(settings: RoundSettings) -> str:
    """Return a round in words."""
    stage, number = settings.recorded.stage, settings.recorded.number
    n_points = len({json.dumps(point, sort_keys=True) for point in settings.points})
    n_seeds = len(set(settings.replicates))
    if stage == "estimate":
        winners = "the winner" if n_points == 1 else "the winners"
        again = f"on {n_seeds} fresh seeds" if n_seeds > 1 else "once more"  # seeds change nothing in it
        return f"select: {winners} {again}"
    points = counted(n_points, "configuration", "configurations")
    return f"select, round {number}: {points} on {counted(n_seeds, 'seed', 'seeds')}"


def scientific(space: SearchSpace, select: SelectSettings) -> list[Parameter]:
    """Return the parameters with a race for each of their values."""
    return [parameter for parameter in space if parameter.role == "scientific"] if select.per_value else []


def _n_races(select: SelectSettings, space: SearchSpace, *, is_designed: bool) -> int:
    return math.prod(len((p.levels or ()) if is_designed else p.spread(10**3)) for p in scientific(space, select))
