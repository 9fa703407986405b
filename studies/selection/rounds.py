"""The rounds of a selection: each is a study of its own in the same storage, whose slots are listed beforehand.

A round is named for the config, points and seeds that it rests on. So the same command on another machine joins the
same round; and where the search went on and has other candidates by then, others begin, and those that stayed the
same are found.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from studies.config.parameter import Parameter
from studies.config.settings import POINTS, Named, SelectSettings, StudySettings
from studies.storage.identity import fingerprint, identity

Stage = Literal["race", "estimate"]
SHORT = 6  # hexadecimal digits of a digest


@dataclass(frozen=True, slots=True)
class Lane:
    """A candidate in a round: its contest and its place there, and the trial of the search that has its point."""

    contest: int
    candidate: int
    trial: FrozenTrial


def interleaved(lanes: Sequence[Lane], replicates: Iterable[int]) -> list[tuple[Lane, int]]:
    """Replicate after replicate, each beginning with another candidate: none is always the first on a warm machine."""
    turned = [(r, [*lanes[r % len(lanes) :], *lanes[: r % len(lanes)]]) for r in replicates] if lanes else []
    return [(lane, replicate) for replicate, order in turned for lane in order]


def round_of(
    settings: StudySettings, stage: Stage, entries: Sequence[tuple[Lane, int]], *, number: int = 0
) -> StudySettings:
    """The settings of the study that trains `entries`, one a slot: a point, and the replicate of its stage's seeds."""
    points = tuple(dict(lane.trial.params) for lane, _ in entries)
    replicates = tuple(replicate for _, replicate in entries)
    rests_on = json.dumps([fingerprint(identity(settings)), stage, points, replicates], sort_keys=True, default=str)
    label = f"{number or stage}-{hashlib.sha256(rests_on.encode()).hexdigest()[:SHORT]}"
    name, folder = f"{settings.study_name}.select-{label}", settings.output_dir / "select" / label
    told = {"of": settings.study_name, "stage": stage, "round": number, "trials": [e.trial.number for e, _ in entries]}
    template = OmegaConf.merge(settings.template, {"study_name": name, "output_dir": str(folder)})
    assert isinstance(template, DictConfig)
    is_last = stage == "estimate"
    return replace(
        settings,
        study_name=name,
        output_dir=folder,
        template=template,
        n_trials=len(entries),
        replicates=1,
        stop_at=None,
        device_seconds=None,
        resume="continue",
        enqueue=(),
        sampler=Named(POINTS, {"stage": stage, "points": points, "replicates": replicates, "round": told}),
        pruner=Named("none"),
        analysis=replace(settings.analysis, name="none"),
        select=SelectSettings(),
        objective=replace(settings.objective, test=is_last and settings.devices_per_trial == 1),
        checkpoint=replace(settings.checkpoint, keep_best=settings.checkpoint.keep_best if is_last else 0),
    )


def announcement(settings: StudySettings) -> str:
    """What the selection costs at most, in words."""
    select, scientific = settings.select, _scientific(settings)
    n_contests = math.prod(_n_values(parameter, settings) for parameter in scientific)
    crossed = " × ".join(parameter.name for parameter in scientific)
    each = f", for each of {n_contests} value{_s(n_contests)} of {crossed}" if scientific else ""
    beyond = ", beyond device_seconds" if settings.device_seconds is not None else ""
    return (
        f"select: {select.k} configurations × up to {select.seeds} seeds, then {select.estimate_seeds} fresh seeds of "
        f"the winner{each}: at most {most_trainings(settings)} trainings{beyond}"
    )


def most_trainings(settings: StudySettings) -> int:
    """How many trainings the selection takes at most; 0 where there is none."""
    select = settings.select
    if select.name == "none":
        return 0
    n_contests = math.prod(_n_values(parameter, settings) for parameter in _scientific(settings))
    return n_contests * (select.k * select.seeds + select.estimate_seeds)


def describe_round(settings: StudySettings) -> str:
    """A round in words."""
    options = settings.sampler.options
    n_points = len({json.dumps(point, sort_keys=True) for point in options["points"]})
    n_seeds = len(set(options["replicates"]))
    if options["stage"] == "estimate" and n_seeds == 1:  # seeds change nothing in it
        return f"select: the winner{_s(n_points)} once more"
    if options["stage"] == "estimate":
        return f"select: the winner{_s(n_points)} on {n_seeds} fresh seed{_s(n_seeds)}"
    points = f"{n_points} configuration{_s(n_points)}"
    return f"select, round {options['round']['round']}: {points} on {n_seeds} seed{_s(n_seeds)}"


def _s(n: int) -> str:
    """The end of a noun that is counted: the words of the report lie a floor above."""
    return "" if n == 1 else "s"


def _scientific(settings: StudySettings) -> list[Parameter]:
    """The parameters for each of whose values there is a contest."""
    return [p for p in settings.space if p.role == "scientific"] if settings.select.per_value else []


def _n_values(parameter: Parameter, settings: StudySettings) -> int:
    return len(parameter.levels or ()) if settings.is_designed else len(parameter.spread(10**3))
