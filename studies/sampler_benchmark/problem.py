"""What a sampler is benchmarked on: a space of points with known true values, and what a trial sees of a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from omegaconf import OmegaConf

from studies.config.parsing.space import parse_space
from studies.config.settings import Direction
from studies.config.space import Point, SearchSpace
from studies.errors import Problems

NEAR = 0.01  # within 1 % of the best


@dataclass(frozen=True, slots=True)
class Observation:
    """What one trial sees: the value at each rung, and the seconds of the whole training. A training that diverged has
    fewer rungs than the problem."""

    values: tuple[float, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Marks:
    """What regrets are measured by, in the value's own unit: the true value of the best point, the median of the true
    values of random points, and the regret up to which a point is within 1 % of the best."""

    best: float
    median: float
    near: float

    @property
    def unit(self) -> float:
        """The regret that counts as 1: that of the median random point."""
        return abs(self.median - self.best)


class BenchmarkProblem(Protocol):
    """A problem of the sampler benchmark. `search_space` is as in a study's config, without paths."""

    @property
    def direction(self) -> Direction:
        """Whether a larger or a smaller value is better."""

    @property
    def n_rungs(self) -> int:
        """How often a trial is told a value; 1 leaves a pruner nothing to do."""

    @property
    def search_space(self) -> Mapping[str, Mapping[str, Any]]:
        """The parameters of a point."""

    @property
    def marks(self) -> Marks:
        """What regrets are measured by."""

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        """What a trial at `point` sees; noise is drawn from `random`, or recorded with `replicate`."""

    def truth(self, point: Point) -> float:
        """The true value of `point`: without noise, or the mean over all that was recorded."""


def space_of(search_space: Mapping[str, Mapping[str, Any]]) -> SearchSpace:
    """The parameters that a problem's search space describes. Raises `BadInput` for one that makes no sense."""
    problems = Problems()
    config = OmegaConf.create({"model": dict.fromkeys(search_space)})
    space = parse_space(with_paths(search_space), config=config, problems=problems)
    problems.raise_if_any()
    return space


def with_paths(search_space: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same with a path for each parameter, as a study's config has it: `model.NAME`."""
    return {name: {"path": f"model.{name}", **entry} for name, entry in search_space.items()}
