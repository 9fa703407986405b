"""Whether the number of trials was enough: the expected best of m trials, for m up to their number n.

Source: Dodge et al. 2019, *Show Your Work*, report a search by that curve. Their plug-in estimator draws with
replacement and is biased towards too little, most for m near n (Tang et al. 2020, *Showing Your Work Doesn't Always
Work*). Choice: the unbiased one, over all subsets of m trials: Σ x₍ᵢ₎ C(i−1, m−1) / C(n, m), x₍₁₎ the worst. Its band
is the bootstrap's. Near m = n the curve rests on the very best trials, so no band is trustworthy there.

The curve holds for exchangeable trials. Those of a sampler that learns are not, so only space-filling ones are taken if
there are enough. A trial that was pruned counts with its predicted value, if the table has one. Without a value, a
trial that was pruned, diverged or is infeasible counts as the worst of all. A grid has no curve: its points were not
drawn.

As many trials again: each doubling of a search brings less by a constant factor if values are bounded (the
extreme-value law). The factor is read off the last two doublings. The bootstrap cannot see beyond the best trial: its
upper end of 97.5 % held in 83 % of simulations with Gaussian values, and in 70 % with exponential ones. Choice: the
best values are taken to thin out at least as fast as an exponential tail. A doubling then brings scale · log 2. The
spacings are independent (Rényi 1953), so the scale has an exact interval. It held in 97.5 % with exponential values and
in more with Gaussian and bounded ones, n = 8 to 200. Cost: for most bounded values the end is 5 to 15 times the true
gain. If far better values are rare (a heavy tail) it is too low, and no number of trials shows that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.special import gammaln
from scipy.stats import chi2

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import MIN_CURVE_TRIALS, PERCENTILES
from studies.analysis.table import SPACE_FILLING, TrialsTable
from studies.records.eligible import can_be_best

Basis = Literal["all", "space-filling", "sequential"]

MIN_SPACE_FILLING = 12
N_RESAMPLES = 1000
MAX_POINTS = 200  # of the curve
LEAST_BEST, MOST_BEST = 4, 10  # values that show the tail's scale: a quarter within these


@dataclass(frozen=True, slots=True)
class BestOfM:
    """The curve at `sizes` (M,), in the metric's unit.

    expected, lo, hi: the curve and its band (M,)
    gain: the improvement expected of as many trials again
    last_gain: the improvement by the second half of the trials
    basis: the trials behind the curve
    n_lost: how many of them had no value
    n_predicted: of how many the value is predicted from a curve
    policy: the value of a trial, as in `TrialsTable`
    """

    sizes: tuple[int, ...]
    expected: Array
    lo: Array
    hi: Array
    gain: Estimate
    last_gain: Estimate
    basis: Basis
    n_lost: int
    n_predicted: int = 0
    policy: str = "final"

    @property
    def n(self) -> int:
        """How many trials the curve is made of."""
        return self.sizes[-1]


def best_of_m(table: TrialsTable, trials: Sequence[FrozenTrial], *, seed: int) -> BestOfM | None:
    """Return the curve for the study of `table`. `trials` are all that ended well or were pruned.

    None with fewer than 8 trials, without any value, and for a grid.
    """
    if not len(table.loss) or table.is_grid:
        return None
    own = [trial for trial in trials if schema.IMPORTED_FROM not in trial.user_attrs]  # drawn from another space
    chosen, basis = _exchangeable(own)
    values = dict(zip(table.numbers.tolist(), table.loss.tolist(), strict=True))
    found = [values[trial.number] for trial in chosen if trial.number in values]
    without = [trial for trial in chosen if trial.number not in values]
    n_lost = sum(trial.state == TrialState.PRUNED or not can_be_best(trial) for trial in without)
    if len(found) + n_lost < MIN_CURVE_TRIALS or not found:
        return None
    loss = np.array([*found, *[max(found)] * n_lost])
    return replace(
        _curve(loss, maximize=table.maximize, basis=basis, n_lost=n_lost, seed=seed),
        n_predicted=len({*table.numbers[~table.is_measured].tolist()} & {trial.number for trial in chosen}),
        policy=table.compared if table.is_completed else table.policy,
    )


def expected_best(loss: Array, sizes: Sequence[int]) -> Array:
    """Return the expected least value of m of the n values in `loss` (…, n), for each m of `sizes`: (…, M)."""
    n = loss.shape[-1]
    return np.asarray(np.sort(loss, axis=-1)[..., ::-1] @ _weights(n, sizes))


def greatest_gain(loss: Array) -> float:
    """Return the most that as many trials again bring on average, with a confidence of 97.5 %. `loss` is (n,), n at
    least 5.

    The mean distance of the k best from the next one estimates the scale of an exponential tail: 2k · estimate / scale
    has a χ² distribution with 2k degrees of freedom. Coarse values that tie with the next one hide up to half a step.
    """
    ordered = np.sort(loss)
    k = min(MOST_BEST, max(LEAST_BEST, len(loss) // 4))
    scale = float(ordered[k] - ordered[:k].mean())
    if (loss == ordered[k]).sum() > 1:
        scale += float(min(np.diff(np.unique(loss)), default=0.0)) / 2
    return math.log(2) * scale * 2 * k / float(chi2.ppf(1 - PERCENTILES[1] / 100, 2 * k))


def _weights(n: int, sizes: Sequence[int]) -> Array:
    """Return the weights of the i-th worst value in the expected best of m: (n, M)."""
    i, m = np.arange(1, n + 1)[:, None], np.array(sizes)[None, :]
    possible = i >= m
    below = np.where(possible, i - m, 0)  # i − 1 − (m − 1)
    logarithm = gammaln(i) - gammaln(m) - gammaln(below + 1) - (gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1))
    return np.where(possible, np.exp(logarithm), 0.0)


def _exchangeable(trials: Sequence[FrozenTrial]) -> tuple[Sequence[FrozenTrial], Basis]:
    filling = [trial for trial in trials if trial.user_attrs.get(schema.SOURCE) in SPACE_FILLING]
    if len(filling) == len(trials):
        return trials, "all"
    return (filling, "space-filling") if len(filling) >= MIN_SPACE_FILLING else (trials, "sequential")


def _curve(loss: Array, *, maximize: bool, basis: Basis, n_lost: int, seed: int) -> BestOfM:
    n, sign = len(loss), -1.0 if maximize else 1.0
    sizes = list(range(1, n + 1))
    if n > MAX_POINTS:
        spaced = np.geomspace(1, n, MAX_POINTS).round().astype(int)
        sizes = sorted({n // 4, n // 2, *spaced.tolist()})
    rng = np.random.default_rng(seed)
    drawn = expected_best(rng.choice(loss, size=(N_RESAMPLES, n)), sizes)
    curve = expected_best(loss, sizes)
    at = [sizes.index(size) for size in (n // 4, n // 2, n)]
    ends = np.percentile(sign * drawn, PERCENTILES, axis=0)
    last, gain = _gains(curve[None, at])
    lasts, gains = _gains(drawn[:, at])
    bootstrapped = _estimate(float(gain[0]), gains)
    return BestOfM(
        sizes=tuple(sizes),
        expected=sign * curve,
        lo=np.minimum(ends[0], sign * curve),
        hi=np.maximum(ends[1], sign * curve),
        gain=replace(bootstrapped, hi=max(bootstrapped.value, greatest_gain(loss))),
        last_gain=_estimate(float(last[0]), lasts),
        basis=basis,
        n_lost=n_lost,
    )


def _gains(quarters: Array) -> tuple[Array, Array]:
    """Return the gain of the last doubling and the one expected of the next, from the curve at n/4, n/2 and n."""
    before, last = quarters[:, 0] - quarters[:, 1], quarters[:, 1] - quarters[:, 2]
    shrinks = np.clip(np.divide(last, before, out=np.zeros_like(last), where=before > 0), 0.0, 1.0)
    return last, last * shrinks


def _estimate(value: float, drawn: Array) -> Estimate:
    lo, hi = np.percentile(drawn, PERCENTILES)
    return Estimate(value, min(float(lo), value), max(float(hi), value))


def is_enough(found: BestOfM, tolerance: float) -> bool | None:
    """Return whether as many trials again would surely bring less than `tolerance`. False: surely more. None: not
    known."""
    if math.isnan(found.gain.value):
        return None
    if found.gain.is_below(tolerance):
        return True
    return False if found.gain.is_above(tolerance) else None
