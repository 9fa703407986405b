"""How loggers show a training: its name, the study that groups it, and its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from studies import schema
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.trial.half_batch import HalfBatch


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """How loggers show one training. Its `name` is unique in the group `study`.

    `hyperparameters` are plain values. `counts` and `maximize` choose the rung of the final value. A module ends its
    own training early by one of the exceptions `prunes`.
    """

    study: str
    name: str
    kind: Literal["trial", "retraining"] = "trial"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    counts: Literal["last", "best"] = "last"
    maximize: bool = False
    prunes: tuple[type[BaseException], ...] = ()

    @property
    def title(self) -> str:
        """A name that tells it from the trainings of other studies."""
        return f"{self.study}-{self.name}" if self.study else self.name


def tracked_trial(
    settings: StudySettings,
    number: int,
    point: Point,
    *,
    seed: int,
    half: HalfBatch | None = None,
    retry_of: int | None = None,
    prunes: tuple[type[BaseException], ...] = (),
) -> TrackedRun:
    """Return how loggers show trial `number`. A parameter of the space wins over another entry of its name."""
    told = _told(settings.study_name, number, seed, settings.budget)
    if retry_of is not None:
        told[schema.RETRY_OF] = retry_of
    if half is not None:
        told[schema.BATCH_HALVED] = half.batch_size
    return TrackedRun(
        settings.study_name,
        f"trial-{number}" + ("-half-batch" if half is not None else ""),
        hyperparameters={**told, **point},
        counts=settings.objective.value,
        maximize=settings.objective.direction == "maximize",
        prunes=prunes,
    )


def tracked_retraining(config: Mapping[str, Any], *, budget: Budget, name: str) -> TrackedRun:
    """Return how loggers show a retraining of the configuration of a best.yaml, beside the trials of its study."""
    told = _told(config.get("study"), config.get("trial"), config["training_seed"], budget)
    known = {key: value for key, value in told.items() if value is not None}
    return TrackedRun(
        str(config.get("study") or ""),
        f"retrain-{name}",
        kind="retraining",
        hyperparameters={**known, **(config.get("point") or {})},
        maximize=config["objective"].get("direction") == "maximize",
    )


def _told(study: Any, trial: Any, seed: int, budget: Budget) -> dict[str, Any]:
    budgeted = {"budget_unit": budget.unit, "budget_amount": budget.amount}
    return {"study": study, "trial": trial, "training_seed": seed, **budgeted}
