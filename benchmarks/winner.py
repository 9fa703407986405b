"""Whether the reported winner is luck: simulated searches of known true values, through the race's own functions.

60 candidates whose true values spread as widely as the seeds' noise (standard deviation 1 each); the best 8 single
values race on up to 8 common fresh seeds, and the winner's value is estimated on 8 others, as a study does it. Optimism
is the reported value minus the true one, in standard deviations; the argmax of the search beside it. Also the size of
the race, where all candidates are equally good and coarse as accuracies are, and its power.

    python benchmarks/winner.py [simulations]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.racing import Elimination, estimate_of, interim_analyses, run_race

N_CANDIDATES, K, SEEDS, ESTIMATE_SEEDS = 60, 8, 8, 8
TARGET_OPTIMISM, TARGET_COVERAGE, TARGET_LOST = 0.1, 0.90, 0.05
LEVEL, STEP = 0.95, 1 / 750  # of a validation accuracy on 750 samples


@dataclass(frozen=True)
class Outcome:
    """One simulated study: optimism of the search's best value and of the reported one, whether the interval has the
    truth, how much better the winner is than the search's best, and trainings spent."""

    argmax: float
    reported: float
    covered: bool
    gain: float
    n_trainings: int


def simulate(seed: int) -> Outcome:
    """Return a search, a race, an estimate. The seeds have an effect of their own too, which all candidates share."""
    rng = np.random.default_rng([seed, 2600])
    truth = rng.standard_normal(N_CANDIDATES)
    searched = truth + rng.standard_normal(N_CANDIDATES)
    best = np.argsort(-searched)[:K]
    noise = rng.standard_normal((K, SEEDS)) + 0.5 * rng.standard_normal(SEEDS)
    elimination, n_trainings = raced(truth[best, None] + noise)
    assert elimination.leader is not None
    winner = best[elimination.leader]
    fresh = truth[winner] + rng.standard_normal(ESTIMATE_SEEDS)
    found: Estimate = estimate_of(fresh)
    return Outcome(
        float(searched[best[0]] - truth[best[0]]),
        float(found.value - truth[winner]),
        found.ends[0] <= truth[winner] <= found.ends[1],
        float(truth[winner] - truth[best[0]]),
        n_trainings + ESTIMATE_SEEDS,
    )


def raced(values: Array) -> tuple[Elimination, int]:
    """Return the race over `values` (k, seeds), look after look, and how many trainings it takes."""
    analyses, n_trainings, before = interim_analyses(values.shape[1]), 0, 0
    survivors: tuple[int, ...] = tuple(range(len(values)))
    elimination = None
    for number, n_seeds in enumerate(analyses, 1):
        if elimination is not None and len(survivors) == 1:
            break
        n_trainings, before = n_trainings + len(survivors) * (n_seeds - before), n_seeds
        elimination = run_race(values, analyses=analyses[:number], n_analyses=len(analyses), maximize=True)
        survivors = elimination.survivors
    assert elimination is not None
    return elimination, n_trainings


def lost_under_ties(seed: int, *, coarse: bool) -> bool:
    """Whether the first of equally good candidates, any of which may be called the best, leaves the race."""
    rng = np.random.default_rng([seed, 4124])
    values = 0.95 + 0.004 * (rng.standard_normal((K, SEEDS)) + rng.standard_normal(SEEDS))
    values = np.round(values / STEP) * STEP if coarse else values
    return 0 not in raced(values)[0].survivors


def kept_though_worse(seed: int, *, gap: float) -> bool:
    """Whether a candidate that is worse than the others by `gap` standard deviations stays to the end."""
    rng = np.random.default_rng([seed, 1993])
    values = rng.standard_normal((K, SEEDS))
    values[0] -= gap
    return 0 in raced(values)[0].survivors


def main(n: int) -> None:
    outcomes = [simulate(seed) for seed in range(n)]
    argmax = np.array([outcome.argmax for outcome in outcomes])
    reported = np.array([outcome.reported for outcome in outcomes])
    coverage = float(np.mean([outcome.covered for outcome in outcomes]))
    error = 1.96 * float(reported.std(ddof=1)) / n**0.5
    print(f"{n} simulated studies: {N_CANDIDATES} candidates, true spread equal to the seeds' noise (sd 1)")
    print(f"  optimism of the search's best value   {argmax.mean():+.2f}")
    ok = abs(reported.mean()) <= TARGET_OPTIMISM
    print(
        f"  optimism of the reported value        {reported.mean():+.3f} ± {error:.3f} (target ±{TARGET_OPTIMISM})",
        _ok(ok),
    )
    print(
        f"  coverage of its 95 % interval         {coverage:.3f} (target ≥ {TARGET_COVERAGE})",
        _ok(coverage >= TARGET_COVERAGE),
    )
    print(f"  the winner is better than the search's best by {np.mean([o.gain for o in outcomes]):.2f} sd in the mean")
    spent = float(np.mean([outcome.n_trainings for outcome in outcomes]))
    print(f"  trainings of a selection, mean        {spent:.1f} of {K * SEEDS + ESTIMATE_SEEDS}")
    for coarse in (False, True):
        lost = float(np.mean([lost_under_ties(seed, coarse=coarse) for seed in range(5 * n)]))
        kind = "accuracies on 750 samples" if coarse else "normal values"
        print(f"  the best of {K} ties is lost, {kind}: {lost:.3f} (target ≤ {TARGET_LOST})", _ok(lost <= TARGET_LOST))
    for gap in (2.0, 3.0, 4.0):
        kept = float(np.mean([kept_though_worse(seed, gap=gap) for seed in range(n)]))
        print(f"  one that is worse by {gap:g} sd has left in {1 - kept:.2f} of races")


def _ok(reached: bool) -> str:
    return "ok" if reached else "MISSED"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
