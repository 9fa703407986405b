"""The settings of a study: one frozen `StudySettings`, parsed from the composed config.

`template` stays an unresolved config. A point is written into it first, and interpolations are resolved after, so that
a key such as `model.network.input_shape: ${datamodule.image_shape}` still follows its source in a trial.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from omegaconf import DictConfig, OmegaConf

from studies.config.budget import Budget
from studies.config.space import Point, SearchSpace

if TYPE_CHECKING:
    from studies.schema import Round

Direction = Literal["maximize", "minimize"]
SamplerName = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes", "reinforce"]
PrunerName = Literal["none", "median", "percentile", "asha", "hyperband", "patient", "threshold"]
LauncherName = Literal["local", "serial", "slurm", "ray"]
AnalysisName = Literal["full", "none"]
HypothesisRule = Literal["none", "contrast", "independence", "one_fits_all"]
SelectName = Literal["none", "race"]
SelectRule = Literal["best", "one_standard_error"]
SelectCost = Literal["seconds", "steps", "peak_memory_mb", "n_parameters"]
ValuePolicy = Literal["auto", "final", "common_rung"]

POINTS = "points"  # the sampler of a selection's rounds, with listed points; no config has it
TRAINING_METRICS = ("seconds", "peak_memory_mb", "steps")  # figures of the training itself
TRAINING_LOSS = "training_loss"  # metric: the mean loss since the last rung, unless the module logs this name
USUAL_TOLERANCE = 0.01  # where a number is needed before any trial is known

TRAINING_SEED = "training_seed"  # config key of the trial's seed; outside of a trial, the study's
FIXED_KEYS = ("model", "datamodule", "trainer", "callbacks", "loggers", "seed", "vars")  # the config of a trial
# keys that the fixed config may refer to (${output_dir})
CONTEXT_KEYS = ("study_name", "output_dir", "mode", "objective", "budget", TRAINING_SEED)
TEMPLATE_KEYS = (*FIXED_KEYS, *CONTEXT_KEYS)


@dataclass(frozen=True, slots=True)
class SecondObjective:
    """The second metric: a figure of the training itself, or a metric that the module logs."""

    metric: str
    direction: Direction
    noise: float  # standard deviation between repetitions; relative for seconds and peak_memory_mb
    direction_is_meant: bool = False  # confirms an unusual direction

    @property
    def maximize(self) -> bool:
        """Whether it is maximised."""
        return self.direction == "maximize"

    @property
    def is_logged(self) -> bool:
        """Whether the module logs the metric."""
        return self.metric not in TRAINING_METRICS

    @property
    def is_relative(self) -> bool:
        """Whether the noise is a share of the value."""
        return self.metric in ("seconds", "peak_memory_mb")


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """The metric to optimise."""

    metric: str
    direction: Direction
    value: Literal["last", "best"]  # the rung that gives a trial's value
    tolerance: float | None  # in the metric's unit: a difference that does not matter; None: nobody gave one
    test: bool = False  # evaluates the test part after each complete trial; nothing is chosen by it
    second: SecondObjective | None = None
    noise: float | None = None  # standard deviation between training seeds, in the metric's unit; None: `small`
    direction_is_meant: bool = False  # confirms an unusual direction

    @property
    def small(self) -> float:
        """A difference that does not matter, before any trial tells: the tolerance, or .01 if nobody gave one.

        A trial has converged once it stays this near to its final value.
        """
        return USUAL_TOLERANCE if self.tolerance is None else self.tolerance

    @property
    def logged_second(self) -> str | None:
        """The second metric, if the module has to log it."""
        return self.second.metric if self.second is not None and self.second.is_logged else None

    @property
    def maximize(self) -> bool:
        """Whether the first objective is maximised."""
        return self.direction == "maximize"

    @property
    def then_maximize(self) -> bool | None:
        """Whether the second objective is maximised; None where there is none."""
        return None if self.second is None else self.second.maximize

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective."""
        return (self.direction,) if self.second is None else (self.direction, self.second.direction)


