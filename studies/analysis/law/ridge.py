"""How the best value of one parameter follows another: the law log10 lr* = intercept + α · log10 B, with its interval.

The model is a quadratic in (log10 lr, log10 B). It is fitted near the ridge, and refitted around the ridge found until
that stays. Each level of the second parameter has a mean of its own, so the place of the minimum is modelled, not its
depth. The interval for α is Fieller's (1954) for the ratio of two coefficients. Their covariance is the cluster
jackknife CR3 with one cluster a cell (MacKinnon and White 1985; Bell and McCaffrey 2002). It takes in lack of fit.
Decided by measurement (7 × 6 × 3 grid, noise .05 on losses of range 1):
- The window is soft: full weight up to half of it, none beyond one and a half. With a hard edge, points of a grid jump
  in and out while the ridge moves: a tenth of the fits ended in cycles.
- Runs above .6 of the way from their level's least loss to the worst one are left out. A blow-up's cap need not run
  parallel to the ridge: left in, one with another slope moved α by .4, with an interval of ± .12 around the error. The
  cost: if the cap does run parallel, the error is up to twice as large as need be, more beside a bare cliff. If too
  little is left for a bounded interval, as on a grid narrower than the valley, all runs are used but those tied at the
  worst loss.
- A cubic term in the distance, made orthogonal to the quadratic, takes up skewness of the loss. Without moving the
  ridge it halves the interval on blow-ups. One case stays wrong: a steep, uncapped rise that is not parallel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.law.valley import (
    MIN_VALUES,
    Line,
    NoValley,
    Runs,
    ValleyFit,
    check_table,
    first_line,
    fit_around,
    follow,
)

LAWS = {"constant": 0.0, "square root": 0.5, "linear": 1.0}  # α of each. All but the first need two log10 axes.
CURVED, PERHAPS_CURVED = 0.01, 0.05  # p-values of a bend below which it is the verdict, or is told beside it
WINDOWS = (0.5, 0.75, 1.0, 1.5)  # times the window: the sensitivity table
MIN_TIES = 3  # runs that share the worst loss, as diverged ones do
HIGH = 0.1  # share of the runs in the window that lie above it without a note
LINE_POINTS = 7
UNBOUNDED = Estimate(math.nan, -math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Ridge:
    """The line of the best value of `params[0]` as `params[1]` changes, both on their search scale.

    alpha, intercept: NaN without a ridge, the interval of α then being (−inf, inf)
    window_decades: the distance from the ridge at which a run counts half, in the unit of the first axis
    curvature_p: of a test for a bend, NaN if it cannot be made
    n_used, n_levels: runs and values of the second parameter within the window
    alphas_by_window: pairs (window, α)
    compatible, excluded: laws, none if the ridge is curved or α depends on the window
    points, optima: the line, and each level's own best, as pairs (second, first)
    """

    params: tuple[str, str]
    intercept: float
    alpha: Estimate
    window_decades: float
    curvature_p: float
    n_used: int
    n_levels: int
    alphas_by_window: tuple[tuple[float, Estimate], ...]
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

    With `power_law` both axes are log10. Without it the only law is α = 0. `window` is in the unit of `x`. `others` (n,
    k), encoded in [0, 1], are nuisance parameters that vary too. Rows that are not finite are left out. `verdict` says
    what a conclusion lacks.
    """
    nuisance = np.empty((len(x), 0)) if others is None else np.asarray(others, dtype=float)
    table = np.column_stack([x, follows, loss, nuisance]).astype(float)
    table = table[np.isfinite(table).all(axis=1)]
    nan = math.nan
    nothing = Ridge(names, nan, UNBOUNDED, window, nan, 0, 0, (), (), (), "", budget_unit)
    try:
        runs, fit = _fit_valley(table, window)
    except NoValley as missing:
        return replace(nothing, verdict=_no_ridge(str(missing), names))
    line = fit.ridge()
    found = replace(
        nothing,
        intercept=window * float(line.at(-runs.centre / runs.span)),
        alpha=_slope(runs, fit),
        curvature_p=_curvature_p(runs, line),
        n_used=len(fit.rows),
        n_levels=len(np.unique(runs.level_of[fit.rows])),
        alphas_by_window=tuple((w * window, _slope_within(runs, fit.line, w)) for w in WINDOWS),
        points=_points(runs, line),
        optima=_optima(runs, line),
    )
    return _judged(found, LAWS if power_law else {"constant": 0.0}, notes=_left_out(runs, line, names))


