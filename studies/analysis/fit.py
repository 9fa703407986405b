"""One set of trials, analysed: indices by both estimators, and the verdict on them.

A study without conditional parameters has one fit, over all its trials. With them, an effect of a conditional
parameter is an effect among the trials where it was active, so each such set of trials has a fit of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution

from studies.analysis.chaos import Chaos, chaos
from studies.analysis.estimate import Estimate
from studies.analysis.levels import MIN_FITTED_TRIALS
from studies.analysis.sobol import Sobol, sobol
from studies.analysis.table import TrialsTable
from studies.analysis.verdict import (
    Evidence,
    Verdict,
    capped_share,
    disagrees,
    judge,
    replicate_noise,
    replicate_scatter,
)
from studies.text.wording import listed

MAX_TRIALS = 1500  # of more than these, a random sample is fitted
MAX_NUMBERS = 250_000_000  # trials² × hyperparameters: minutes on one core
HEADLINE = 0.05  # of the variance: what speaks against a smaller index does not count against the whole fit


@dataclass(frozen=True, slots=True)
class Fit:
    """The analysis of `table`, whose parameters are active in all its trials.

    whole: all trials, of which `table` may be an evenly drawn sample
    sobol: None if nothing could be fitted
    chaos: the second estimator
    """

    table: TrialsTable
    whole: TrialsTable
    sobol: Sobol | None
    chaos: Chaos | None
    evidence: Evidence
    verdict: Verdict

    @property
    def n_trials(self) -> int:
        """How many trials there are, whether fitted or not."""
        return len(self.whole.y)


def fit_table(table: TrialsTable, *, seed: int) -> Fit:
    """Fit trials without inactive parameters. A table that cannot be fitted has a verdict, too."""
    whole, table = table, _sample(table, seed)
    n, d = table.x.shape
    is_constant = n > 1 and float(np.ptp(table.y)) <= 1e-12 * float(np.abs(table.y).max())
    if n < MIN_FITTED_TRIALS or not d or is_constant:
        evidence = _evidence(table, None, None, is_constant=is_constant)
        return Fit(table, whole, None, None, evidence, judge(evidence))
    first = sobol(table.axes, table.unit, table.y, seed=seed, rough=table.rough)
    bases = [axis.basis(table.unit[:, i]) for i, axis in enumerate(table.axes)]
    second = chaos(bases, [np.array(axis.degrees()) for axis in table.axes], table.y)
    evidence = _evidence(table, first, second, is_constant=False)
    return Fit(table, whole, first, second, evidence, judge(evidence))


def _sample(table: TrialsTable, seed: int) -> TrialsTable:
    """Return at most as many trials as time and memory allow. The choice does not depend on their order."""
    n, d = table.x.shape
    limit = min(MAX_TRIALS, math.isqrt(MAX_NUMBERS // (2 * d + d * (d - 1) // 2 + 2)))
    if n <= limit:
        return table
    ordered = np.lexsort((table.y, *table.x.T))
    rows = np.zeros(n, dtype=bool)
    rows[ordered[np.random.default_rng(seed).choice(n, limit, replace=False)]] = True
    return table.over(rows, table.names)


def _evidence(table: TrialsTable, found: Sobol | None, second: Chaos | None, *, is_constant: bool) -> Evidence:
    n, d = table.x.shape
    points, rows = _points(table), np.flatnonzero(table.is_measured)  # a predicted value tells no noise
    noise = replicate_noise(table.y[rows], points[rows], [table.replicates[row] for row in rows])
    _, _, n_duplicates = replicate_scatter(table.y, points, table.replicates)
    lack, misfit = (None, None) if found is None or noise is None else _lack_of_fit(table, points, found)
    return Evidence(
        n=n,
        n_parameters=d,
        q2=found.q2 if found is not None else float("nan"),
        compared=table.compared,
        is_constant=is_constant,
        survivors_only=table.survivors_only,
        steps_differ=table.steps_differ,
        has_own_steps=table.has_own_steps,
        noise_share=noise,
        lack_of_fit_p=lack,
        misfit=misfit,
        space_filling=table.space_filling_share,
        failed=table.n_failed / max(1, table.n_finished),
        infeasible=table.n_infeasible / max(1, table.n_finished),
        capped=_capped(table),
        n_duplicates=n_duplicates if d else 0,
        error=0.0 if found is None else found.error,
        against=() if found is None else _against(table, found, second),
        unexplained=0.0 if found is None else found.unexplained.value,
        is_grid=table.is_grid,
    )


def _against(table: TrialsTable, found: Sobol, second: Chaos | None) -> tuple[str, ...]:
    """Return what speaks against the largest main effect and the largest pair."""
    mains: dict[tuple[int, ...], Estimate] = {(i,): main for i, main in enumerate(found.mains)}
    largest = [max(own, key=lambda key: own[key].value) for own in (mains, dict(found.pairs)) if own]
    numbers = listed([str(table.numbers[row]) for row in sorted(found.influential)])
    against = []
    for key in largest:
        estimate = (mains | found.pairs)[key]
        if not estimate.value >= HEADLINE:
            continue
        name, (lo, hi) = " × ".join(table.names[i] for i in key), estimate.ends
        has = f"instead of {estimate.value:.2f} [{lo:.2f}, {hi:.2f}]"
        if not lo <= found.without[key] <= hi:
            against.append(f"without trials {numbers}, {name} would have {found.without[key]:.2f} {has}")
        said = math.nan if second is None else float(second.main[key[0]] if len(key) == 1 else second.pairs[key])
        if disagrees(estimate, said):
            against.append(f"polynomial chaos gives {name} {said:.2f} {has}")
    return tuple(against)


def _capped(table: TrialsTable) -> float:
    """Return the share of capped trials at the worst end, or at either end if the worst is not known."""
    capped = capped_share(table.loss)
    return max(capped, capped_share(-table.loss)) if table.has_target else capped


def _points(table: TrialsTable) -> npt.NDArray[np.intp]:
    """Return the number of each trial's point: (n,)."""
    if not len(table.y):
        return np.zeros(0, dtype=np.intp)
    return np.unique(table.x, axis=0, return_inverse=True)[1].ravel()


