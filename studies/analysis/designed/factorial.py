"""The analysis of variance of a designed experiment: exact F tests, and effect sizes with intervals.

Model: y = [block] + mean of the cell + normal noise of one variance s². The error is what cells and blocks leave over.
Sums of squares are the classical ones if every cell has as many trials. Else they are of Type II: a term given all
terms that do not contain it. F tests are exact either way. Terms above `max_order` are together the *lack of fit*.
Without replicates the interactions of the highest order take the error's place.

Effect sizes, with V(T) the variance of term T of the noise-free function under equal weights of a factor's levels:
  omega²  V(T) / (ΣV + V(block) + s²), in a balanced design (SS − df·MSE) / (SS_total + MSE), at least 0 (Hays 1963).
  share   V(T) / ΣV: a Sobol index under equal weights of the levels, lack of fit counted in ΣV.
V(block) is that of the blocks at hand. With empty cells, the filled ones weigh by their trials, and a note says so.
Intervals (95 %) come from the confidence distributions of `effect_size`. An F below its median under no effect counts
as that median: an upper end of 0 would claim more than data can.

Context: statsmodels 0.15 has the F tests. Choice: our own lines. With blocks and full cells both give the same numbers.
Of a 3 × 4 design with one empty cell, statsmodels gives the pair 6 degrees of freedom instead of 5, with a warning: a
wrong test. It has no omega² or share with an interval. It needs pandas and a formula parser. Cost: our own lines have
to be kept right, by the known answers in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc, fdtri

from studies.analysis.axis import Array
from studies.analysis.designed.decomposition import (
    AnovaFit,
    Codes,
    Design,
    SumOfSquares,
    Term,
    block_indicators,
    fit_design,
    level_codes,
)
from studies.analysis.designed.effect_size import ENDS, variance_draws
from studies.analysis.estimate import Estimate
from studies.analysis.paired import holm

FEW_ERROR_DF = 5  # below, the F test's critical value is at least twice that with many


@dataclass(frozen=True, slots=True)
class AnovaRow:
    """A term with its test and effect sizes. Term `()` is the error. A number that does not exist is None.

    n_levels: of each factor
    p_holm: Holm's, over the tested pairs
    share: noise-free, NaN if no effect shows at all
    """

    term: tuple[str, ...]
    n_levels: tuple[int, ...]
    df: int
    sum_sq: float
    mean_sq: float | None = None
    f: float | None = None
    p: float | None = None
    p_holm: float | None = None
    omega_sq: Estimate | None = None
    share: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Anova:
    """Main effects, pairs and so on, then the error. There are no `rows` if `problem` forbids them.

    n_cells: of the complete design
    n_missing_cells: those without a trial
    replicates: the fewest and the most trials of a filled cell
    lack_of_fit: its p, None if nothing is left to test, as with two factors and their pair
    interactions: all of them together, lack of fit included
    notes: for the reader
    problem: what cannot be concluded, and the remedy
    """

    rows: tuple[AnovaRow, ...] = ()
    n: int = 0
    n_cells: int = 0
    n_missing_cells: int = 0
    balanced: bool = False
    replicates: tuple[int, int] = (0, 0)
    lack_of_fit: float | None = None
    block: AnovaRow | None = None
    interactions: AnovaRow | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None


def anova(
    levels: Mapping[str, Sequence[object]],
    y: Sequence[float] | Array,
    *,
    block: Sequence[object] | None = None,
    max_order: int = 2,
    seed: int = 0,
) -> Anova:
    """Analyse the variance of `y` (n,) over factors, each given as its level (hashable) in every trial (n entries).

    `block` is each trial's training seed or replicate. Give it if the same seeds were used in all cells. Their common
    effect then leaves the error, at the price of its df. The tests' size is exact whether seeds matter or not. Without
    blocks, seeds that matter make the tests conservative. `seed` is that of the intervals' draws. The result says what
    cannot be concluded. Raises ValueError only for lengths that differ and for a max_order below 1.
    """
    values = np.asarray(y, dtype=float)
    for name, column in (*levels.items(), *(() if block is None else [("block", block)])):
        if len(column) != len(values):
            raise ValueError(f"{name} has {len(column)} entries but y has {len(values)}: give one a trial")
    if max_order < 1:
        raise ValueError(f"max_order is {max_order}: give 1 for main effects, 2 for their pairs too")
    codes = {name: level_codes(column) for name, column in levels.items()}
    varied = {name: code for name, code in codes.items() if code.any()}
    notes = tuple(f"{name} has one level and is left out" for name in codes if name not in varied and len(values))
    problem = _problem(values, varied)
    if problem:
        return Anova(n=len(values), notes=notes, problem=problem)
    design = Design.of(varied, max_order)
    dummies = block_indicators(design, block)
    if block is not None and not dummies.shape[1]:
        notes = (
            *notes,
            "block is left out, for it does not connect all cells: give each cell the same seeds, at least two",
        )
    return _table(
        design,
        fit_design(design, values - values.mean(), dummies),
        notes=notes,
        smallest_noise=(64 * np.finfo(float).eps * float(np.abs(values).max())) ** 2,
        seed=seed,
    )


def _problem(y: Array, codes: Mapping[str, Codes]) -> str | None:
    n_bad = int((~np.isfinite(y)).sum())
    n_effects = 1 + sum(int(code.max()) for code in codes.values())
    if n_bad:
        return f"{n_bad} of {len(y)} values are not finite: leave those trials out, their cells then count as missing"
    if not codes:
        return "no factor has two levels: vary at least one parameter"
    if np.ptp(y) == 0:
        return f"all {len(y)} values are {y[0]:g}: there is no variation to explain. Is this the metric you meant?"
    if len(y) <= n_effects:
        return (
            f"{len(y)} trials leave no degree of freedom for the error beside {n_effects} means: give parameters few "
            "levels (sampler=grid) and repeat each cell (replicates: 2 or more)"
        )
    return None


def _table(design: Design, fit: AnovaFit, *, notes: Sequence[str], smallest_noise: float, seed: int) -> Anova:
    has_noise = fit.error.df > 0 and fit.error.sum_sq / fit.error.df > smallest_noise
    rows = [_row(design, term, part, fit, has_noise=has_noise) for term, part in fit.tests.items()]
    if has_noise:
        termed = zip(rows, fit.tests, strict=True)
        rows = [_sized(row, *fit.effects[t], fit, seed=seed) if t in fit.effects else row for row, t in termed]
    return Anova(
        rows=(*_with_holm(rows), _row(design, (), fit.error, fit, has_noise=False)),
        n=len(design.cell),
        n_cells=math.prod(design.shape),
        n_missing_cells=math.prod(design.shape) - len(design.counts),
        balanced=fit.is_orthogonal,
        replicates=(int(design.counts.min()), int(design.counts.max())),
        lack_of_fit=_f_test(fit.lack, fit.error)[1] if has_noise and fit.lack.df else None,
        block=_named(("block",), (fit.block.df + 1,), fit.block, fit, is_tested=has_noise) if fit.block.df else None,
        interactions=_all_interactions(design, fit, seed=seed) if has_noise and fit.interactions[0].df else None,
        notes=(*notes, *_notes(design, fit)),
        problem=_shortcoming(design, fit, has_noise=has_noise),
    )


def _row(design: Design, term: Term, part: SumOfSquares, fit: AnovaFit, *, has_noise: bool) -> AnovaRow:
    """Return a term's sum of squares, with its test where it has one."""
    names, n_levels = tuple(design.names[i] for i in term), tuple(design.shape[i] for i in term)
    return _named(names, n_levels, part, fit, is_tested=has_noise and len(term) <= fit.order)


