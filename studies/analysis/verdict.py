"""Whether a result may be believed: the gates of every analysis.

*Unreliable*: the model does not predict left-out trials, the errors of all shares add up to more than 1, there are
fewer than 5 trials a parameter, only survivors of pruning are seen, or nothing varies. It does not predict if Q² < .25.
If replicates tell the noise, Q² counts over the share that noise leaves. *Caution*: all else that is known to bias
indices or their intervals, and errors of the shares that add up to more than .25. The rest is `ok`. The errors are
those that the fit expects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import chi2

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL, MIN_RELIABLE_TRIALS
from studies.text.wording import counted

Level = Literal["ok", "caution", "unreliable"]
LEVELS: tuple[Level, ...] = ("ok", "caution", "unreliable")

UNRELIABLE_Q2 = 0.25
CAUTION_Q2 = 0.5
UNRELIABLE_ERROR = 1.0  # the expected sum of absolute errors of mains and pairs
CAUTION_ERROR = 0.25
UNRELIABLE_TRIALS = 5  # times the number of parameters
CAUTION_TRIALS = 10  # times the number of parameters
SPACE_FILLING = 0.20
LOST = 0.05  # without a value, or capped
MOST_LOST = 0.30
REPEATED = 0.02  # of the trials: fewer repeats make no difference
MIN_CAPPED = 3  # trials: two bad ones are no cap
CAP_OF_TIES = 2  # times as many as have the next value
APART = 0.2  # of the spread, between a cap's cluster and all others
CAP_OF_SCATTER = 6  # standard deviations of the cluster
CAP_OF_GAPS = 2  # times every other gap
NOTICED = 0.005  # a smaller share reads as 0 %
MIN_PURE_FREEDOM = 10  # replicates beyond the first of each point, before their noise is taken into account
LACK_OF_FIT_P = 0.01
SMALL_MISFIT = 0.1  # of the variance: many replicates make a smaller one significant
DISAGREEMENT = 0.05
UNEXPLAINED = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a result may be believed, and what speaks against it."""

    level: Level
    reasons: tuple[str, ...] = ()

    def and_also(self, level: Level, reason: str) -> Verdict:
        """Return this verdict with one more reason for caution or worse."""
        return Verdict(max(self.level, level, key=LEVELS.index), (*self.reasons, reason))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for a verdict.

    q2: NaN if nothing was fitted
    error: the expected sum of the absolute errors of mains and pairs
    compared, survivors_only, steps_differ, has_own_steps: as in `TrialsTable`
    noise_share: the least noise that replicates allow, of the target's variance. None without replicates.
    lack_of_fit_p: None without replicates
    misfit: the variance of the points about the fit beyond the noise of replicates, per degree of freedom, of the
        variance on the scale of the fit. None without replicates
    space_filling: the share of space-filling trials, None if unknown
    failed: the share of trials without a value, pruned ones not counted
    infeasible: the share of trials that violate a constraint
    capped: the share at the worst value
    against: what speaks against the largest effects, in words
    n_duplicates: trials that repeat a point without another training seed
    """

    n: int
    n_parameters: int
    q2: float
    compared: str = "final"
    is_constant: bool = False
    survivors_only: bool = False
    steps_differ: bool = False
    has_own_steps: bool = False
    noise_share: float | None = None
    lack_of_fit_p: float | None = None
    misfit: float | None = None
    space_filling: float | None = None
    failed: float = 0.0
    infeasible: float = 0.0
    capped: float = 0.0
    n_duplicates: int = 0
    error: float = 0.0
    against: tuple[str, ...] = ()
    unexplained: float = 0.0
    is_grid: bool = False

    @property
    def is_misfit(self) -> bool:
        """Whether replicates show a lack of fit that is not small."""
        p, misfit = self.lack_of_fit_p, self.misfit
        return p is not None and misfit is not None and p < LACK_OF_FIT_P and misfit > SMALL_MISFIT

    @property
    def is_repeated(self) -> bool:
        """Whether so many trials are duplicates that the others count for less."""
        return self.n_duplicates > REPEATED * self.n

    @property
    def explained(self) -> float:
        """Q², divided by the share that is not noise if replicates tell it."""
        return self.q2 / (1 - self.noise_share) if self.noise_share is not None and self.noise_share < 1 else self.q2


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on all that was computed from one set of trials."""
    verdict = Verdict("ok")
    for level, reason in (*_unreliable(evidence), *_caution(evidence)):
        verdict = verdict.and_also(level, reason)
    return verdict


