"""The valley of least loss: runs, the quadratic fitted near its floor, and the line along it.

`studies.analysis.law.ridge` tells how it is used, and why it is fitted so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution
from scipy.stats import t as student

from studies.analysis.axis import Array
from studies.analysis.levels import LEVEL

Integers = npt.NDArray[np.intp]
Booleans = npt.NDArray[np.bool_]

MIN_RUNS, MIN_LEVELS, MIN_VALUES = 12, 3, 3
MIN_FREE = 4  # cells in the window beyond the number of coefficients
MAX_CATEGORIES = 12  # with more values of the second parameter its effect is a cubic, not one mean a level
HEIGHT = 0.6  # of the way up from a level's least loss, where a quadratic ends
OUTLIER = 6.0  # times the distance from the 5 % quantile to the median: losses above count as this much
NOISE = 0.01  # p-value that the first parameter's effect must beat
SLOPES = np.linspace(-1.5, 1.5, 61)  # first guesses, in ranges of the first parameter over the range of the second
DEGREE = 6  # of the smooth function of the distance that a first guess is judged by
MAX_STEPS = 60
STILL = 1e-4  # windows that the ridge moves in its last step
ASKEW = 1e-6  # share of the cubic term that must be news beside the quadratic's


class NoValley(Exception):
    """Nothing to fit: the message says why and what to run. {0} and {1} stand for the two parameters."""


@dataclass(frozen=True, slots=True)
class Line:
    """The ridge on the inner axes: x = intercept + slope · z."""

    intercept: float
    slope: float

    def at(self, z: Array | float) -> Array:
        """Return x at z."""
        return np.asarray(self.intercept + self.slope * z)

    def moved(self, by: Line, share: float = 1.0) -> Line:
        """Return the line after a share of the way `by`."""
        return Line(self.intercept + share * by.intercept, self.slope + share * by.slope)

    def reach(self) -> float:
        """Return the largest |x| on it."""
        return float(np.abs(self.at(np.array([-0.5, 0.5]))).max())


@dataclass(frozen=True, slots=True)
class Runs:
    """n runs on inner axes.

    x: (n,) in units of the window
    z: (n,) the second parameter, (second − centre) ÷ span
    loss: (n,) from 0 to 1
    levels, level_of: the distinct z (m,), and the number of each run's level (n,)
    by_level: whether each level has a mean of its own among the columns `base`
    base: (n, k), everything but the ridge
    cells: (n,) numbers the distinct (x, z)
    low: (n,) whether a run is low enough for a quadratic
    """

    x: Array
    z: Array
    loss: Array
    window: float
    centre: float
    span: float
    levels: Array
    level_of: Integers
    by_level: bool
    base: Array
    cells: Integers
    low: Booleans

    @classmethod
    def of(cls, table: Array, window: float) -> Runs:
        """Return the runs of the columns x, second, loss and the nuisance parameters."""
        x, second, loss = table[:, 0] / window, table[:, 1], table[:, 2]
        span, centre = float(np.ptp(second)), float(second.min() + second.max()) / 2
        z = (second - centre) / span
        levels, level_of = np.unique(np.round(z, 9), return_inverse=True)
        by_level = len(levels) <= min(MAX_CATEGORIES, len(x) // 4)
        own = np.eye(len(levels))[level_of] if by_level else np.vander(2 * z, 4)
        nuisance = _nuisance(table[:, 3:], room=len(x) // 3 - own.shape[1] - 3)
        places = np.column_stack([np.round((x - x.min()) / np.ptp(x), 9), level_of])
        cells = np.unique(places, axis=0, return_inverse=True)[1].ravel()
        typical, least = np.median(loss), np.quantile(loss, 0.05)
        if typical > least:
            loss = np.minimum(loss, least + OUTLIER * (typical - least))
        loss = (loss - loss.min()) / np.ptp(loss)
        rank = np.searchsorted(np.sort(z), z)
        groups = level_of if by_level else rank * min(MAX_CATEGORIES, len(x) // 8) // len(x)
        base, low = np.column_stack([own, nuisance]), _low(loss, cells, groups)
        return cls(x, z, loss, window, centre, span, levels, level_of, by_level, base, cells, low)

    def within(self, line: Line) -> Booleans:
        """Return the mask of levels (m,) with their ridge inside the range of x."""
        best = line.at(self.levels)
        return np.asarray((self.x.min() <= best) & (best <= self.x.max()))

    def weights(self, line: Line, window: float) -> Array:
        """Return the weight of each run (n,) for the ridge at `line`."""
        near = np.clip(1.5 - np.abs(self.x - line.at(self.z)) / window, 0, 1)
        return np.where(self.within(line)[self.level_of] & self.low, near, 0)


@dataclass(frozen=True, slots=True)
class ValleyFit:
    """A quadratic around `line`: c[0] · d(z − z̄) + c[1] · d² + c[2] · d + cubic + base, d the distance to the line.

    rows, cells: the runs in the window, and their cells
    c: the coefficients, `back` · qᵀ y with q orthonormal and orthogonal to u
    u: spans the base
    n_free: the number of cells beyond that of coefficients
    """

    line: Line
    rows: Integers
    cells: Integers
    z_mean: float
    c: Array
    back: Array
    q: Array
    u: Array
    residual: Array
    n_free: int

    def vertex(self) -> Line:
        """Return the place of the minimum from the line, as a line itself."""
        slope = float(-self.c[0] / (2 * self.c[1]))
        return Line(float(-self.c[2] / (2 * self.c[1])) - slope * self.z_mean, slope)

    def ridge(self) -> Line:
        """Return the line moved onto the minimum."""
        return self.line.moved(self.vertex())

    def interval(self) -> tuple[float, float]:
        """Return Fieller's 95 % interval for the slope, (−inf, inf) if it is unbounded."""
        top, bottom, v = -self.c[0], 2 * self.c[1], self.covariance()
        v_top, v_both, v_bottom = v[0, 0], -2 * v[0, 1], 4 * v[1, 1]
        quantile = student.ppf((1 + LEVEL) / 2, self.n_free) ** 2
        square, half = bottom**2 - quantile * v_bottom, top * bottom - quantile * v_both
        root = half**2 - square * (top**2 - quantile * v_top)
        if square <= 0 or root < 0:
            return -math.inf, math.inf
        middle, side = self.line.slope + half / square, math.sqrt(root) / square
        return float(middle - side), float(middle + side)

    def covariance(self) -> Array:
        """Return CR3 of `c`: Σ over cells of the outer products of qᵀ(1 − H)⁻¹e, H a cell's block of the hat matrix."""
        order = np.argsort(self.cells, kind="stable")
        _, first, counts = np.unique(self.cells[order], return_index=True, return_counts=True)
        both, meat = np.column_stack([self.q, self.u]), np.zeros((len(self.c), len(self.c)))
        for size in np.unique(counts):
            rows = order[first[counts == size][:, None] + np.arange(size)]
            values, vectors = np.linalg.eigh(np.eye(size) - both[rows] @ both[rows].transpose(0, 2, 1))
            inverse = np.where(values > 1e-8, 1 / np.maximum(values, 1e-8), 0)  # a cell fitted exactly says nothing
            spread = (vectors * inverse[:, None, :]) @ (vectors.transpose(0, 2, 1) @ self.residual[rows][:, :, None])
            scores = (self.q[rows].transpose(0, 2, 1) @ spread)[:, :, 0]
            meat += scores.T @ scores
        return np.asarray(self.back @ meat @ self.back.T) * (len(counts) - 1) / len(counts)