def _named(
    names: tuple[str, ...], n_levels: tuple[int, ...], part: SumOfSquares, fit: AnovaFit, *, is_tested: bool
) -> AnovaRow:
    f, p = _f_test(part, fit.error) if is_tested and part.df else (None, None)
    return AnovaRow(names, n_levels, part.df, part.sum_sq, part.sum_sq / part.df if part.df else None, f, p)


def _all_interactions(design: Design, fit: AnovaFit, *, seed: int) -> AnovaRow:
    part, mains = fit.interactions
    row = _named(("interactions",), design.shape, part, fit, is_tested=True)
    return _sized(row, part, mains, fit, seed=seed)


def _f_test(part: SumOfSquares, error: SumOfSquares) -> tuple[float, float]:
    """Return F and its p, at least the smallest float: no p is 0."""
    f = (part.sum_sq / part.df) / (error.sum_sq / error.df)
    return f, max(float(fdtrc(part.df, error.df, f)), float(np.finfo(float).tiny))


def _with_holm(rows: Sequence[AnovaRow]) -> list[AnovaRow]:
    """Return the rows with Holm's step-down p values over the tested pairs (Holm 1979)."""
    pairs = [(i, row.p) for i, row in enumerate(rows) if len(row.term) == 2 and row.p is not None]
    adjusted = list(rows)
    for (i, _), p in zip(pairs, holm([p for _, p in pairs]), strict=True):
        adjusted[i] = replace(rows[i], p_holm=p)
    return adjusted


