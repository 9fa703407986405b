"""Functions whose Sobol indices are known, and trials drawn from them: what the analysis is measured against.

Indices are those of the noise-free function under its parameters' measure: in closed form where there is one, else by
Gauss-Legendre quadrature on each smooth piece. `noise` is its standard deviation as a fraction of the function's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Axis, levelled
from studies.analysis.table import TrialsTable

Array = npt.NDArray[np.float64]
N_NODES = 24  # on each half of an axis: the kinks of these functions lie at its middle


@dataclass(frozen=True)
class Known:
    """A function of positions (n, d) in [0, 1] on `axes`, its sd and its indices, by parameter names."""

    axes: tuple[Axis, ...]
    function: Callable[[Array], Array]
    sd: float
    indices: Mapping[tuple[str, ...], float] = field(default_factory=dict)

    def table(self, n: int, *, noise: float, seed: int) -> TrialsTable:
        """`n` random trials, marked as such."""
        rng = np.random.default_rng([seed, n, round(100 * noise)])
        unit = np.column_stack([_random(axis, n, rng) for axis in self.axes])
        return self.table_at(unit, noise=noise, rng=rng)

    def table_at(self, unit: Array, *, noise: float, rng: np.random.Generator, source: str = "random") -> TrialsTable:
        """Trials at given positions."""
        y = self.function(unit) + noise * self.sd * rng.standard_normal(len(unit))
        return table(self.axes, unit, y, source=source)


def table(
    axes: Sequence[Axis], unit: Array, y: Array, *, source: str | None = "random", n_diverged: int = 0
) -> TrialsTable:
    """Return a table of trials at `unit` with values `y`, lower is better."""
    n = len(y)
    x = np.column_stack([axis.low + unit[:, i] * (axis.high - axis.low) for i, axis in enumerate(axes)])
    return TrialsTable(
        axes=tuple(axes),
        x=x,
        y=y,
        maximize=False,
        numbers=np.arange(n),
        sources=(source,) * n,
        replicates=(None,) * n,
        samples=(None,) * n,
        n_finished=n + n_diverged,
        n_failed=n_diverged,
        n_diverged=n_diverged,
    )


def uniform(d: int) -> tuple[Axis, ...]:
    """Axes x1 … xd on [0, 1]."""
    return tuple(Axis(f"x{i + 1}", "continuous", "linear", 0.0, 1.0) for i in range(d))


def log_axis(name: str, low: float, high: float) -> Axis:
    """Return a log-uniform axis."""
    return Axis(name, "continuous", "log10", math.log10(low), math.log10(high))


def powers_axis(name: str, low: int, high: int) -> Axis:
    """Return an axis of powers of two."""
    exponents = range(round(math.log2(low)), round(math.log2(high)) + 1)
    return levelled(name, "discrete", "log2", [float(e) for e in exponents], [2**e for e in exponents])


def known(axes: tuple[Axis, ...], function: Callable[[Array], Array]) -> Known:
    """Return a function with its indices by quadrature: up to three parameters, kinks at an axis's middle only."""
    nodes, weights = zip(*(_nodes(axis) for axis in axes), strict=True)
    d = len(axes)
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
    values = function(grid.reshape(-1, d)).reshape(grid.shape[:-1])

    def mean_over(array: Array, kept: tuple[int, ...]) -> Array:
        for i in reversed(range(d)):
            if i not in kept:
                array = np.tensordot(array, weights[i], axes=([i], [0]))
        return array

    mean = float(mean_over(values, ()))
    variance = float(mean_over((values - mean) ** 2, ()))
    mains = {i: mean_over(values, (i,)) - mean for i in range(d)}
    indices = {(axes[i].name,): float(mains[i] ** 2 @ weights[i]) / variance for i in range(d)}
    for i, j in itertools.combinations(range(d), 2):
        pair = mean_over(values, (i, j)) - mean - mains[i][:, None] - mains[j][None, :]
        indices[axes[i].name, axes[j].name] = float(weights[i] @ pair**2 @ weights[j]) / variance
    return Known(axes, function, math.sqrt(variance), indices)


