"""A problem of the sampler benchmark: a space of points with known true values, and what a trial sees of a point."""

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
    """What one trial sees."""

    values: tuple[float, ...]  # one for each rung; fewer where the training diverged
    seconds: float = 0.0  # of the whole training


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks on the scale of a problem's true values."""

    best: float  # the true value of the best point
    median: float  # of the true values of random points
    near: float  # the regret of a point within 1 % of the best, at most

    @property
    def unit(self) -> float:
        """The regret of the median random point, which counts as 1."""
        return abs(self.median - self.best)


class BenchmarkProblem(Protocol):
    """A problem of the sampler benchmark. `search_space` is as in a study's config, without paths."""

    @property
    def direction(self) -> Direction:
        """Whether a larger or a smaller value is better."""

    @property
    def n_rungs(self) -> int:
        """How many values a trial sees. A pruner has nothing to do with 1."""

    @property
    def search_space(self) -> Mapping[str, Mapping[str, Any]]:
        """The parameters of a point."""

    @property
    def marks(self) -> Marks:
        """What regrets are measured by."""

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        """Return what a trial at `point` sees. Noise is drawn from `random`, or recorded with `replicate`."""

    def truth(self, point: Point) -> float:
        """Return the true value of `point`: without noise, or the mean over all recorded seeds."""


def space_of(search_space: Mapping[str, Mapping[str, Any]]) -> SearchSpace:
    """Parse a problem's search space. Raises `BadInput`."""
    problems = Problems()
    config = OmegaConf.create({"model": dict.fromkeys(search_space)})
    space = parse_space(with_paths(search_space), config=config, problems=problems)
    problems.raise_if_any()
    return space


def with_paths(search_space: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add a path to each parameter, as a study's config has it: `model.NAME`."""
    return {name: {"path": f"model.{name}", **entry} for name, entry in search_space.items()}