def disagrees(index: Estimate, second: float) -> bool:
    """Return whether a second estimate lies beyond an index's interval, and not close to its value. NaN never does."""
    lo, hi = index.ends
    return (second < lo or second > hi) and abs(index.value - second) > DISAGREEMENT


def capped_share(loss: Array) -> float:
    """Return the share of trials tied at the worst end, or in a tight cluster there. `loss` (n,), lower is better.

    This is the mark of a cap, as a diverged training leaves it. Sparse tails and coarse scales leave a few bad values
    by chance, so at least 3 count. They are tied if fewer than half as many have the next value. They stand apart if
    the gap is a fifth of the spread, 6 times the cluster's standard deviation and twice every other gap. Of 18
    Gaussian, exponential or uniform values that tells of a cap in 1 to 3 % of samples, of 40 in at most 2 %, of 200
    never. Three of 18 at a noisy cap are found in 99 %.
    """
    spread = float(np.ptp(loss)) if len(loss) else 0.0
    if len(loss) <= MIN_CAPPED or spread == 0:
        return 0.0
    worst_first = np.sort(loss)[::-1]
    counted = max(_tied(worst_first, 1e-9 * spread), _apart(worst_first, APART * spread))
    return counted / len(loss) if counted >= MIN_CAPPED else 0.0


def replicate_noise(y: Array, points: np.typing.NDArray[np.intp], replicates: Sequence[int | None]) -> float | None:
    """Return the variance of y between replicates of a point ÷ its whole variance.

    `points` (n,) numbers the distinct points. The share is the lower end of its 95 % interval (χ²), for a verdict is
    not to profit from ignorance. It is None with fewer than 10 degrees of freedom.
    """
    squares, freedom, _ = replicate_scatter(y, points, replicates)
    variance = float(y.var()) if len(y) else 0.0
    if freedom < MIN_PURE_FREEDOM or variance == 0:
        return None
    return min(1.0, squares / float(chi2.ppf((1 + LEVEL) / 2, freedom)) / variance)


def replicate_scatter(
    values: Array, points: np.typing.NDArray[np.intp], replicates: Sequence[int | None]
) -> tuple[float, int, int]:
    """Return the squares of `values` (n,) about the means of replicated points, their freedom, and the duplicates.

    Duplicates repeat a point without being another replicate of it. `points` (n,) numbers the distinct points.
    """
    squares, freedom, n_duplicates = 0.0, 0, 0
    for point in np.unique(points):
        rows = np.flatnonzero(points == point)
        declared = [replicates[int(row)] for row in rows]
        distinct = {replicate for replicate in declared if replicate is not None}
        n_duplicates += len(rows) - max(1, len(distinct))
        if len(rows) > 1 and len(distinct) > 1:
            squares += float(np.sum((values[rows] - values[rows].mean()) ** 2))
            freedom += len(rows) - 1
    return squares, freedom, n_duplicates


def _tied(worst_first: Array, rounding: float) -> int:
    """Return how many have the worst value, 0 if the next value is about as frequent."""
    tied = int(np.sum(worst_first >= worst_first[0] - rounding))
    following = worst_first[tied:]
    n_next = int(np.sum(following >= following[0] - rounding))
    return tied if tied > CAP_OF_TIES * n_next else 0


def _apart(worst_first: Array, least: float) -> int:
    """Return how many lie beyond the widest gap of the worse half, 0 if it is not remarkably wide."""
    half = len(worst_first) // 2
    gaps = worst_first[:half] - worst_first[1 : half + 1]
    n = int(np.argmax(gaps)) + 1
    second = float(np.delete(gaps, n - 1).max(initial=0.0))
    wanted = max(least, CAP_OF_SCATTER * float(worst_first[:n].std()), CAP_OF_GAPS * second)
    return n if gaps[n - 1] >= wanted else 0