def _sized(row: AnovaRow, own: SumOfSquares, rest: SumOfSquares, fit: AnovaFit, *, seed: int) -> AnovaRow:
    """Return the row with its effect sizes and their intervals."""
    noise = fit.error.sum_sq / fit.error.df
    floor = own.df * noise * float(fdtri(own.df, fit.error.df, 0.5))
    mine = variance_draws(replace(own, sum_sq=max(own.sum_sq, floor)), fit.error, role="own", seed=seed)
    others = variance_draws(rest, fit.error, role="rest", seed=seed)
    blocks = variance_draws(fit.block, fit.error, role="block", seed=seed)
    signal = np.maximum(mine + others, np.finfo(float).tiny)
    draws = np.array([mine / (signal + blocks + 1), mine / signal])
    of_all, of_signal = np.partition(draws, ENDS, axis=1)[:, ENDS].tolist()
    mine_hat, others_hat, blocks_hat = (part.variance(noise) if part.df else 0.0 for part in (own, rest, fit.block))
    signal_hat = mine_hat + others_hat
    omega_sq = max(0.0, mine_hat / (signal_hat + blocks_hat + 1))
    share = min(1.0, max(0.0, mine_hat / signal_hat)) if signal_hat > 0 else math.nan
    return replace(row, omega_sq=Estimate(omega_sq, *of_all), share=Estimate(share, *of_signal))


def _notes(design: Design, fit: AnovaFit) -> Iterator[str]:
    n_factors, n_cells = len(design.shape), math.prod(design.shape)
    if fit.block.df:
        yield f"the common effect of {fit.block.df + 1} blocks is taken out of the error"
    if n_cells > len(design.counts):
        yield (
            f"{n_cells - len(design.counts)} of {n_cells} cells have no trial: nothing is known of them, and effect "
            "sizes weigh the filled cells by their trials"
        )
    if not fit.is_orthogonal:
        yield "unbalanced: sums of squares are Type II (a term given all that do not contain it); F tests stay exact"
    if fit.order < n_factors > 2:
        yield f"no replicates: interactions above order {fit.order} are taken for noise"
    if 0 < fit.error.df < FEW_ERROR_DF:
        yield f"the error has only {fit.error.df} degrees of freedom: the tests miss all but large effects"


def _shortcoming(design: Design, fit: AnovaFit, *, has_noise: bool) -> str | None:
    untested = ["*".join(design.names[i] for i in term) for term in fit.tests if len(term) > fit.order]
    if not fit.error.df:
        return "no degree of freedom is left for the error: repeat each cell (replicates: 2 or more)"
    if not has_noise:
        return "trials that differ only by chance are equal, so there is no error to test against: vary their seeds"
    if untested:
        which = ", ".join(untested) if len(untested) <= 3 else f"the {len(untested)} interactions"
        return f"{which} cannot be told from noise: repeat each cell (replicates: 2 or more)"
    return None
