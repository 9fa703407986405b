"""How the best value of one parameter follows another: the law log10 lr* = intercept + α · log10 B, with its interval.

The model is a quadratic in (log10 lr, log10 B), fitted near the ridge and refitted around the ridge that it finds
until that stays. Each level of the second parameter has a mean of its own, so only the place of the minimum is
modelled, not its depth. The interval for α is Fieller's (1954) for the ratio of two coefficients; their covariance is
the cluster jackknife CR3 with one cluster a cell (MacKinnon and White 1985; Bell and McCaffrey 2002), which takes in
lack of fit. Decided by measurement (7 × 6 × 3 grid, noise .05 on losses of range 1):
- The window is soft: full weight up to half of it, none beyond one and a half. With a hard edge, points of a grid jump
  in and out while the ridge moves: a tenth of the fits ended in cycles.
- Runs above .6 of the way from their level's least loss to the worst one are left out. A blow-up's cap need not run
  parallel to the ridge: left in, one with another slope moved α by .4, with an interval of ± .12 around the error. The
  cost: where the cap does run parallel, the error is up to twice as large as it need be, more beside a bare cliff.
  Where too little is left for a bounded interval, as on a grid narrower than the valley, all runs are used but those
  tied at the worst loss.
- A cubic term in the distance, made orthogonal to the quadratic, takes up what is askew in the loss: without moving
  the ridge it halves the interval on blow-ups. What stays wrong: a steep, uncapped rise that is not parallel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution
from scipy.stats import t as student

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]
Booleans = npt.NDArray[np.bool_]

LAWS = {"constant": 0.0, "square root": 0.5, "linear": 1.0}  # α of each; all but the first need two log10 axes
CURVED, PERHAPS_CURVED = 0.01, 0.05  # p-values of a bend below which it is the verdict, or is told beside it
WINDOWS = (0.5, 0.75, 1.0, 1.5)  # times the window: the sensitivity table
MIN_RUNS, MIN_LEVELS, MIN_VALUES = 12, 3, 3
MIN_FREE = 4  # cells in the window beyond the number of coefficients
MAX_CATEGORIES = 12  # with more values of the second parameter its effect is a cubic, not one mean a level
HEIGHT = 0.6  # of the way up from a level's least loss, where a quadratic ends
HIGH = 0.1  # share of the runs in the window that lie above; more is told
MIN_TIES = 3  # runs that share the worst loss, as diverged ones do
OUTLIER = 6.0  # times the distance from the 5 % quantile to the median: losses above count as this much
NOISE = 0.01  # p-value that the first parameter's effect must beat
SLOPES = np.linspace(-1.5, 1.5, 61)  # first guesses, in ranges of the first parameter over the range of the second
DEGREE = 6  # of the smooth function of the distance that a first guess is judged by
MAX_STEPS = 60
STILL = 1e-4  # windows that the ridge moves in its last step
ASKEW = 1e-6  # share of the cubic term that must be news beside the quadratic's
LINE_POINTS = 7


@dataclass(frozen=True, slots=True)
class Ridge:
    """The line that the best value of `params[0]` follows as `params[1]` changes, both on their search scale.

    `alpha`, `intercept` are NaN and the 95 % interval (−inf, inf) where there is no ridge. `window_decades` is the
    distance from the ridge at which a run counts half, in the unit of the first axis; `curvature_p` tests for a bend
    (NaN where it cannot); `n_used` runs and `n_levels` values of the second parameter lie within the window.
    `alphas_by_window` holds (window, α, low, high); `compatible` and `excluded` name laws, none where the ridge is
    curved or α depends on the window. `points` is the line and `optima` each level's own best, as pairs (second,
    first).
    """

    params: tuple[str, str]
    intercept: float
    alpha: float
    ci_lo: float
    ci_hi: float
    window_decades: float
    curvature_p: float
    n_used: int
    n_levels: int
    alphas_by_window: tuple[tuple[float, float, float, float], ...]
    compatible: tuple[str, ...]
    excluded: tuple[str, ...]
    verdict: str
    budget_unit: str | None
    points: tuple[tuple[float, float], ...] = ()
    optima: tuple[tuple[float, float], ...] = ()


def ridge(
    x: Array,
    *,
    follows: Array,
    loss: Array,
    names: tuple[str, str],
    others: Array | None = None,
    budget_unit: str | None = None,
    window: float = 1.0,
    power_law: bool = True,
) -> Ridge:
    """Fit the ridge of `loss` (n,), lower is better, over `x` (n,), the tuned parameter, and `follows` (n,).

    Both axes are log10 where `power_law`; without it the only law is α = 0. `window` is in the unit of `x`. `others`
    (n, k), encoded in [0, 1], are nuisance parameters that vary too. Rows that are not finite are left out; what is
    missing for a conclusion is told in `verdict`. Raises `ValueError` where shapes disagree or `window` is not > 0.
    """
    nuisance = np.empty((len(x), 0)) if others is None else np.asarray(others, dtype=float)
    for name, column in (("follows", follows), ("loss", loss), ("others", nuisance)):
        if len(column) != len(x):
            raise ValueError(f"{name} has {len(column)} rows but x has {len(x)}: give one row a run")
    if not (math.isfinite(window) and window > 0):
        raise ValueError(f"window is {window}: give a positive distance in the unit of {names[0]}")
    table = np.column_stack([x, follows, loss, nuisance]).astype(float)
    table = table[np.isfinite(table).all(axis=1)]
    nan, inf = math.nan, math.inf
    nothing = Ridge(names, nan, nan, -inf, inf, window, nan, 0, 0, (), (), (), "", budget_unit)
    reason = _missing(table)
    if reason:
        return replace(nothing, verdict=_no_ridge(reason, names))
    runs = _Runs.of(table, window)
    start = _first_line(runs)
    fit = start if isinstance(start, str) else _follow(runs, start)
    if not isinstance(start, str) and not _is_bounded(fit):
        runs = replace(runs, low=_below_worst(runs.loss))
        fit = _follow(runs, start)
    if isinstance(fit, str):
        return replace(nothing, verdict=_no_ridge(fit, names))
    line, (alpha, ci_lo, ci_hi) = fit.ridge(), _slope(runs, fit)
    found = replace(
        nothing,
        intercept=window * float(line.at(-runs.centre / runs.span)),
        alpha=alpha,
        ci_lo=ci_lo,
        ci_hi=ci_hi,
        curvature_p=_curvature_p(runs, line),
        n_used=len(fit.rows),
        n_levels=len(np.unique(runs.level_of[fit.rows])),
        alphas_by_window=tuple((w * window, *_slope(runs, _follow(runs, fit.line, window=w))) for w in WINDOWS),
        points=_points(runs, line),
        optima=_optima(runs, line),
    )
    return _judged(found, LAWS if power_law else {"constant": 0.0}, notes=_left_out(runs, line, names))


@dataclass(frozen=True, slots=True)
class _Line:
    """The ridge on the inner axes: x = intercept + slope · z."""

    intercept: float
    slope: float

    def at(self, z: Array | float) -> Array:
        return np.asarray(self.intercept + self.slope * z)

    def reach(self) -> float:
        """The largest |x| on it."""
        return float(np.abs(self.at(np.array([-0.5, 0.5]))).max())


@dataclass(frozen=True, slots=True)
class _Runs:
    """n runs on inner axes: `x` in units of the window, `z` = (second − centre) ÷ span, and `loss` from 0 to 1.

    `levels` (m,) are the distinct z and `level_of` (n,) their numbers; `by_level` says that each has a mean of its own
    among the columns `base` (n, k), which hold everything but the ridge. `cells` (n,) numbers the distinct (x, z);
    `low` (n,) marks the runs low enough for a quadratic.
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
    def of(cls, table: Array, window: float) -> _Runs:
        """From the columns x, second, loss and the nuisance parameters."""
        x, second, loss = table[:, 0] / window, table[:, 1], table[:, 2]
        span, centre = float(np.ptp(second)), float(second.min() + second.max()) / 2
        z = (second - centre) / span
        levels, level_of = np.unique(np.round(z, 9), return_inverse=True)
        by_level = len(levels) <= min(MAX_CATEGORIES, len(x) // 4)
        own = np.eye(len(levels))[level_of] if by_level else np.vander(2 * z, 4)
        nuisance = _nuisance(table[:, 3:], room=len(x) // 3 - own.shape[1] - 3)
        cells = np.unique(
            np.column_stack([np.round((x - x.min()) / np.ptp(x), 9), level_of]), axis=0, return_inverse=True
        )[1].ravel()
        typical, least = np.median(loss), np.quantile(loss, 0.05)
        if typical > least:
            loss = np.minimum(loss, least + OUTLIER * (typical - least))
        loss = (loss - loss.min()) / np.ptp(loss)
        rank = np.searchsorted(np.sort(z), z)
        groups = level_of if by_level else rank * min(MAX_CATEGORIES, len(x) // 8) // len(x)
        base, low = np.column_stack([own, nuisance]), _low(loss, cells, groups)
        return cls(x, z, loss, window, centre, span, levels, level_of, by_level, base, cells, low)

    def within(self, line: _Line) -> Booleans:
        """Which levels (m,) have their ridge inside the range of x."""
        best = line.at(self.levels)
        return np.asarray((self.x.min() <= best) & (best <= self.x.max()))

    def weights(self, line: _Line, window: float) -> Array:
        """How much each run (n,) counts for the ridge at `line`."""
        near = np.clip(1.5 - np.abs(self.x - line.at(self.z)) / window, 0, 1)
        return np.where(self.within(line)[self.level_of] & self.low, near, 0)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A quadratic around `line`: c[0] · d(z − z̄) + c[1] · d² + c[2] · d + cubic + base, d the distance to the line.

    `rows` are the runs in the window, of `cells`; `c` = `back` · qᵀ y with q orthonormal and orthogonal to u, which
    spans the base; `n_free` is the number of cells beyond that of coefficients.
    """

    line: _Line
    rows: Integers
    cells: Integers
    z_mean: float
    c: Array
    back: Array
    q: Array
    u: Array
    residual: Array
    n_free: int

    def vertex(self) -> _Line:
        """Where the minimum lies from the line, as a line itself."""
        slope = float(-self.c[0] / (2 * self.c[1]))
        return _Line(float(-self.c[2] / (2 * self.c[1])) - slope * self.z_mean, slope)

    def ridge(self) -> _Line:
        """The line moved onto the minimum."""
        move = self.vertex()
        return _Line(self.line.intercept + move.intercept, self.line.slope + move.slope)

    def interval(self) -> tuple[float, float]:
        """Fieller's 95 % interval for the slope; (−inf, inf) where it is unbounded."""
        top, bottom, v = -self.c[0], 2 * self.c[1], self.covariance()
        v_top, v_both, v_bottom = v[0, 0], -2 * v[0, 1], 4 * v[1, 1]
        quantile = student.ppf(0.975, self.n_free) ** 2
        square, half = bottom**2 - quantile * v_bottom, top * bottom - quantile * v_both
        root = half**2 - square * (top**2 - quantile * v_top)
        if square <= 0 or root < 0:
            return -math.inf, math.inf
        middle, side = self.line.slope + half / square, math.sqrt(root) / square
        return float(middle - side), float(middle + side)

    def covariance(self) -> Array:
        """CR3 of `c`: Σ over cells of the outer products of qᵀ(1 − H)⁻¹e, H the cell's block of the hat matrix."""
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


def _missing(table: Array) -> str:
    n, n_values, n_levels = len(table), len(np.unique(table[:, 0])), len(np.unique(table[:, 1]))
    if n < MIN_RUNS:
        return f"{n} runs with a value are too few: run at least {MIN_RUNS}, better 50"
    if n_levels < MIN_LEVELS:
        return f"{{1}} has {n_levels} of the {MIN_LEVELS} values that a line needs: run more values of {{1}}"
    if n_values < MIN_VALUES:
        return f"{{0}} has {n_values} of the {MIN_VALUES} values that a minimum needs: run more values of {{0}}"
    if np.ptp(table[:, 2]) <= 1e-12 * np.abs(table[:, 2]).max():
        return "the loss is the same in every run: look at the metric"
    return ""


def _nuisance(others: Array, *, room: int) -> Array:
    """Columns for the effects of `others`: linear and squared, or linear only, or none, as `room` allows."""
    centred = others[:, np.ptp(others, axis=0) > 0] - 0.5
    k = centred.shape[1]
    return np.column_stack([centred, centred**2]) if 2 * k <= room else centred[:, : k if k <= room else 0]


def _low(loss: Array, cells: Integers, groups: Integers) -> Booleans:
    """Which runs (n,) lie in cells whose mean is less than `HEIGHT` of the way up from the least of their group.

    Least and worst are means of two and of three cells, so that no single lucky or unlucky one decides.
    """
    means = np.bincount(cells, loss) / np.bincount(cells)
    group = np.zeros(len(means), dtype=np.intp)
    group[cells] = np.unique(groups, return_inverse=True)[1]
    worst = np.sort(means)[-3:].mean()
    least = np.array([np.sort(means[group == g])[:2].mean() for g in range(group.max() + 1)])
    return np.asarray(means <= least[group] + HEIGHT * (worst - least[group]))[cells]


def _is_bounded(fit: _Fit | str) -> bool:
    return not isinstance(fit, str) and math.isfinite(fit.interval()[0])


def _below_worst(loss: Array) -> Booleans:
    """Which runs (n,) do not share the worst loss with two or more others, as diverged ones do."""
    worst = loss == loss.max()
    return ~worst if worst.sum() >= MIN_TIES else np.full(len(loss), True)


def _first_line(runs: _Runs) -> _Line | str:
    """A first ridge: the slope for which one smooth function of the distance explains the loss best."""
    u = _orthonormal(runs.base)
    y = runs.loss - u @ (u.T @ runs.loss)
    best, start = float(y @ y), _Line(float(runs.x.mean()), 0.0)
    everything = best
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
            best, start = error, _Line(float(middle + half * lowest), float(slope))
    n_free = len(y) - u.shape[1] - DEGREE - 1
    ratio = (everything - best) / (DEGREE + 1) * n_free / max(best, 1e-300)
    if f_distribution.sf(ratio, DEGREE + 1, n_free) > NOISE:
        return "{0} explains no more of the loss than chance would: run replicates, or a wider range of {0}"
    return start


def _follow(runs: _Runs, line: _Line, *, window: float = 1.0) -> _Fit | str:
    """Refit around the ridge until it stays; the reason where there is none to follow."""
    past: list[_Line] = []
    for step in range(MAX_STEPS):
        fit = _fit(runs, line, window)
        if isinstance(fit, str):
            return fit
        move = fit.vertex()
        if move.reach() < STILL * window:
            return fit
        past.append(line)
        share = 0.7 if step < MAX_STEPS // 3 else 0.3
        line = _Line(line.intercept + share * move.intercept, line.slope + share * move.slope)
    cycle = past[MAX_STEPS // 2 :]
    middle = _Line(float(np.mean([p.intercept for p in cycle])), float(np.mean([p.slope for p in cycle])))
    return _fit(runs, middle, window)


def _fit(runs: _Runs, line: _Line, window: float, *, bend: bool = False) -> _Fit | str:
    """Weighted least squares within the window around `line`; with `bend`, c[0] is that of d(z − z̄)² instead."""
    inside = runs.within(line)
    if inside.sum() < max(MIN_LEVELS, len(inside) / 2):
        side = "lower" if line.at(0.0) < runs.x.mean() else "higher"
        return f"the best {{0}} lies at the edge of its range for most values of {{1}}: try {side} values of {{0}}"
    weights = runs.weights(line, window)
    rows = np.flatnonzero(weights > 0)
    few = f"too few runs ({len(rows)}) lie near the ridge: run more values of {{0}} around the best ones"
    cells = runs.cells[rows]
    distinct = np.unique(cells, return_index=True)[1]
    telling = np.bincount(runs.level_of[rows[distinct]]) >= (2 if runs.by_level else 1)
    if telling.sum() < MIN_LEVELS:
        return few
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
        return few
    back = np.linalg.inv(r) / scale[:, None]
    c = back @ (q.T @ y)
    if c[1] <= 0:
        return "the loss has no minimum along {0} there (it does not rise on both sides): widen the range of {0}"
    return _Fit(line, rows, cells, z_mean, c, back, q, u, y - q @ (q.T @ y), n_free)


def _orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the space that `columns` (n, k) span, whatever their rank."""
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > 1e-9 * values[-1]
    return np.asarray(columns @ (vectors[:, kept] / np.sqrt(values[kept])))


def _slope(runs: _Runs, fit: _Fit | str) -> tuple[float, float, float]:
    """α and its interval on the outer axes."""
    if isinstance(fit, str):
        return math.nan, -math.inf, math.inf
    unit, (low, high) = runs.window / runs.span, fit.interval()
    return unit * fit.ridge().slope, unit * low, unit * high


def _curvature_p(runs: _Runs, line: _Line) -> float:
    """p-value of the term d(z − z̄)², which bends the ridge; NaN with too few runs."""
    fit = _fit(runs, line, 1.0, bend=True)
    if isinstance(fit, str):
        return math.nan
    return float(2 * student.sf(abs(fit.c[0]) / math.sqrt(fit.covariance()[0, 0]), fit.n_free))


def _points(runs: _Runs, line: _Line) -> tuple[tuple[float, float], ...]:
    z = runs.levels if runs.by_level else np.linspace(-0.5, 0.5, LINE_POINTS)
    return tuple((float(runs.centre + runs.span * v), runs.window * float(line.at(v))) for v in z)


def _optima(runs: _Runs, line: _Line) -> tuple[tuple[float, float], ...]:
    """Each level's own minimum, the curvature being common, where it lies within three or more values of x."""
    if not runs.by_level:
        return ()
    weights, level_of = runs.weights(line, 1.0), runs.level_of
    d, own, root = runs.x - line.at(runs.z), np.eye(len(runs.levels))[level_of], np.sqrt(weights)[:, None]
    columns = np.column_stack([d[:, None] * own, d**2, runs.base])
    c = np.linalg.lstsq(root * columns, root[:, 0] * runs.loss, rcond=None)[0]
    found = []
    for level, z in enumerate(runs.levels):
        values = np.unique(runs.x[(level_of == level) & (weights > 0)])
        best = float(line.at(z)) - c[level] / (2 * c[len(runs.levels)])
        if len(values) >= MIN_VALUES and values[0] <= best <= values[-1]:
            found.append((float(runs.centre + runs.span * z), runs.window * float(best)))
    return tuple(found)


def _left_out(runs: _Runs, line: _Line, names: tuple[str, str]) -> list[str]:
    """What people should know about runs that lie near the ridge and are not used."""
    n_beyond = int(np.sum(~runs.within(line)))
    near = np.abs(runs.x - line.at(runs.z)) <= 1
    n_high = int(np.sum(near & ~runs.low))
    notes = []
    if n_beyond:
        notes.append(
            f"{n_beyond} of {len(runs.levels)} values of {names[1]} left out: best {names[0]} out of its range"
        )
    if n_high > HIGH * near.sum():
        notes.append(f"{n_high} of {near.sum()} runs in the window left out, too high up the rise beside the ridge")
    return notes


def _no_ridge(reason: str, names: tuple[str, str]) -> str:
    return "no ridge: " + reason.format(*names)


def _judged(found: Ridge, laws: dict[str, float], *, notes: list[str]) -> Ridge:
    """`found` with the laws that its interval holds or excludes, and a verdict for people."""
    lo, hi = found.ci_lo, found.ci_hi
    if math.isinf(lo):
        shallow = "the minimum is too shallow for the noise, the interval for α is unbounded: run replicates, or more"
        return replace(found, verdict=_no_ridge(shallow + " values of {0} near the best ones", found.params))
    notes = [*[f"at equal {found.budget_unit}"] * bool(found.budget_unit), *notes]
    size = f"α is {found.alpha:.2f} ({lo:.2f} to {hi:.2f})"
    moved = [f"{a:.2f} within {w:g}" for w, a, low, high in found.alphas_by_window if low > hi or high < lo]
    if found.curvature_p < CURVED:
        bent = f"curved: no single α holds for every {found.params[1]} (p = {found.curvature_p:.2g})"
        return replace(found, verdict="; ".join([bent, f"on average {size}", *notes]))
    if moved:
        unsure = f"undecided: {size} but {', '.join(moved)}: run more values of {found.params[0]} near the best ones"
        return replace(found, verdict="; ".join([unsure, *notes]))
    if found.curvature_p < PERHAPS_CURVED:
        notes.insert(0, f"perhaps curved (p = {found.curvature_p:.2g})")
    compatible = tuple(name for name, alpha in laws.items() if lo <= alpha <= hi)
    excluded = tuple(name for name in laws if name not in compatible)
    said = {"compatible with": compatible, "excludes": excluded}
    parts = [f"{words} {' and '.join(which)}" for words, which in said.items() if which]
    if not excluded or not compatible:
        parts.append(size)
    return replace(found, compatible=compatible, excluded=excluded, verdict="; ".join([*parts, *notes]))
