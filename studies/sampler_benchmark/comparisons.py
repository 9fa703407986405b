"""Pairwise comparisons: how often one sampler has the smaller regret under the same seed on the same problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import binom, binomtest, norm

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL
from studies.analysis.paired import holm
from studies.sampler_benchmark.runs import BenchmarkRun, problems_of, runs_on, samplers_of


@dataclass(frozen=True, slots=True)
class PairwiseComparison:
    """How `a` fares against `b`, with the same seeds and problems side by side.

    The interval of `gain` holds 0 where `p` is above 5 %: it is the sign test turned round. It is infinite if the pairs
    are too few. All problems together have no gain (NaN), because their regrets differ in scale.
    """

    problem: str | None  # None: all problems together
    a: str
    b: str
    at: int  # after so many trials
    chance: Estimate  # that the regret of `a` is the smaller one; a tie counts half
    gain: Estimate  # by how much the regret of `a` is smaller, the median
    p: float  # of the sign test, after Holm's correction over all comparisons on the same problem

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.chance.n or 0

    @property
    def turned(self) -> PairwiseComparison:
        """The same comparison, seen from the other side."""
        lo, hi = self.chance.ends
        chance = replace(self.chance, value=1 - self.chance.value, lo=1 - hi, hi=1 - lo)
        return replace(self, a=self.b, b=self.a, chance=chance, gain=self.gain.turned)


def comparisons(runs: Sequence[BenchmarkRun]) -> list[PairwiseComparison]:
    """Compare each pair of samplers on each problem, and on all problems together if there are several.

    Only samplers that ran on all problems are compared on all together. Where one had fewer trials, both are compared
    after so many.
    """
    names = problems_of(runs)
    found: list[PairwiseComparison] = []
    for problem in [*names, *([None] if len(names) > 1 else [])]:
        here = list(runs) if problem is None else runs_on(runs, problem)
        on_all = [e for e in samplers_of(here) if {r.problem for r in here if r.sampler == e} == {*problems_of(here)}]
        pairs = [_compared(problem, a, b, here) for a, b in combinations(on_all, 2)]
        met = [pair for pair in pairs if pair is not None]
        adjusted = holm([comparison.p for comparison, _ in met])
        found += [_adjusted(*pair, p=p, n_comparisons=len(met)) for pair, p in zip(met, adjusted, strict=True)]
    return found


def _compared(
    problem: str | None, a: str, b: str, here: Sequence[BenchmarkRun]
) -> tuple[PairwiseComparison, Array] | None:
    """Return the comparison before any correction, with the sorted gains of its pairs (n,)."""
    of_a = {(run.problem, run.seed): run for run in here if run.sampler == a}
    of_b = {(run.problem, run.seed): run for run in here if run.sampler == b}
    common = [key for key in of_a if key in of_b]
    if not common:
        return None
    at = min(len(run.regret) for key in common for run in (of_a[key], of_b[key]))
    gains = np.sort([of_b[key].regret[at - 1] - of_a[key].regret[at - 1] for key in common])
    wins, losses, n = int((gains > 0).sum()), int((gains < 0).sum()), len(gains)
    chance = (wins + (n - wins - losses) / 2) / n
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return PairwiseComparison(problem, a, b, at, wilson(chance, n), Estimate(math.nan), p), gains


def _adjusted(comparison: PairwiseComparison, gains: Array, *, p: float, n_comparisons: int) -> PairwiseComparison:
    """Return the comparison with Holm's `p`, and with its gain if it is on one problem."""
    if comparison.problem is None:
        return replace(comparison, p=p)
    alpha = (1 - LEVEL) * (comparison.p / p if p < 1 else 1 / n_comparisons)
    gain = Estimate(float(np.median(gains)), *median_interval(gains, alpha=alpha), n=comparison.n, level=1 - alpha)
    return replace(comparison, p=p, gain=gain)


def median_interval(ordered: Array, *, alpha: float) -> tuple[float, float]:
    """Return the interval of a median at the level 1 - `alpha`: the sign test turned round.

    Its ends are two of the `ordered` values (n,). They are infinite if the values are too few for the level.
    """
    n = len(ordered)
    n_out = int(np.sum(2 * binom.cdf(np.arange(n // 2), n, 0.5) <= alpha))  # values left out at each end
    return (float(ordered[n_out - 1]), float(ordered[n - n_out])) if n_out else (-math.inf, math.inf)


def wilson(share: float, n: int) -> Estimate:
    """Return a share of `n` with its Wilson 95 % interval (Wilson 1927). Half a win counts half."""
    z = float(norm.ppf((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Estimate(share, middle - half, middle + half, n).within(0.0, 1.0)
