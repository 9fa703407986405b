"""What a study is: one frozen `StudySettings`, made from the composed config by `studies.settings_reading`.

`template` stays an unresolved config: a point is written into it first and interpolations are resolved after, so that
a key that follows another one (`model.network.input_shape: ${datamodule.image_shape}`) still follows it in a trial.
"""

from __future__ import annotations

import os
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
LauncherName = Literal["local", "serial", "slurm", "ray"]
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
class StorageSettings:
    """Where the study is kept. `url` may hold a password, so it is not part of the text of this object.

    `url_env` names an environment variable that holds the URL where `url` is None. A running trial whose worker gave no
    sign of life for `lease_s` seconds is tried again; an outage of the storage is waited out for `patience_s` seconds.
    """

    url: str | None = field(repr=False)
    url_env: str | None
    lease_s: float
    patience_s: float

    @property
    def address(self) -> str:
        """The URL itself. Raises KeyError where the environment variable is not set."""
        return self.url if self.url is not None else os.environ[self.url_env or ""]


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """What a trial saves so that a retry can go on from there.

    `every_s`: at the first rung after so many seconds of training, None: only when the trial is asked to stop.
    `keep_best`: of how many of the best trials the last checkpoint stays when they are finished; all others go.
    """

    every_s: float | None
    keep_best: int


@dataclass(frozen=True, slots=True)
class OutOfMemorySettings:
    """What follows out-of-memory. `halve_batch`: the trial is tried once more at half the batch size, which lies at the
    config key `batch_size`, with twice as many batches accumulated."""

    retry: Literal["none", "halve_batch"]
    batch_size: str


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Everything a study needs, read and checked."""

    study_name: str
    n_trials: int
    replicates: int
    seed: int
    timeout_s: float | None
    stop_at: float | None
    max_trial_s: float | None
    max_retries: int
    max_failures: int
    workers: int | None
    resume: Literal["continue", "fork"]
    import_from: str | None
    objective: ObjectiveSettings
    budget: Budget
    space: SearchSpace
    enqueue: tuple[Point, ...]
    sampler: Named
    pruner: Named
    launcher: Named
    analysis: AnalysisSettings
    storage: StorageSettings
    checkpoint: CheckpointSettings
    out_of_memory: OutOfMemorySettings
    output_dir: Path
    template: DictConfig

    @property
    def is_designed(self) -> bool:
        """Whether the points are a fixed design (a grid) and not a search."""
        return self.sampler.name == "grid"

    @property
    def devices_per_trial(self) -> int:
        """How many processes, each with a device of its own, train one trial together."""
        return int(self.launcher.options.get("devices_per_trial", 1))