def ishigami(a: float = 7.0, b: float = 0.1) -> Known:
    """Ishigami and Homma (1990): S1 = .314, S2 = .442, S13 = .244."""

    def function(u: Array) -> Array:
        x = np.pi * (2 * u - 1)
        return np.asarray(np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0]))

    first, second = (1 + b * np.pi**4 / 5) ** 2 / 2, a**2 / 8
    pair = b**2 * np.pi**8 * (1 / 18 - 1 / 50)
    variance = first + second + pair
    shares = {("x1",): first, ("x2",): second, ("x3",): 0.0, ("x1", "x2"): 0.0, ("x1", "x3"): pair, ("x2", "x3"): 0.0}
    return Known(uniform(3), function, math.sqrt(variance), {k: v / variance for k, v in shares.items()})


def g_function(a: Sequence[float] = (0.0, 0.5, 3.0, 9.0)) -> Known:
    """Sobol's g-function: a product of |4u − 2|, so that pairs and triples are products of the mains."""
    first = {i: 1 / 3 / (1 + ai) ** 2 for i, ai in enumerate(a)}
    variance = math.prod(1 + v for v in first.values()) - 1
    axes = uniform(len(a))
    indices = {(axes[i].name,): v / variance for i, v in first.items()}
    for i, j in itertools.combinations(first, 2):
        indices[axes[i].name, axes[j].name] = first[i] * first[j] / variance

    def function(u: Array) -> Array:
        return np.asarray(np.prod((np.abs(4 * u - 2) + np.array(a)) / (1 + np.array(a)), axis=1))

    return Known(axes, function, math.sqrt(variance), indices)


def friedman() -> Known:
    """Friedman (1991), with the sixth of six inputs doing nothing."""
    pair = known(uniform(2), lambda u: 10 * np.sin(np.pi * u[:, 0] * u[:, 1]))
    shares = {names: index * pair.sd**2 for names, index in pair.indices.items()}
    shares |= {("x3",): 400 / 180, ("x4",): 100 / 12, ("x5",): 25 / 12, ("x6",): 0.0}
    variance = sum(shares.values())
    axes = uniform(6)
    for names in itertools.combinations([axis.name for axis in axes], 2):
        shares.setdefault(names, 0.0)

    def function(u: Array) -> Array:
        wave = 10 * np.sin(np.pi * u[:, 0] * u[:, 1])
        return np.asarray(wave + 20 * (u[:, 2] - 0.5) ** 2 + 10 * u[:, 3] + 5 * u[:, 4])

    return Known(axes, function, math.sqrt(variance), {k: v / variance for k, v in shares.items()})


def product_of_two() -> Known:
    """x1·x2."""
    return known(uniform(2), lambda u: u[:, 0] * u[:, 1])


def centred_product() -> Known:
    """(x1 − ½)(x2 − ½) + x3: a pair without main effects of its own."""
    return known(uniform(3), lambda u: (u[:, 0] - 0.5) * (u[:, 1] - 0.5) + u[:, 2])


def lr_batch_ridge(alpha: float = 0.7) -> Known:
    """Return a valley in (log lr, log B) that saturates away from the ridge, as losses do."""
    axes = (log_axis("lr", 1e-4, 1e-1), powers_axis("batch_size", 16, 512))

    def function(u: Array) -> Array:
        log_lr = axes[0].low + u[:, 0] * (axes[0].high - axes[0].low)
        log_b = (axes[1].low + u[:, 1] * (axes[1].high - axes[1].low)) * math.log10(2)
        return np.asarray(1 - np.exp(-((log_lr + 3.9 - alpha * log_b) ** 2) / 2 / 0.6**2))

    return known(axes, function)