def _unreliable(evidence: Evidence) -> list[tuple[Level, str]]:
    found = []
    if not evidence.n:
        found.append("no feasible trial has a value" if evidence.infeasible else "no trial has a value")
    elif evidence.is_constant:
        at = "" if evidence.compared == "final" else f" at {evidence.compared}"
        found.append(f"all trials have the same value{at}")
    elif not evidence.n_parameters:
        found.append("no parameter varies in all trials")
    if evidence.survivors_only:
        what = "reported at steps that the others do not share" if evidence.steps_differ else "reported nothing"
        found.append(f"many trials were pruned and {what}: only survivors are seen")
    if evidence.n < UNRELIABLE_TRIALS * evidence.n_parameters:
        found.append(
            f"{counted(evidence.n, 'trial', 'trials')} for {counted(evidence.n_parameters, 'parameter', 'parameters')}"
        )
    if evidence.failed > MOST_LOST:
        found.append(f"{evidence.failed:.0%} of the trials gave no value")
    if evidence.infeasible > MOST_LOST:
        found.append(_infeasible(evidence))
    if not evidence.explained >= UNRELIABLE_Q2 and not evidence.is_constant and evidence.n_parameters:
        found.append("nothing was fitted" if math.isnan(evidence.q2) else f"Q² {evidence.explained:.2f}")
    if evidence.error > UNRELIABLE_ERROR:
        found.append(_error(evidence))
    if evidence.unexplained > UNEXPLAINED:
        found.append(f"mains and pairs leave {evidence.unexplained:.0%} of the variance unexplained")
    return [("unreliable", reason) for reason in found]


def _caution(evidence: Evidence) -> list[tuple[Level, str]]:
    found = []
    if UNRELIABLE_Q2 <= evidence.explained < CAUTION_Q2:
        found.append(f"Q² {evidence.explained:.2f}")
    if CAUTION_ERROR < evidence.error <= UNRELIABLE_ERROR:
        found.append(_error(evidence))
    found.extend(evidence.against)
    wanted = trials_wanted(evidence)
    if UNRELIABLE_TRIALS * evidence.n_parameters <= evidence.n < wanted:
        found.append(f"{counted(evidence.n, 'trial', 'trials')}, fewer than {wanted}")
    if evidence.space_filling is None:
        found.append("who proposed the points is not recorded")
    elif evidence.space_filling < SPACE_FILLING:
        found.append(f"{evidence.space_filling:.0%} space-filling trials")
    if evidence.failed + evidence.capped > LOST:
        found.append(_lost(evidence))
    if 0 < evidence.infeasible <= MOST_LOST:
        found.append(_infeasible(evidence))
    if evidence.has_own_steps:
        found.append("trials report at steps of their own, so values of different steps are compared")
    if evidence.is_misfit:
        found.append(f"replicates show lack of fit (p = {evidence.lack_of_fit_p:.1g})")
    if evidence.is_repeated:
        repeating = counted(evidence.n_duplicates, "trial repeats", "trials repeat")
        found.append(f"{repeating} a point without another training seed")
    return [("caution", reason) for reason in found]


def _error(evidence: Evidence) -> str:
    return f"the errors of all shares add up to about {evidence.error:.2f}"


def _infeasible(evidence: Evidence) -> str:
    share = f"{evidence.infeasible:.0%}" if evidence.infeasible >= NOTICED else "a few"
    return f"{share} of the trials are infeasible and left out: nothing is known of the values there"


def _lost(evidence: Evidence) -> str:
    """Return which trials gave no value or a capped one. A share that rounds to nothing is left out."""
    failed, capped = f"{evidence.failed:.0%} of the trials", f"{evidence.capped:.0%}"
    ends = "together at the worst value, as if capped"
    if evidence.capped < NOTICED:
        return f"{failed} gave no value"
    if evidence.failed < NOTICED:
        return f"{capped} of the trials lie {ends}"
    return f"{failed} gave no value and {capped} lie {ends}"


def trials_wanted(evidence: Evidence) -> int:
    """Return how many trials an analysis needs. Few do for one parameter on a grid whose replicates tell the noise."""
    is_replicated = evidence.is_grid and evidence.noise_share is not None
    least = 0 if is_replicated and evidence.n_parameters == 1 else MIN_RELIABLE_TRIALS
    return max(least, CAUTION_TRIALS * evidence.n_parameters)
