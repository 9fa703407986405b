"""What a closed-form surface of the trust benchmark is: a last value, a learning curve and a law of its noise.

A trial's noise is one draw for its whole training. So a trial with a lucky seed is ahead at every rung, and a pruner
that looks early is misled by slow learners.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.stats import beta
from trust_truth import Array, Columns, tensor

from studies.config.settings import Direction
from studies.config.space import Point
from studies.sampler_benchmark.problem import NEAR, Marks, Observation

N_RUNGS = 8
JITTER = 0.3  # how much the way still to go wavers, halfway through a training
CHANCE = 0.1  # the accuracy of a guess among ten classes
CEILING = 1.0
FLOOR = 0.05  # under the accuracy of any training
UNTRAINED = 2.3  # the loss of a guess among ten classes


class Surface(ABC):
    """A closed form. Columns hold values of its parameters, NaN where a conditional one is not active."""

    direction: ClassVar[Direction]
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]]
    n_rungs: ClassVar[int] = N_RUNGS

    @abstractmethod
    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""

    @abstractmethod
    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves: 0 evenly, 5 at once, below 0 late."""

    @abstractmethod
    def noisy(self, final: float, columns: Columns, random: np.random.Generator) -> float:
        """Draw the value of a training, with expectation `final`."""

    @property
    @abstractmethod
    def start(self) -> float:
        """The value of a network before its training."""

    @property
    def marks(self) -> Marks:
        """The marks over all nodes of the grid behind the true indices."""
        values = tensor(self.search_space, self.final).values
        best = float(values.max() if self.direction == "maximize" else values.min())
        median = float(np.median(values))
        return Marks(best, median, NEAR * abs(median - best))

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        """Return the curve of a training at `point`. Its noise is drawn, whatever the replicate."""
        columns = self._columns(point)
        last = self.noisy(self.truth(point), columns, random)
        done = progress(float(self.speed(columns)))
        left = (1 - done) * (1 + JITTER * done * random.standard_normal(N_RUNGS))
        values = last + (self.start - last) * np.clip(left, 0.0, 1.0)
        return Observation(tuple(values.tolist()))

    def truth(self, point: Point) -> float:
        """Return the value of `point` after the last rung, without noise."""
        return float(self.final(self._columns(point)))

    def _columns(self, point: Point) -> Columns:
        return {name: np.asarray(point.get(name, np.nan)) for name in self.search_space}


def progress(speed: float) -> Array:
    """Return the share of the way from the start to the last value at each rung: (rungs,), 1 at the last."""
    rungs = np.arange(1, N_RUNGS + 1) / N_RUNGS
    return rungs if abs(speed) < 1e-6 else np.expm1(-speed * rungs) / np.expm1(-speed)


class Accuracy(Surface, ABC):
    """A surface of accuracies. Their noise has a beta distribution: mean zero, and no accuracy beyond its range."""

    direction = "maximize"
    start = CHANCE
    concentration: ClassVar[float]  # the larger, the less noise

    def noisy(self, final: float, columns: Columns, random: np.random.Generator) -> float:
        """Draw an accuracy."""
        return float(FLOOR + (CEILING - FLOOR) * random.beta(*self._parameters(np.asarray(final))))

    def chance(self, final: Array, border: float) -> Array:
        """Return the chance of an accuracy of at least `border`, where `final` is expected."""
        return np.asarray(beta.sf((border - FLOOR) / (CEILING - FLOOR), *self._parameters(final)))

    def _parameters(self, final: Array) -> tuple[Array, Array]:
        share = (final - FLOOR) / (CEILING - FLOOR)
        return share * self.concentration, (1 - share) * self.concentration


class Loss(Surface, ABC):
    """A surface of losses."""

    direction = "minimize"
    start = UNTRAINED