def additive() -> Known:
    """Four parameters that do not interact: a wave, a parabola, a line and a kink."""

    def function(u: Array) -> Array:
        wave, bowl = np.sin(2 * np.pi * u[:, 0]), 4 * (u[:, 1] - 0.4) ** 2
        return np.asarray(wave + bowl + 1.5 * u[:, 2] + 2 * np.abs(u[:, 3] - 0.5))

    parts = [known(uniform(1), part) for part in _additive_parts()]
    variance = sum(part.sd**2 for part in parts)
    axes = uniform(4)
    indices: dict[tuple[str, ...], float] = {
        (axis.name,): part.sd**2 / variance for axis, part in zip(axes, parts, strict=True)
    }
    indices |= dict.fromkeys(itertools.combinations([axis.name for axis in axes], 2), 0.0)
    return Known(axes, function, math.sqrt(variance), indices)


def three_way() -> Known:
    """(x1 − ½)(x2 − ½)(x3 − ½): nothing of it is in mains or pairs."""
    names = [axis.name for axis in uniform(3)]
    indices = {k: 0.0 for n in (1, 2) for k in itertools.combinations(names, n)}
    return Known(uniform(3), lambda u: np.prod(u - 0.5, axis=1), math.sqrt(1 / 12**3), indices)


def log_parameter() -> Known:
    """max(0, −3 − log10 lr) + u/2 with lr log-uniform in [1e-6, 1e-1]: S_lr = .979, which a linear scale gets wrong."""
    axes = (log_axis("lr", 1e-6, 1e-1), Axis("u", "continuous", "linear", 0.0, 1.0))

    def function(u: Array) -> Array:
        return np.asarray(np.maximum(0.0, -3 - (-6 + 5 * u[:, 0])) + 0.5 * u[:, 1])

    # h = max(0, z) with z uniform in [−2, 3]: E h = 9/10, E h² = 27/15
    first, second = 27 / 15 - 0.9**2, 0.25 / 12
    indices = {("lr",): first / (first + second), ("u",): second / (first + second), ("lr", "u"): 0.0}
    return Known(axes, function, math.sqrt(first + second), indices)


def categorical() -> Known:
    """Return an optimizer of three kinds × a continuous parameter: levels shift the curve and bend it."""
    axes = (levelled("optimizer", "categorical", "linear", [0.0, 1.0, 2.0], ["sgd", "adam", "lion"]), *uniform(1))
    shift, slope = np.array([0.0, 0.6, 1.0]), np.array([1.0, -0.5, 0.3])

    def function(u: Array) -> Array:
        level = np.round(2 * u[:, 0]).astype(int)
        return np.asarray(shift[level] + slope[level] * np.sin(np.pi * u[:, 1]) + (u[:, 1] - 0.3) ** 2)

    return known(axes, function)


def integer_grid() -> Known:
    """Two integer parameters on grids of 5 and 8 values, and a continuous one."""
    axes = (
        levelled("depth", "discrete", "linear", [1.0, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        levelled("width", "discrete", "linear", [32.0 * k for k in range(1, 9)], [32 * k for k in range(1, 9)]),
        *uniform(1),
    )

    def function(u: Array) -> Array:
        return np.asarray((u[:, 0] - 0.4) ** 2 * 3 + np.sqrt(u[:, 1]) * (1 + u[:, 0]) + np.cos(3 * u[:, 2]))

    return known(axes, function)


def _additive_parts() -> list[Callable[[Array], Array]]:
    return [
        lambda u: np.sin(2 * np.pi * u[:, 0]),
        lambda u: 4 * (u[:, 0] - 0.4) ** 2,
        lambda u: 1.5 * u[:, 0],
        lambda u: 2 * np.abs(u[:, 0] - 0.5),
    ]


def _nodes(axis: Axis) -> tuple[Array, Array]:
    if axis.levels:
        return axis.nodes()
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    halves = (nodes + 1) / 4
    return np.concatenate([halves, halves + 0.5]), np.concatenate([weights, weights]) / 4


def _random(axis: Axis, n: int, rng: np.random.Generator) -> Array:
    nodes, weights = axis.nodes()
    return rng.choice(nodes, size=n, p=weights) if axis.levels else rng.random(n)
