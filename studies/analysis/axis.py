"""An axis of the analysis: a parameter on its search scale, with the measure under which its effects are averaged.

A share of variance means something under a measure only. These are the measures:
- A float is uniform on its scale, or log-uniform.
- The values of integers, steps and powers of two have equal weights. Log integers have the width of their cell on the
  log scale.
- The choices of a categorical have equal weights. Numbers among them keep their order.
- The levels of a complete grid have equal weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from studies.errors import BadInput, Problem, nearest

Kind = Literal["continuous", "discrete", "categorical"]
Scale = Literal["linear", "log10", "log2"]
Array = npt.NDArray[np.float64]

MAX_LEVELS = 64  # more values than these are as good as a continuum
MAX_DEGREE = 20  # of the orthonormal polynomials on an axis
N_NODES = 64  # Gauss-Legendre nodes of a continuous axis: exact for polynomials up to degree 127
ROUNDING = 1e-9  # of a parameter's range, by which a value may lie outside


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter's range in encoded units, from `low` to `high`. A continuous axis has no levels.

    levels: encoded and ascending, of a categorical the index of each choice
    weights: of the levels, with sum 1
    values: the levels as the study knows them
    """

    name: str
    kind: Kind
    scale: Scale
    low: float
    high: float
    levels: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether the axis has one value only, so that it can have no effect."""
        return self.high <= self.low

    def encode(self, value: Any) -> float:
        """Return a value of the study in encoded units."""
        if self.kind == "categorical":
            return float(self.values.index(value))
        return _scaled(float(value), self.scale)

    def decode(self, encoded: float) -> Any:
        """Return the study's value at an encoded position. Where there are levels, it is the nearest one."""
        if self.levels:
            return self.values[int(np.argmin(np.abs(np.array(self.levels) - encoded)))]
        match self.scale:
            case "linear":
                return encoded
            case "log10":
                return 10.0**encoded
            case "log2":
                return 2.0**encoded

    def unit(self, encoded: Array) -> Array:
        """Return encoded positions scaled to [0, 1]."""
        if self.is_single:
            return np.zeros_like(encoded)
        return np.asarray(np.clip((encoded - self.low) / (self.high - self.low), 0.0, 1.0))

    def at(self, unit: Array) -> Array:
        """Return positions in [0, 1] in encoded units: the inverse of `unit`, and exact at both ends."""
        return np.asarray(np.where(unit < 1, self.low + unit * (self.high - self.low), self.high))

    def value_at(self, unit: float) -> Any:
        """Return the study's value at a position in [0, 1]."""
        return self.decode(float(self.at(np.asarray(unit))))

    def nodes(self) -> tuple[Array, Array]:
        """Return positions in [0, 1] and weights (sum 1) that integrate over the axis's measure."""
        if self.levels:
            return self.unit(np.array(self.levels)), np.array(self.weights)
        nodes, weights = legendre.leggauss(N_NODES)
        return (nodes + 1) / 2, weights / 2

    def basis(self, unit: Array) -> Array:
        """Return zero-mean functions, orthonormal under the measure, at positions (n,) in [0, 1]: (n, M), M ≤ 20.

        They are polynomials by degree, or contrasts of a categorical's choices.
        """
        if not self.levels:
            scale = np.sqrt(2.0 * np.arange(MAX_DEGREE + 1) + 1)
            return np.asarray(legendre.legvander(2 * unit - 1, MAX_DEGREE) * scale)[:, 1:]
        nodes, _ = self.nodes()
        nearest = np.argmin(np.abs(unit[:, None] - nodes[None, :]), axis=1)
        return np.asarray(self._level_basis()[nearest])

    def degrees(self) -> tuple[int, ...]:
        """Return the degree of each basis function, 1 for every contrast of a categorical."""
        n = MAX_DEGREE if not self.levels else len(self.levels) - 1
        if self.kind == "categorical":
            return (1,) * n
        return tuple(range(1, min(n, MAX_DEGREE) + 1))

    def _level_basis(self) -> Array:
        nodes, weights = self.nodes()
        n = len(nodes) - 1 if self.kind == "categorical" else min(len(nodes) - 1, MAX_DEGREE)
        root = np.sqrt(weights)[:, None]
        powers = legendre.legvander(2 * nodes - 1, n)
        orthonormal, triangle = np.linalg.qr(powers * root)
        return np.asarray(orthonormal * np.sign(np.diag(triangle)) / root)[:, 1:]


def axes_of(
    trials: Sequence[FrozenTrial], params: Sequence[str] | None, powers: frozenset[str]
) -> tuple[tuple[Axis, ...], dict[str, str]]:
    """Return the axes of `trials`, of those in `params` if given, and why other parameters have none.

    `powers` are the parameters with powers of two. Raises `BadInput` for parameters that no trial has.
    """
    known = list(dict.fromkeys(name for trial in trials for name in trial.params))
    unknown = [name for name in params or () if name not in known]
    if unknown and trials:
        raise BadInput(
            [Problem(f"params.{name}", "is no parameter of the study", nearest(name, known)) for name in unknown]
        )
    axes, dropped = [], {}
    for name in known if params is None else [name for name in params if name in known]:
        axis, reason = _axis(name, [trial for trial in trials if name in trial.params], powers)
        if axis is None:
            dropped[name] = reason
        else:
            axes.append(axis)
    return tuple(axes), dropped