def _fit_valley(table: Array, window: float) -> tuple[Runs, ValleyFit]:
    """Fit the low runs, or all runs but diverged ones where the low ones leave the slope without bounds."""
    check_table(table)
    runs = Runs.of(table, window)
    start = first_line(runs)
    try:
        fit = follow(runs, start)
        if math.isfinite(fit.interval()[0]):
            return runs, fit
    except NoValley:
        pass
    worst = runs.loss == runs.loss.max()
    runs = replace(runs, low=~worst if worst.sum() >= MIN_TIES else np.full(len(worst), True))
    return runs, follow(runs, start)


def _slope_within(runs: Runs, line: Line, window: float) -> Estimate:
    """Return α as another window gives it."""
    try:
        return _slope(runs, follow(runs, line, window=window))
    except NoValley:
        return UNBOUNDED


def _slope(runs: Runs, fit: ValleyFit) -> Estimate:
    """Return α on the outer axes."""
    unit, (low, high) = runs.window / runs.span, fit.interval()
    return Estimate(unit * fit.ridge().slope, unit * low, unit * high)


def _curvature_p(runs: Runs, line: Line) -> float:
    """Return the p-value of the term d(z − z̄)², which bends the ridge. NaN with too few runs."""
    try:
        fit = fit_around(runs, line, 1.0, bend=True)
    except NoValley:
        return math.nan
    return float(2 * student.sf(abs(fit.c[0]) / math.sqrt(fit.covariance()[0, 0]), fit.n_free))


def _points(runs: Runs, line: Line) -> tuple[tuple[float, float], ...]:
    z = runs.levels if runs.by_level else np.linspace(-0.5, 0.5, LINE_POINTS)
    return tuple((float(runs.centre + runs.span * v), runs.window * float(line.at(v))) for v in z)


def _optima(runs: Runs, line: Line) -> tuple[tuple[float, float], ...]:
    """Return each level's own minimum, with a common curvature, if it lies within three or more values of x."""
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


def _left_out(runs: Runs, line: Line, names: tuple[str, str]) -> list[str]:
    """Return notes on runs near the ridge that are not used."""
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
    """Return `found` with the laws that its interval holds or excludes, and a verdict for people."""
    alpha, (lo, hi) = found.alpha.value, found.alpha.ends
    if math.isinf(lo):
        shallow = "the minimum is too shallow for the noise, the interval for α is unbounded: run replicates, or more"
        return replace(found, verdict=_no_ridge(shallow + " values of {0} near the best ones", found.params))
    notes = [*[f"at equal {found.budget_unit}"] * bool(found.budget_unit), *notes]
    size = f"α is {alpha:.2f} [{lo:.2f}, {hi:.2f}]"
    moved = [f"{a.value:.2f} within {w:g}" for w, a in found.alphas_by_window if a.is_above(hi) or a.is_below(lo)]
    if found.curvature_p < CURVED:
        bent = f"curved: no single α holds for every {found.params[1]} (p = {found.curvature_p:.2g})"
        return replace(found, verdict="; ".join([bent, f"on average {size}", *notes]))
    if moved:
        unsure = f"undecided: {size} but {', '.join(moved)}: run more values of {found.params[0]} near the best ones"
        return replace(found, verdict="; ".join([unsure, *notes]))
    if found.curvature_p < PERHAPS_CURVED:
        notes.insert(0, f"perhaps curved (p = {found.curvature_p:.2g})")
    compatible = tuple(name for name, own in laws.items() if lo <= own <= hi)
    excluded = tuple(name for name in laws if name not in compatible)
    said = {"compatible with": compatible, "excludes": excluded}
    parts = [f"{words} {' and '.join(which)}" for words, which in said.items() if which]
    if not excluded or not compatible:
        parts.append(size)
    return replace(found, compatible=compatible, excluded=excluded, verdict="; ".join([*parts, *notes]))
