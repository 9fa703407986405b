"""Closed-form problems with a known best value, each with noise on request.

All are minimised and have one rung. A point within 1 % of the best has gone all but a hundredth of the way from the
median of random points to the best value. A share of the best value would say nothing if that is 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from studies.config.settings import Direction
from studies.config.space import Point
from studies.errors import BadInput, Problem
from studies.sampler_benchmark.problem import NEAR, Marks, Observation, space_of

N_RANDOM = 4000  # points behind the median


@dataclass(frozen=True, slots=True)
class Function(ABC):
    """A function to be minimised. Raises `BadInput` for a noise below 0."""

    noise: float = 0.0  # its standard deviation, in units of the regret of the median random point
    best: ClassVar[float]  # the least value
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]]  # the parameters of a point
    direction: ClassVar[Direction] = "minimize"
    n_rungs: ClassVar[int] = 1  # a value is there at once

    def __post_init__(self) -> None:
        if not self.noise >= 0:
            raise BadInput([Problem("problem.noise", f"is {self.noise!r}", "give a number of at least 0")])

    @property
    def marks(self) -> Marks:
        """The best value and the median over random points."""
        return _marks(type(self))

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        """Return the value with noise."""
        return Observation((self.truth(point) + self.noise * self.marks.unit * float(random.standard_normal()),))

    @abstractmethod
    def truth(self, point: Point) -> float:
        """Return the value without noise."""


@cache
def _marks(function: type[Function]) -> Marks:
    """Return the marks, measured once in a process and with the same random points for every seed of a benchmark."""
    drawn = function()
    space = space_of(drawn.search_space)
    unit = np.random.default_rng(0).random((N_RANDOM, len(space)))
    median = float(np.median([drawn.truth(space.from_unit(u.tolist())) for u in unit]))
    return Marks(function.best, median, NEAR * (median - function.best))


class Branin(Function):
    """Two dimensions, three equal minima (Branin 1972, in the form of Surjanovic and Bingham's library)."""

    best = 10 / (8 * math.pi)  # at (π, 2.275), where the square vanishes
    search_space: ClassVar = {
        "x1": {"type": "float", "low": -5.0, "high": 10.0},
        "x2": {"type": "float", "low": 0.0, "high": 15.0},
    }

    def truth(self, point: Point) -> float:
        """Return the value without noise."""
        x1, x2 = number(point, "x1"), number(point, "x2")
        square = (x2 - 5.1 / (4 * math.pi**2) * x1**2 + 5 / math.pi * x1 - 6) ** 2
        return square + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10


class Hartmann(Function):
    """Six dimensions, six local minima (Hartman 1973, as in Dixon and Szegő 1978)."""

    best = -3.322368011415515
    where: ClassVar = (0.20168952, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730054)
    search_space: ClassVar = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(1, 7)}

    _HEIGHTS: ClassVar = np.array([1.0, 1.2, 3.0, 3.2])
    _WIDTHS: ClassVar = np.array(
        [
            [10, 3, 17, 3.5, 1.7, 8],
            [0.05, 10, 17, 0.1, 8, 14],
            [3, 3.5, 1.7, 10, 17, 8],
            [17, 8, 0.05, 10, 0.1, 14],
        ]
    )
    _CENTRES: ClassVar = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )

    def truth(self, point: Point) -> float:
        """Return the value without noise."""
        x = np.array([number(point, f"x{i}") for i in range(1, 7)])
        return -float(self._HEIGHTS @ np.exp(-np.sum(self._WIDTHS * (x - self._CENTRES) ** 2, axis=1)))


class Ackley(Function):
    """Four dimensions on log scales, many shallow minima around one deep one (Ackley 1987), which lies at `where`."""

    best = 0.0
    where: ClassVar = (3e-3, 2e-2, 0.3, 1e-3)
    search_space: ClassVar = {f"rate{i}": {"type": "float", "low": 1e-4, "high": 1.0, "log": True} for i in range(1, 5)}

    def truth(self, point: Point) -> float:
        """Return the value without noise. Distances are in decades."""
        z = np.array([math.log10(number(point, f"rate{i}") / middle) for i, middle in enumerate(self.where, start=1)])
        smooth = 20 * math.exp(-0.2 * math.sqrt(float(np.mean(z**2))))
        return 20 + math.e - smooth - math.exp(float(np.mean(np.cos(2 * math.pi * z))))


class Conditional(Function):
    """A mixed space that looks like a training: optimizers with parameters of their own, and a tilted ridge.

    The best learning rate grows with the square root of the batch size, at a pace of its own for each optimizer. The
    least value is 0, for SGD with momentum 0.9, batch size 64, learning rate 0.05, depth 3 and width 128. Adam is
    always at least 0.1 worse.
    """

    best = 0.0
    search_space: ClassVar = {
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "rmsprop"]},
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
        "beta": {"type": "float", "low": 0.8, "high": 0.999, "when": {"optimizer": ["adam"]}},
        "batch_size": {"type": "power_of_two", "low": 8, "high": 512},
        "n_layers": {"type": "int", "low": 1, "high": 6},
        "width": {"type": "power_of_two", "low": 16, "high": 512},
    }

    def truth(self, point: Point) -> float:
        """Return the value without noise."""
        optimizer = str(point["optimizer"])
        batch = math.log2(number(point, "batch_size") / 64)
        centre = {"sgd": math.log10(0.05), "adam": -3.0, "rmsprop": -3.3}[optimizer]
        distance = math.log10(number(point, "lr")) - centre - 0.5 * math.log10(2) * batch
        value = {"sgd": 0.0, "adam": 0.1, "rmsprop": 0.2}[optimizer]
        value += 1 - math.exp(-(distance**2) / 2)  # flat far away, as a training that learns nothing
        value += 0.02 * batch**2 + 0.05 * (number(point, "n_layers") - 3) ** 2
        value += 0.03 * math.log2(number(point, "width") / 128) ** 2
        if optimizer == "sgd":
            value += 0.5 * (number(point, "momentum") - 0.9) ** 2
        if optimizer == "adam":
            value += 2.0 * (number(point, "beta") - 0.9) ** 2
        return value


def number(point: Point, name: str) -> float:
    """Return the value of a numeric parameter."""
    value = point[name]
    assert isinstance(value, int | float)
    return float(value)