def is_inside(trial: FrozenTrial, axes: Sequence[Axis]) -> bool:
    """Return whether `trial` lies within its parameters' ranges. A queued point may lie outside."""
    return all(_has_inside(axis, trial) for axis in axes)


def encoded(axis: Axis, trial: FrozenTrial) -> float:
    """Return the position of `trial` on `axis`, NaN where the parameter was not active."""
    return axis.encode(trial.params[axis.name]) if axis.name in trial.params else math.nan


def _axis(name: str, trials: Sequence[FrozenTrial], powers: frozenset[str]) -> tuple[Axis | None, str]:
    """Return the axis of a parameter that `trials` have, or why there is none."""
    distributions = list(dict.fromkeys(trial.distributions[name] for trial in trials))
    axis = axis_of(name, distributions, is_power_of_two=name in powers)
    if axis is None:
        return None, "its trials had ranges of different kinds"
    if axis.is_single or len({trial.params[name] for trial in trials}) < 2:
        return None, "all trials had the same value" if len(trials) > 1 else "only one trial had it"
    return axis, ""


def _has_inside(axis: Axis, trial: FrozenTrial) -> bool:
    if axis.kind == "categorical" or axis.name not in trial.params:
        return True
    margin = ROUNDING * (axis.high - axis.low)
    return axis.low - margin <= encoded(axis, trial) <= axis.high + margin


def axis_of(name: str, distributions: Sequence[BaseDistribution], *, is_power_of_two: bool = False) -> Axis | None:
    """Return the axis of a parameter over all ranges of its trials, or None if these do not fit together."""
    first = distributions[0]
    if any(type(other) is not type(first) for other in distributions):
        return None
    if isinstance(first, CategoricalDistribution):
        choices = tuple(dict.fromkeys(choice for d in distributions for choice in d.choices))  # type: ignore[attr-defined]
        return _of_numbers(name, choices) or levelled(
            name, "categorical", "linear", [float(i) for i in range(len(choices))], choices
        )
    assert isinstance(first, FloatDistribution | IntDistribution)
    numeric = [d for d in distributions if isinstance(d, FloatDistribution | IntDistribution)]
    if any(d.log != first.log or d.step != first.step for d in numeric):
        return None
    low, high = min(d.low for d in numeric), max(d.high for d in numeric)
    if first.step and any(abs((d.low - low) / first.step - round((d.low - low) / first.step)) > 1e-8 for d in numeric):
        return None
    if is_power_of_two and isinstance(first, IntDistribution) and low >= 1:  # as the trials have it, too
        powers = [2**k for k in range(round(math.log2(low)), round(math.log2(high)) + 1)]
        return levelled(name, "discrete", "log2", [math.log2(power) for power in powers], powers)
    scale: Scale = "log10" if first.log else "linear"
    if isinstance(first, FloatDistribution) and first.step is None:
        return Axis(name, "continuous", scale, _scaled(low, scale), _scaled(high, scale))
    step = first.step or 1
    n_values = math.floor((high - low) / step + 1e-8) + 1
    if n_values > MAX_LEVELS:
        return Axis(name, "continuous", scale, _scaled(low - step / 2, scale), _scaled(high + step / 2, scale))
    values = [low + step * i for i in range(n_values)]
    edges = [_scaled(value - step / 2, scale) for value in (*values, high + step)]
    widths = [right - left for left, right in itertools.pairwise(edges)]
    return levelled(name, "discrete", scale, [_scaled(value, scale) for value in values], values, widths=widths)


def levelled(
    name: str,
    kind: Kind,
    scale: Scale,
    levels: Sequence[float],
    values: Sequence[Any],
    *,
    widths: Sequence[float] | None = None,
) -> Axis:
    """Return an axis of finitely many levels, with equal weights unless `widths` are given."""
    weights = [1.0] * len(levels) if widths is None else list(widths)
    total = sum(weights)
    return Axis(
        name, kind, scale, levels[0], levels[-1], tuple(levels), tuple(w / total for w in weights), tuple(values)
    )


def _of_numbers(name: str, choices: Sequence[Any]) -> Axis | None:
    """Return the ordered axis of a categorical with numbers as choices, such as batch sizes. None for any other.

    Powers of two are taken on their log scale, and so are numbers over two decades or more.
    """
    if len(choices) < 3 or any(isinstance(choice, bool) or not isinstance(choice, int | float) for choice in choices):
        return None
    if not all(math.isfinite(choice) for choice in choices):
        return None
    values = sorted(choices)
    if values[0] <= 0 or values[-1] < 100 * values[0]:
        scale: Scale = "linear"
    else:
        scale = "log10"
    if values[0] > 0 and all(math.log2(value).is_integer() for value in values):
        scale = "log2"
    return levelled(name, "discrete", scale, [_scaled(float(value), scale) for value in values], values)


def _scaled(value: float, scale: Scale) -> float:
    match scale:
        case "linear":
            return float(value)
        case "log10":
            return math.log10(value)
        case "log2":
            return math.log2(value)