@dataclass(frozen=True, slots=True)
class Named:
    """A sampler, pruner or launcher by name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """The selection after the search."""

    name: SelectName = "none"
    k: int = 8  # candidates of a race
    seeds: int = 8  # fresh seeds of each candidate, the same for all
    estimate_seeds: int = 8  # further seeds of the winner
    rule: SelectRule = "best"
    cost: SelectCost = "seconds"  # attribute of a trial; the cheapest candidate has the least of it
    per_value: bool = False  # a race for each combination of the scientific parameters' values


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """What each slot of a selection's round trains. A surplus slot, which trains nothing, has the last entry."""

    recorded: Round
    points: tuple[Point, ...]
    replicates: tuple[int, ...]  # of the seeds of its stage

    def point_of(self, slot: int) -> Point:
        """Return the point of `slot`."""
        return dict(self.points[min(slot, len(self.points) - 1)])

    def replicate_of(self, slot: int) -> int:
        """Return the replicate of `slot`."""
        return self.replicates[min(slot, len(self.replicates) - 1)]


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """The analysis of the study's trials."""

    name: AnalysisName
    params: tuple[str, ...] | None  # names to analyse; None: all
    value_policy: ValuePolicy  # auto: the final value, predicted from their curves if over 10 % were pruned
    law: tuple[tuple[str, str], ...] | None  # pairs (tuned, followed); None: learning rate × batch size, if there
    source: str | None = None  # the sampler of trials without a recorded one; None: unknown
    margin: float | None = None  # in the metric's unit: values nearer to the best are equivalent; None: by its kind


@dataclass(frozen=True, slots=True)
class HypothesisSettings:
    """A claim and its decision rule."""

    claim: str
    # contrast: the parameter `of` gains `boundary` or more from its value `before` to `after`
    # independence: no pair of parameters explains `boundary` of the variance
    # one_fits_all: no value of `of` loses `boundary` with the best setting of another value
    # none: this part only prepares another
    rule: HypothesisRule
    of: str | None
    before: str | None
    after: str | None
    boundary: float  # in the metric's unit; a share of variance for independence
    decides: bool = True  # False: the finding only accompanies the verdict


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The storage of the study."""

    url: str | None = field(repr=False)  # may hold a password
    url_env: str | None  # the environment variable with the URL, if `url` is None
    lease_s: float  # without a sign of life for so long, a running trial is tried again
    patience_s: float  # an outage may last so long

    @property
    def address(self) -> str:
        """The URL itself. Raises KeyError if the environment variable is not set."""
        return self.url if self.url is not None else os.environ[self.url_env or ""]


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """The checkpoints of a trial, for a retry to resume from."""

    every_s: float | None  # saved at the first rung after so many seconds; None: only when the trial is asked to stop
    keep_best: int  # so many of the best trials keep their last checkpoint


@dataclass(frozen=True, slots=True)
class OutOfMemorySettings:
    """The retry after out-of-memory."""

    retry: Literal["none", "halve_batch"]  # once more at half the batch size, with twice as many batches accumulated
    batch_size: str  # the config key to halve


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """The limit of a check."""

    max_s: float | None = 60.0  # None: as long as it takes


@dataclass(frozen=True, slots=True)
class Link:
    """A value of the built data module for the config."""

    target: str  # config key
    source: str  # datamodule.ATTRIBUTE

    @property
    def attributes(self) -> list[str]:
        """The names of the attributes below the data module."""
        return self.source.split(".")[1:]


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Everything a study needs, parsed and checked."""

    study_name: str
    n_trials: int
    replicates: int
    seed: int
    timeout_s: float | None
    stop_at: float | None
    device_seconds: float | None
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
    hypothesis: HypothesisSettings | None = None
    select: SelectSettings = field(default_factory=SelectSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    links: tuple[Link, ...] = ()
    round: RoundSettings | None = None  # of a selection, which is a study of its own

    @property
    def is_designed(self) -> bool:
        """Whether the points are fixed, as in a grid or a selection, and not searched."""
        return self.sampler.name in ("grid", POINTS)

    @property
    def trainer(self) -> Mapping[Any, Any]:
        """The trainer's arguments in the config. There are none if they are no mapping."""
        given = self.template.get("trainer")
        return given if isinstance(given, DictConfig) else {}

    @property
    def devices_per_trial(self) -> int:
        """The number of processes that train one trial together, each on its own device."""
        given = self.launcher.options.get("devices_per_trial", 1)
        return given if isinstance(given, int) else 1  # anything else is reported by the launcher's check

    @property
    def isolates_trials(self) -> bool:
        """Whether each trial has its own process."""
        return bool(self.launcher.options.get("isolation", "worker") == "process")

    @property
    def stream(self) -> str:
        """The stream of the training seeds: the search, or the stage of a selection."""
        return self.round.recorded.stage if self.round is not None else "search"

    def renamed(self, name: str, output_dir: Path) -> Self:
        """Return the settings of the same study under another name, with another output folder."""
        template = OmegaConf.merge(self.template, {"study_name": name, "output_dir": str(output_dir)})
        assert isinstance(template, DictConfig)
        return replace(self, study_name=name, output_dir=output_dir, template=template)
