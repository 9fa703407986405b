"""What a study is: one frozen `StudySettings`, made from the composed config by `studies.config.parsing.settings`.

`template` stays an unresolved config: a point is written into it first and interpolations are resolved after, so that
a key that follows another one (`model.network.input_shape: ${datamodule.image_shape}`) still follows it in a trial.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig

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

POINTS = "points"  # the sampler of a selection's rounds: their settings list the points; no word of a config
TRAINING_METRICS = ("seconds", "peak_memory_mb", "steps")  # what a training gives besides what its module logs
TRAINING_LOSS = "training_loss"  # as a metric: the mean loss since the last rung, unless the module logs that name

TRAINING_SEED = "training_seed"  # the config key that holds the seed of a trial, and the study's outside of one
FIXED_KEYS = ("model", "datamodule", "trainer", "callbacks", "loggers", "seed", "vars")  # the config of a trial
CONTEXT_KEYS = (
    "study_name",
    "output_dir",
    "mode",
    "objective",
    "budget",
    TRAINING_SEED,
)  # what the fixed config may refer to (${output_dir})
TEMPLATE_KEYS = (*FIXED_KEYS, *CONTEXT_KEYS)


@dataclass(frozen=True, slots=True)
class SecondObjective:
    """What is weighed against the first metric: a figure of the training itself, or a metric that the module logs.

    `direction_is_meant` confirms a direction that is unusual for a metric of this name.
    `noise`: the standard deviation that a repetition is taken to have where single runs are all there is; relative
    where the metric is `seconds` or `peak_memory_mb`, in the metric's own unit else.
    """

    metric: str
    direction: Direction
    noise: float
    direction_is_meant: bool = False

    @property
    def maximize(self) -> bool:
        """Whether it is maximised."""
        return self.direction == "maximize"

    @property
    def is_logged(self) -> bool:
        """Whether the module logs it."""
        return self.metric not in TRAINING_METRICS

    @property
    def is_relative(self) -> bool:
        """Whether its noise is a share of its value."""
        return self.metric in ("seconds", "peak_memory_mb")


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """What is optimised: a metric that the module logs, and which of its rung values counts; and what it is weighed
    against, if anything is. `direction_is_meant` confirms a direction that is unusual for a metric of this name."""

    metric: str
    direction: Direction
    value: Literal["last", "best"]
    tolerance: float  # in the metric's unit: a trial has converged once it stays this near to its final value
    test: bool = False  # each trial that came to its end is tested too; nothing is chosen by that
    second: SecondObjective | None = None
    noise: float | None = None  # standard deviation between training seeds, in the metric's unit; None: tolerance
    direction_is_meant: bool = False

    @property
    def logged_second(self) -> str | None:
        """The second metric, where the module has to log it."""
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
    """A sampler, pruner or launcher: one word and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SelectSettings:
    """What becomes of the best after the search.

    `race`: the best `k` train on up to `seeds` common fresh seeds each, then the winner by `rule` on `estimate_seeds`
    others. `cost`: the attribute of a trial that the cheapest has least of. `per_value`: a race for each combination
    of the scientific parameters' values.
    """

    name: SelectName = "none"
    k: int = 8
    seeds: int = 8
    estimate_seeds: int = 8
    rule: SelectRule = "best"
    cost: SelectCost = "seconds"
    per_value: bool = False


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
class HypothesisSettings:
    """What is believed, and the rule that decides it, in the metric's unit (a share of variance for `independence`).

    `contrast`: the parameter `of` gains at least `boundary` from its value `before` to `after`. `independence`: no pair
    explains `boundary` of the variance. `one_fits_all`: no value of `of` loses `boundary` with another one's best
    setting. `none`: this part only prepares another. What a part finds that does not `decide` is told
    beside the verdict.
    """

    claim: str
    rule: HypothesisRule
    of: str | None
    before: str | None
    after: str | None
    boundary: float
    decides: bool = True


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
class CheckSettings:
    """How long batches are tried before a study: at most `max_s` seconds, None: as long as it takes."""

    max_s: float | None = 60.0


@dataclass(frozen=True, slots=True)
class Link:
    """A value of the built data module, the attribute `source`, that is written into the config at `target`."""

    target: str
    source: str

    @property
    def attributes(self) -> list[str]:
        """The names to follow from the data module on."""
        return self.source.split(".")[1:]


@dataclass(frozen=True, slots=True)
class StudySettings:
    """Everything a study needs, read and checked."""

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
        """Whether the points are a fixed design (a grid, or those of a selection) and not a search."""
        return self.sampler.name in ("grid", POINTS)

    @property
    def trainer(self) -> Mapping[Any, Any]:
        """The trainer's arguments, as the config has them; none where it has anything but a mapping."""
        given = self.template.get("trainer")
        return given if isinstance(given, DictConfig) else {}

    @property
    def devices_per_trial(self) -> int:
        """How many processes, each with a device of its own, train one trial together."""
        given = self.launcher.options.get("devices_per_trial", 1)
        return given if isinstance(given, int) else 1  # anything else is told by the launcher's check

    @property
    def isolates_trials(self) -> bool:
        """Whether each trial has a process of its own."""
        return bool(self.launcher.options.get("isolation", "worker") == "process")
