"""What a study is: one frozen `StudySettings`, made from the composed config by `studies.settings_reading`.

`template` stays an unresolved config: a point is written into it first and interpolations are resolved after, so that
a key that follows another one (`model.network.input_shape: ${datamodule.image_shape}`) still follows it in a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from studies.budget import Budget
from studies.space import Point, SearchSpace

Direction = Literal["maximize", "minimize"]
SamplerName = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"]
PrunerName = Literal["none", "median", "percentile", "asha", "hyperband", "patient", "threshold"]
LauncherName = Literal["local", "serial"]
AnalysisName = Literal["full", "none"]
ValuePolicy = Literal["auto", "final", "common_rung"]

FIXED_KEYS = ("model", "datamodule", "trainer", "callbacks", "loggers", "seed")  # the config of a trial
CONTEXT_KEYS = ("study_name", "output_dir", "objective", "budget")  # what the fixed config may refer to (${output_dir})
TEMPLATE_KEYS = (*FIXED_KEYS, *CONTEXT_KEYS)


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """What is optimised: a metric that the module logs, and which of its rung values counts."""

    metric: str
    direction: Direction
    value: Literal["last", "best"]
    tolerance: float  # in the metric's unit: a trial has converged once it stays this near to its final value


@dataclass(frozen=True, slots=True)
class Named:
    """A sampler, pruner or launcher: one word and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """What is to be concluded from the study's trials.

    `params` are the names to analyse, None: all. `value_policy`: which value of a trial counts; `auto` takes the final
    one, or the one at the last common rung where more than 10 % were pruned. `law`: pairs of numeric parameters
    (tuned, followed) whose ridge is asked for, None: learning rate × batch size where there are both. `source`: who
    proposed the trials of which the storage does not say it, None: unknown.
    """

    name: AnalysisName
    params: tuple[str, ...] | None
    value_policy: ValuePolicy
    law: tuple[tuple[str, str], ...] | None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Everything a study needs, read and checked."""

    study_name: str
    n_trials: int
    replicates: int
    seed: int
    timeout_s: float | None
    max_trial_s: float | None
    max_retries: int
    max_failures: int
    workers: int | None
    resume: Literal["continue", "fork"]
    objective: ObjectiveSettings
    budget: Budget
    space: SearchSpace
    enqueue: tuple[Point, ...]
    sampler: Named
    pruner: Named
    launcher: Named
    analysis: AnalysisSettings
    storage_url: str
    lease_s: float
    output_dir: Path
    template: DictConfig

    @property
    def is_designed(self) -> bool:
        """Whether the points are a fixed design (a grid) and not a search."""
        return self.sampler.name == "grid"