def check_table(table: Array) -> None:
    """Raise NoValley for a table of x, second parameter and loss that is too poor for a ridge."""
    n_values, n_levels = len(np.unique(table[:, 0])), len(np.unique(table[:, 1]))
    if len(table) < MIN_RUNS:
        raise NoValley(f"{len(table)} runs with a value are too few: run at least {MIN_RUNS}, better 50")
    if n_levels < MIN_LEVELS:
        raise NoValley(f"{{1}} has {n_levels} of the {MIN_LEVELS} values that a line needs: run more values of {{1}}")
    if n_values < MIN_VALUES:
        raise NoValley(
            f"{{0}} has {n_values} of the {MIN_VALUES} values that a minimum needs: run more values of {{0}}"
        )
    if np.ptp(table[:, 2]) <= 1e-12 * np.abs(table[:, 2]).max():
        raise NoValley("the loss is the same in every run: look at the metric")


def _nuisance(others: Array, *, room: int) -> Array:
    """Return columns for the effects of `others`: linear and squared, or linear only, or none, as `room` allows."""
    centred = others[:, np.ptp(others, axis=0) > 0] - 0.5
    k = centred.shape[1]
    return np.column_stack([centred, centred**2]) if 2 * k <= room else centred[:, : k if k <= room else 0]


def _low(loss: Array, cells: Integers, groups: Integers) -> Booleans:
    """Return the mask of runs (n,) in cells with a mean below `HEIGHT` of the way up from the least of their group.

    Least and worst are means of two and of three cells, so that no single lucky or unlucky one decides.
    """
    means = np.bincount(cells, loss) / np.bincount(cells)
    group = np.zeros(len(means), dtype=np.intp)
    group[cells] = np.unique(groups, return_inverse=True)[1]
    worst = np.sort(means)[-3:].mean()
    least = np.array([np.sort(means[group == g])[:2].mean() for g in range(group.max() + 1)])
    return np.asarray(means <= least[group] + HEIGHT * (worst - least[group]))[cells]


