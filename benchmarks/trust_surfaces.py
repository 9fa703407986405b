"""Surfaces shaped like real trainings, with known Sobol indices: what the analysis's intervals are measured on.

Five are closed forms (trust_training.py). The sixth is the recorded table of real trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import ClassVar

import numpy as np
from trust_training import CHANCE, Accuracy, Loss, Surface
from trust_truth import (
    UNEXPLAINED,
    Array,
    Columns,
    Indices,
    Names,
    Tensor,
    TrueLoss,
    tensor,
    true_effects,
    true_indices,
    true_losses,
    unconditional,
)

from studies.sampler_benchmark.problem import BenchmarkProblem
from studies.sampler_benchmark.table import RecordedTable

BATCH_SIZE = {"type": "power_of_two", "low": 16, "high": 512}
DEPTH = {"type": "int", "low": 1, "high": 6}
WIDTH = {"type": "power_of_two", "low": 32, "high": 512}
DROPOUT = {"type": "float", "low": 0.0, "high": 0.5}
LIKELY = 0.5  # the chance to train, from which a point lies in the region


class Cliff(Accuracy):
    """Beyond a learning rate that depends on batch size and depth, the accuracy falls to chance."""

    concentration = 24.0
    search_space: ClassVar = {
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "batch_size": BATCH_SIZE,
        "depth": DEPTH,
        "width": WIDTH,
        "dropout": DROPOUT,
        "crop": {"type": "categorical", "choices": ["none", "centre", "random"]},
    }

    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""
        below = self._below(columns)
        slow = 0.5 * -np.expm1(-(np.maximum(0.0, below - 0.5) ** 2) / 4.5)
        trained = 0.9 - slow - 0.04 * (9 - np.log2(columns["width"])) - 1.5 * (columns["dropout"] - 0.1) ** 2
        trained = trained - 0.04 * (columns["crop"] == "none")
        return np.asarray(CHANCE + (np.maximum(trained, CHANCE) - CHANCE) / (1 + np.exp(-below / 0.08)))

    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves."""
        return np.asarray(3 - 1.5 * np.clip(self._below(columns), 0.0, 3.0) - 6 * columns["dropout"])

    def _below(self, columns: Columns) -> Array:
        """Return how far the learning rate is below the cliff, in decades."""
        edge = -1.3 + 0.22 * (np.log2(columns["batch_size"]) - 6.5) - 0.24 * (columns["depth"] - 3.5)
        return np.asarray(edge - np.log10(columns["lr"]))


class Tails(Loss):
    """A valley. The noise has Student's t distribution with 3 degrees of freedom, and grows towards the valley's edge.

    It is cut on both sides alike where a loss would not be above 0, so its mean stays zero.
    """

    search_space: ClassVar = {
        "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
        "batch_size": BATCH_SIZE,
        "n_heads": {"type": "int", "low": 1, "high": 4},
        "dropout": DROPOUT,
        "label_smoothing": {"type": "float", "low": 0.0, "high": 0.2},
        "schedule": {"type": "categorical", "choices": ["constant", "cosine", "linear"]},
    }

    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""
        off = self._off(columns)
        loss = 0.35 + 0.3 * off**2 + 1.2 * (columns["dropout"] - 0.1) ** 2 * (3.5 - 0.8 * columns["n_heads"])
        return np.asarray(loss + 0.3 * (columns["schedule"] == "constant") * (off > 0) * off)

    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves."""
        return np.asarray(3 + 1.5 * np.clip(self._off(columns), -2.5, 1.0))

    def noisy(self, final: float, columns: Columns, random: np.random.Generator) -> float:
        """Draw a loss."""
        scale = 0.03 + 0.07 * float(self._off(columns)) ** 2
        return final + float(np.clip(scale * random.standard_t(3), -0.9 * final, 0.9 * final))

    def _off(self, columns: Columns) -> Array:
        """Return how far the learning rate is from its best value, in decades."""
        best = -3.4 + 0.25 * (np.log2(columns["batch_size"]) - 6.5)
        return np.asarray(np.log10(columns["lr"]) - best)


class FailingLevel(Accuracy):
    """One optimizer wants a hundred times the learning rate of the others. One activation dies in deep networks."""

    concentration = 22.0
    search_space: ClassVar = {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "adamw", "sgd"]},
        "activation": {"type": "categorical", "choices": ["relu", "gelu", "sigmoid"]},
        "depth": DEPTH,
        "width": WIDTH,
        "dropout": DROPOUT,
    }

    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""
        trains = np.exp(-(np.abs(self._off(columns) / 1.5) ** 2.5))
        alive = np.where(columns["activation"] == "sigmoid", 1 / (1 + np.exp((columns["depth"] - 3.5) / 0.3)), 1.0)
        top = 0.88 - 0.015 * (9 - np.log2(columns["width"])) + 0.01 * (columns["depth"] - 3.5)
        top = top + 0.02 * (columns["activation"] == "gelu")
        return np.asarray(CHANCE + (top - CHANCE) * trains * alive)

    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves."""
        return np.asarray(2 + 1.5 * np.clip(self._off(columns), -2.5, 1.0) - 5 * columns["dropout"])

    def _off(self, columns: Columns) -> Array:
        """Return how far the learning rate is from its best value, in decades."""
        return np.asarray(np.log10(columns["lr"]) - np.where(columns["optimizer"] == "sgd", -1.0, -3.0))


