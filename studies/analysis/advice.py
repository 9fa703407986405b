"""Advice on the next trials of an analysis that cannot be believed yet: how many, and of which kind."""

from __future__ import annotations

import math

from studies.analysis.verdict import (
    CAUTION_ERROR,
    CAUTION_Q2,
    LOST,
    NOTICED,
    SPACE_FILLING,
    UNEXPLAINED,
    Evidence,
    Verdict,
    trials_wanted,
)
from studies.text.wording import counted


def advice(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Return what would make the verdict ok. Nothing is wanted where it is ok already."""
    if verdict.level == "ok":
        return ()
    if not evidence.n and evidence.infeasible:
        return ("loosen the constraints or search elsewhere: no feasible trial has a value",)
    if not evidence.n:
        return ("find out why no trial ended with a value: see how trials ended",)
    if evidence.n == 1:
        return ("run more trials: only one has a value to compare",)
    if evidence.is_constant:
        at = "" if evidence.compared == "final" else f" at {evidence.compared}"
        return (f"check the metric: no trial differs from another{at}",)
    if not evidence.n_parameters:
        return ("let at least one parameter vary",)
    found = (*_more_trials(evidence), *_better_trials(evidence))
    return found or ("look at what both estimators say before you use the index in doubt",)


def space_filling_needed(evidence: Evidence) -> int:
    """Return how many more quasi-random trials bring their number and share to the wanted ones."""
    missing = max(0, trials_wanted(evidence) - evidence.n)
    share = SPACE_FILLING if evidence.space_filling is None else evidence.space_filling  # unknown: nothing is wanted
    for_share = math.ceil(max(0.0, (SPACE_FILLING - share) * evidence.n / (1 - SPACE_FILLING)))
    unpredicted = not (evidence.explained >= CAUTION_Q2 and evidence.error <= CAUTION_ERROR) and not missing
    return max(missing, for_share, evidence.n if unpredicted else 0)


def _more_trials(evidence: Evidence) -> list[str]:
    found = []
    needed = space_filling_needed(evidence)
    more = counted(needed, "more trial", "more trials")
    if evidence.space_filling is None:
        found.append("say who proposed the points if you know it (analysis.source=random, qmc, grid, tpe, …)")
    elif needed and evidence.is_grid:
        found.append(f"give the grid more levels or replicates: {more}")
    if needed and not evidence.is_grid:
        points = counted(needed, "more quasi-random trial", "more quasi-random trials")
        found.append(f"run {points} (sampler=qmc, or sampler.explore_fraction=0.9, or Optuna's QMCSampler)")
    if evidence.survivors_only and evidence.steps_differ:
        found.append("let all trials report at the same steps (epochs, say), or run without a pruner")
    elif evidence.survivors_only:
        found.append("let trials report intermediate values, or run without a pruner")
    elif evidence.has_own_steps:
        found.append("let all trials report at the same steps (epochs, say)")
    noise = evidence.noise_share
    if noise is not None and noise > 1 - CAUTION_Q2:
        found.append(f"{noise:.0%} of the variance is between training seeds: train each point with more of them")
    return found


def _better_trials(evidence: Evidence) -> list[str]:
    found = []
    if evidence.failed + evidence.capped > LOST:
        ends = {"give no value": evidence.failed, "end at the worst value": evidence.capped}
        told = " or ".join(end for end, share in ends.items() if share >= NOTICED)
        found.append(f"narrow the ranges so that fewer trials {told}")
    if evidence.infeasible:
        found.append("narrow the ranges to where trials are feasible (see the next round)")
    if evidence.is_misfit:
        found.append("add levels or trials where the fit misses the replicates' means (see the leave-one-out plot)")
    if evidence.is_repeated:
        found.append("give repeated points training seeds of their own (a grid with replicates does)")
    if evidence.unexplained > UNEXPLAINED:
        found.append("three parameters may act together: fix one of them and study the other two in a grid")
    return found