def first_line(runs: Runs) -> Line:
    """Return a first ridge: the slope with the smooth function of the distance that explains the loss best."""
    u = _orthonormal(runs.base)
    y = runs.loss - u @ (u.T @ runs.loss)
    best = everything = float(y @ y)
    start = Line(float(runs.x.mean()), 0.0)
    for slope in SLOPES * np.ptp(runs.x):
        along = runs.x - slope * runs.z
        middle, half = (along.min() + along.max()) / 2, max(np.ptp(along) / 2, 1e-9)
        powers = np.vander((along - middle) / half, DEGREE + 1, increasing=True)[:, 1:]
        shape = powers - u @ (u.T @ powers)
        gram = shape.T @ shape
        c = np.linalg.solve(gram + (1e-9 * np.trace(gram) + 1e-300) * np.eye(DEGREE), shape.T @ y)
        error = float(np.sum((y - shape @ c) ** 2))
        if error < best:
            low, high = np.quantile((along - middle) / half, [0.05, 0.95])
            places = np.linspace(float(low), float(high), 101)
            lowest = places[np.argmin(np.vander(places, DEGREE + 1, increasing=True)[:, 1:] @ c)]
            best, start = error, Line(float(middle + half * lowest), float(slope))
    n_free = len(y) - u.shape[1] - DEGREE - 1
    ratio = (everything - best) / (DEGREE + 1) * n_free / max(best, 1e-300)
    if f_distribution.sf(ratio, DEGREE + 1, n_free) > NOISE:
        raise NoValley("{0} explains no more of the results than chance would: run replicates, or a wider range of {0}")
    return start


def follow(runs: Runs, line: Line, *, window: float = 1.0) -> ValleyFit:
    """Refit around the ridge until it stays. Raises NoValley if there is none to follow."""
    past: list[Line] = []
    for step in range(MAX_STEPS):
        fit = fit_around(runs, line, window)
        move = fit.vertex()
        if move.reach() < STILL * window:
            return fit
        past.append(line)
        line = line.moved(move, 0.7 if step < MAX_STEPS // 3 else 0.3)
    cycle = past[MAX_STEPS // 2 :]
    middle = Line(float(np.mean([p.intercept for p in cycle])), float(np.mean([p.slope for p in cycle])))
    return fit_around(runs, middle, window)


def fit_around(runs: Runs, line: Line, window: float, *, bend: bool = False) -> ValleyFit:
    """Fit by weighted least squares within the window around `line`. With `bend`, c[0] is that of d(z − z̄)² instead.

    Raises NoValley if there are too few runs, or no minimum.
    """
    inside = runs.within(line)
    if inside.sum() < max(MIN_LEVELS, len(inside) / 2):
        side = "lower" if line.at(0.0) < runs.x.mean() else "higher"
        raise NoValley(
            f"the best {{0}} lies at the edge of its range for most values of {{1}}: try {side} values of {{0}}"
        )
    weights = runs.weights(line, window)
    rows = np.flatnonzero(weights > 0)
    few = NoValley(f"too few runs ({len(rows)}) lie near the ridge: run more values of {{0}} around the best ones")
    cells = runs.cells[rows]
    distinct = np.unique(cells, return_index=True)[1]
    telling = np.bincount(runs.level_of[rows[distinct]]) >= (2 if runs.by_level else 1)
    if telling.sum() < MIN_LEVELS:
        raise few
    d, z, root = (runs.x - line.at(runs.z))[rows], runs.z[rows], np.sqrt(weights[rows])
    z_mean = float(np.average(z, weights=weights[rows]))
    tilts = [d * (z - z_mean) ** 2, d**2, d, d * (z - z_mean)] if bend else [d * (z - z_mean), d**2, d]
    u = _orthonormal(root[:, None] * runs.base[rows])
    table = root[:, None] * np.column_stack([*tilts, d**3, runs.loss[rows]])
    scale = np.maximum(np.linalg.norm(table[:, : len(tilts)], axis=0), 1e-9)
    table -= u @ (u.T @ table)
    terms, cubic, y = table[:, :-2], table[:, -2], table[:, -1]
    known = _orthonormal(terms[:, 1:3])
    askew = cubic - known @ (known.T @ cubic)
    news = float(np.linalg.norm(askew))
    if news > ASKEW * np.linalg.norm(cubic):
        terms, scale = np.column_stack([terms, askew]), np.append(scale, news)
    n_free = len(distinct) - u.shape[1] - terms.shape[1]
    q, r = np.linalg.qr(terms / scale)
    if n_free < MIN_FREE or np.abs(np.diag(r)).min() < 1e-6:
        raise few
    back = np.linalg.inv(r) / scale[:, None]
    c = back @ (q.T @ y)
    if c[1] <= 0:
        raise NoValley("the loss has no minimum along {0}: it does not rise on both sides. Widen the range of {0}")
    return ValleyFit(line, rows, cells, z_mean, c, back, q, u, y - q @ (q.T @ y), n_free)


def _orthonormal(columns: Array) -> Array:
    """Return an orthonormal basis of the span of `columns` (n, k), of any rank."""
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > 1e-9 * values[-1]
    return np.asarray(columns @ (vectors[:, kept] / np.sqrt(values[kept])))