def _lack_of_fit(
    table: TrialsTable, of_trials: npt.NDArray[np.intp], found: Sobol
) -> tuple[float | None, float | None]:
    """Return p of the F test of the points' means about the fit against the scatter of replicates about their means.

    The fit is a smoother: its effective number of parameters stands for the number of fitted ones. Predicted values
    have no scatter of their own, and have no part in it. Trainings of one point under one seed count once. `of_trials`
    are the numbers of the trials' points (n,). Return also the variance of the points about the fit beyond that
    scatter, per degree of freedom, of the variance on the scale of the fit. Both are None if there is nothing to test.
    """
    rows = np.flatnonzero(table.is_measured)
    trainings: dict[tuple[int, int | None], list[float]] = {}
    for row, point in zip(rows, of_trials[rows], strict=True):
        trainings.setdefault((int(point), table.replicates[row]), []).append(float(found.residual[row]))
    points = np.unique([point for point, _ in trainings], return_inverse=True)[1]
    residual = np.array([np.mean(own) for own in trainings.values()])
    counts = np.bincount(points)
    means = np.bincount(points, weights=residual) / counts
    pure, pure_freedom, _ = replicate_scatter(residual, points, [replicate for _, replicate in trainings])
    freedom = len(counts) - float(found.leverages[rows].sum())
    if freedom < 1 or pure_freedom < 1 or pure == 0:
        return None, None
    noise, scatter = pure / pure_freedom, float(np.sum(means[points] ** 2)) / freedom
    misfit = max(0.0, scatter - noise) * len(counts) / len(residual)
    return float(f_distribution.sf(scatter / noise, freedom, pure_freedom)), misfit
