"""How loggers show a training: its name, the study that groups it, and its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from studies.config.budget import Budget


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """How loggers show one training. Its `name` is unique in the group `study`.

    `hyperparameters` are plain values. `counts` and `maximize` choose the rung of the final value.
    """

    study: str
    name: str
    kind: Literal["trial", "retraining"] = "trial"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    counts: Literal["last", "best"] = "last"
    maximize: bool = False

    @property
    def title(self) -> str:
        """Return a name that is unique among studies."""
        return f"{self.study}-{self.name}" if self.study else self.name


def tracked_retraining(config: Mapping[str, Any], *, budget: Budget, name: str) -> TrackedRun:
    """Return how loggers show a retraining of the configuration of a best.yaml, beside the trials of its study."""
    known = known_of_run(config.get("study"), config.get("trial"), config["training_seed"], budget)
    return TrackedRun(
        str(config.get("study") or ""),
        f"retrain-{name}",
        kind="retraining",
        hyperparameters={**known, **(config.get("point") or {})},
        maximize=config["objective"].get("direction") == "maximize",
    )


def known_of_run(study: Any, trial: Any, seed: int, budget: Budget) -> dict[str, Any]:
    """Return the hyperparameters of a training besides its point. What is None is left out."""
    budgeted = {"budget_unit": budget.unit, "budget_amount": budget.amount}
    known = {"study": study, "trial": trial, "training_seed": seed, **budgeted}
    return {key: value for key, value in known.items() if value is not None}