class Benign(Loss):
    """A smooth valley."""

    search_space: ClassVar = {
        "lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "batch_size": BATCH_SIZE,
        "depth": DEPTH,
        "dropout": DROPOUT,
        "momentum": {"type": "float", "low": 0.5, "high": 0.99},
        "norm": {"type": "categorical", "choices": ["batch", "layer", "none"]},
    }

    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""
        off = self._off(columns)
        capacity = 0.03 * (columns["depth"] - 4) ** 2
        return np.asarray(
            0.4
            + 0.45 * -np.expm1(-(off**2) / 1.5)
            + capacity
            + 2.0 * (columns["dropout"] - 0.1 - 0.04 * (columns["depth"] - 1)) ** 2
            + 0.08 * (columns["norm"] == "none")
        )

    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves."""
        return np.asarray(3 + 1.5 * np.clip(self._off(columns), -2.0, 1.0) - 4 * columns["dropout"])

    def noisy(self, final: float, columns: Columns, random: np.random.Generator) -> float:
        """Draw a loss."""
        return final + 0.06 * float(np.clip(random.standard_normal(), -6, 6))

    def _off(self, columns: Columns) -> Array:
        """Return how far the learning rate is from its best value, in decades."""
        best = -2.5 + 0.15 * (np.log2(columns["batch_size"]) - 6.5)
        return np.asarray(np.log10(columns["lr"]) - best)


class Conditional(Loss):
    """A valley whose momentum is a parameter of one optimizer only. A high momentum wants a lower learning rate."""

    search_space: ClassVar = {
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
        "batch_size": BATCH_SIZE,
        "depth": DEPTH,
        "dropout": DROPOUT,
    }

    def final(self, columns: Columns) -> Array:
        """Return the values after the last rung, without noise."""
        is_sgd = columns["optimizer"] == "sgd"
        off = self._off(columns)
        loss = 0.4 + 0.2 * np.where(off > 0, 1.3 * off, off) ** 2 / (1 + 0.08 * off**2)
        loss = loss + 0.4 * is_sgd * (self._momentum(columns) - 0.8) ** 2
        return np.asarray(loss + 0.03 * (columns["depth"] - 4) ** 2 + 2.0 * (columns["dropout"] - 0.1) ** 2)

    def speed(self, columns: Columns) -> Array:
        """Return how early a training improves."""
        return np.asarray(3 + 1.5 * np.clip(self._off(columns), -2.5, 1.0) - 4 * columns["dropout"])

    def noisy(self, final: float, columns: Columns, random: np.random.Generator) -> float:
        """Draw a loss."""
        return final * (1 + 0.15 * float(np.clip(random.standard_normal(), -5, 5)))

    def _off(self, columns: Columns) -> Array:
        """Return how far the learning rate is from its best value, in decades."""
        is_sgd = columns["optimizer"] == "sgd"
        best = np.where(is_sgd, -0.8 - 1.2 * self._momentum(columns), -2.7)
        return np.asarray(np.log10(columns["lr"]) - best - 0.12 * (np.log2(columns["batch_size"]) - 6.5))

    def _momentum(self, columns: Columns) -> Array:
        return np.where(np.isnan(columns["momentum"]), 0.0, columns["momentum"])


RECORDED = "recorded"
SURFACES: Mapping[str, type[Surface]] = {
    "cliff": Cliff,
    "tails": Tails,
    "failing": FailingLevel,
    "benign": Benign,
    "conditional": Conditional,
}
NAMES = (RECORDED, *SURFACES)


@cache
def problem_of(name: str) -> BenchmarkProblem:
    """Return a surface by its name."""
    return RecordedTable() if name == RECORDED else SURFACES[name]()


@dataclass(frozen=True, slots=True)
class TrueTraining:
    """The indices of the chance to train, and the Shapley effects where it is at least one half."""

    decides: Indices
    effects: Indices


@dataclass(frozen=True, slots=True)
class Truths:
    """What is true of a surface.

    losses: by a parameter at its middle, while the others are tuned
    training: from the border between two groups. None for a surface of losses, which has one group.
    """

    indices: Indices
    losses: Mapping[Names, TrueLoss] = field(default_factory=dict)
    training: Callable[[float | None], TrueTraining | None] = lambda _: None


@cache
def truths_of(name: str) -> Truths:
    """Return what is true of a surface by its name."""
    problem = problem_of(name)
    surface = tensor_of(problem)
    losses = true_losses(surface, maximize=problem.direction == "maximize")
    return Truths(true_indices(surface), losses, lambda border: _training(problem, surface, border))


def _training(problem: BenchmarkProblem, surface: Tensor, border: float | None) -> TrueTraining | None:
    if isinstance(problem, Accuracy) and border is not None:
        chances = problem.chance(surface.values, border)
    elif isinstance(problem, RecordedTable):
        last = problem.table.values[..., -1]
        trains = ~np.isnan(last) if border is None else np.nan_to_num(last, nan=-np.inf) >= border
        chances = tensor(problem.search_space, lambda columns: _cells(trains.mean(axis=-1), problem, columns)).values
    else:
        return None
    decides = unconditional(replace(surface, values=chances)).indices()
    del decides[UNEXPLAINED]
    return TrueTraining(decides, true_effects(surface, chances >= LIKELY))


def tensor_of(problem: BenchmarkProblem, *, resolution: float = 1.0) -> Tensor:
    """Return a surface without noise at all nodes of its parameters."""
    if isinstance(problem, RecordedTable):
        means = problem.table.means().squeeze()
        return tensor(problem.search_space, lambda columns: _cells(means, problem, columns))
    assert isinstance(problem, Surface)
    return tensor(problem.search_space, problem.final, resolution=resolution)


def _cells(means: Array, table: RecordedTable, columns: Columns) -> Array:
    """Return the means of cells. A level of choices is known by its name, any other one by its number."""
    levels = {axis.name: list(axis.levels) for axis in table.table.axes if not axis.ordered}
    places = [
        np.vectorize(levels[name].index)(column) if name in levels else column for name, column in columns.items()
    ]
    return np.asarray(means[tuple(places)])
