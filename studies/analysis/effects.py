"""Main effects and interactions of hyperparameters: `get_param_interactions`, beside Optuna's `get_param_importances`.

An effect of order 1 is that of a parameter on average over all others. One of order 2 is the effect of two beyond the
sum of their own effects. Estimates are Sobol indices: shares of the variance of the noise-free function over the search
space. An interaction is claimed if its lower bound exceeds .01 and the verdict is ok.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from optuna import Study

from studies.analysis.estimate import Estimate
from studies.analysis.fit import Fit, fit_table
from studies.analysis.levels import CLAIM, NO_EFFECT, NOT_KNOWN
from studies.analysis.sobol import METHOD
from studies.analysis.table import Target, TrialsTable, ValuePolicy, trials_table
from studies.analysis.threads import one_thread
from studies.analysis.verdict import Level, Verdict, disagrees

Kind = Literal["main", "interaction", "unexplained", "noise"]
NOTHING = Estimate(math.nan)
SHARE_DIGITS = 3  # of a share in words and tables


@dataclass(frozen=True, slots=True)
class Effect:
    """An index with its interval and its evidence.

    order: 1 for a main effect, 2 for a pair, 3 for what mains and pairs leave unexplained, 0 for the noise
    estimate: a share of the noise-free variance, that of the noise a share of the whole
    second: the estimate by polynomial chaos
    scope: the conditional parameters whose active trials were used, empty if all trials were
    """

    params: tuple[str, ...]
    kind: Kind
    order: int
    estimate: Estimate
    verdict: Level
    reasons: tuple[str, ...]
    n_used: int
    n_pruned: int
    n_failed: int
    random_share: float | None
    q2: float
    seed: int
    second: float = math.nan
    scope: tuple[str, ...] = ()
    method: str = METHOD

    @property
    def name(self) -> str:
        """The parameters joined by `*`. A row without parameters has its kind in brackets."""
        return "*".join(self.params) if self.params else f"({self.kind})"

    @property
    def is_known(self) -> bool:
        """Whether the interval says anything."""
        lo, hi = self.estimate.ends
        return hi - lo < NOT_KNOWN

    @property
    def is_claimed(self) -> bool:
        """Whether this is an interaction that the trials show."""
        return self.order == 2 and self.verdict == "ok" and self.estimate.is_above(CLAIM)

    @property
    def is_excluded(self) -> bool:
        """Whether the trials show that there is no such effect above 5 % of the variance."""
        return self.verdict == "ok" and self.estimate.is_below(NO_EFFECT)


@one_thread
def get_param_interactions(
    study: Study,
    *,
    params: Sequence[str] | None = None,
    target: Target | None = None,
    value_policy: ValuePolicy = "auto",
    source: str | None = None,
    seed: int = 0,
) -> list[Effect]:
    """Return main effects, pairs, the unexplained and the noise of any Optuna study, with their intervals and verdicts.

    A study that cannot be analysed gives effects without numbers. Their verdict says why. Of several objectives the
    effects are those on the first. Raises `BadInput` for unknown parameters and for final values of a much pruned
    study.

    params: the parameters to look at. The effects of all others then count as noise.
    target: maps a trial to a number to analyse instead of its value
    value_policy: `final`, `common_rung`, or `auto`: if more than 10 % of the trials were pruned, their last values are
        predicted from their curves
    source: the sampler of trials without a recorded one (`random`, `qmc`, `grid`, `tpe`, …). An unknown origin calls
        for caution.
    """
    table = trials_table(study, params=params, target=target, value_policy=value_policy, source=source)
    return effects_of(fits_of(table, seed=seed), seed=seed)


def fits_of(table: TrialsTable, *, seed: int) -> list[Fit]:
    """Return the fits: over all trials first, then over each set with active conditional parameters."""
    everywhere = [name for name in table.names if table.active([name]).all()]
    fits = [fit_table(table.over(table.active(everywhere), everywhere), seed=seed)]
    done = {table.active(everywhere).tobytes()}
    for names in _scopes(table):
        rows = table.active(names)
        if rows.tobytes() not in done and rows.any():
            done.add(rows.tobytes())
            inside = table.over(rows, [name for name in table.names if table.active([name])[rows].all()])
            fits.append(fit_table(_without_constants(inside), seed=seed))
    return fits


def strongest_first(effects: Iterable[Effect]) -> list[Effect]:
    """Return effects by their shares, the largest first and unknown ones last.

    Shares that read alike stay in their order: their other digits are noise, and differ from processor to processor.
    """

    def place(effect: Effect) -> float:
        share = effect.estimate.value
        return math.inf if math.isnan(share) else -round(share, SHARE_DIGITS)

    return sorted(effects, key=place)


def effects_of(fits: Sequence[Fit], *, seed: int) -> list[Effect]:
    """Return the effects of all fits: mains and pairs, each from the largest set of trials with it."""
    found: dict[tuple[str, ...], Effect] = {}
    for fit in sorted(fits, key=lambda fit: -fit.n_trials):
        for effect in _effects(fit, scope=_scope(fit, fits[0]), seed=seed):
            if effect.params or fit is fits[0]:
                found.setdefault(effect.params or (effect.kind,), effect)
    return sorted(found.values(), key=lambda effect: (not effect.params, effect.order))


def _effects(fit: Fit, *, scope: tuple[str, ...], seed: int) -> Iterator[Effect]:
    names, first, second = fit.table.names, fit.sobol, fit.chaos

    def effect(params: tuple[str, ...], kind: Kind, order: int, index: Estimate, other: float) -> Effect:
        verdict = _verdict(fit.verdict, index, other)
        return Effect(
            params=params,
            kind=kind,
            order=order,
            estimate=index,
            verdict=verdict.level,
            reasons=verdict.reasons,
            n_used=len(fit.table.y),
            n_pruned=fit.table.n_pruned,
            n_failed=fit.table.n_failed,
            random_share=fit.table.space_filling_share,
            q2=fit.evidence.q2,
            seed=seed,
            second=other,
            scope=scope,
        )

    for i, name in enumerate(names):
        index, other = (first.mains[i], float(second.main[i])) if first and second else (NOTHING, math.nan)
        yield effect((name,), "main", 1, index, other)
    for i, j in itertools.combinations(range(len(names)), 2):
        index, other = (first.pairs[i, j], float(second.pairs[i, j])) if first and second else (NOTHING, math.nan)
        yield effect((names[i], names[j]), "interaction", 2, index, other)
    yield effect((), "unexplained", 3, NOTHING if first is None else first.unexplained, math.nan)
    yield effect((), "noise", 0, NOTHING if first is None else first.noise, math.nan)


def _verdict(verdict: Verdict, index: Estimate, other: float) -> Verdict:
    """Return the fit's verdict with the evidence against this index alone."""
    if disagrees(index, other):
        return verdict.and_also("caution", f"polynomial chaos says {other:.2f}")
    return verdict


def _scopes(table: TrialsTable) -> Iterator[tuple[str, ...]]:
    """Yield the conditional parameters, alone and in pairs."""
    conditional = [name for name in table.names if not table.active([name]).all()]
    yield from itertools.chain.from_iterable(itertools.combinations(conditional, n) for n in (1, 2))


def _scope(fit: Fit, whole: Fit) -> tuple[str, ...]:
    return () if fit is whole else tuple(name for name in fit.table.names if name not in whole.table.names)


def _without_constants(table: TrialsTable) -> TrialsTable:
    """Return the table without parameters of one value, such as the parent of a conditional one."""
    varied = [name for i, name in enumerate(table.names) if len(set(table.x[:, i])) > 1]
    return table.over(table.active(table.names), varied)
