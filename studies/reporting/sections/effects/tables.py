"""The tables of the section on effects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from studies.analysis.effects import strongest_first
from studies.reporting.finding import Block, Heading, Paragraph, Table, bullets
from studies.reporting.wording import interval_text
from studies.text.wording import NONE, counted, crossed, fixed, listed, p_value

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.designed.factorial import Anova, AnovaRow
    from studies.analysis.effects import Effect
    from studies.analysis.law.ridge import Ridge
    from studies.analysis.screen import ScreenRow
    from studies.analysis.verdict import Level

WITNESS = "polynomial chaos says"  # begins the reason of the second estimator
MAX_PAIRS = 12  # in the table


def where(effect: Effect) -> str:
    """Say which parameters must be active for an effect. Empty if none is conditional."""
    return f" (where {listed(effect.scope)} {'is' if len(effect.scope) == 1 else 'are'} active)" if effect.scope else ""


def effects_blocks(analysis: Analysis) -> Iterator[Block]:
    """Yield the table of all parameters, the strongest pairs, the unexplained share and the noise."""
    by_order = {order: [e for e in analysis.effects if e.order == order] for order in (1, 2, 3, 0)}
    mains, pairs = (strongest_first(by_order[order]) for order in (1, 2))
    known = frozenset(analysis.whole.verdict.reasons)
    rest = by_order[3] if len(mains) > 2 else []  # of two parameters nothing is left
    rows = tuple(_effect(effect, known) for effect in (*mains, *pairs[:MAX_PAIRS], *rest, *by_order[0]))
    n_more = len(pairs) - MAX_PAIRS
    more = f" {counted(n_more, 'weaker pair is', 'weaker pairs are')} in interactions.csv." if n_more > 0 else ""
    note = (
        "Share: of the variance of the noise-free function over the search space, by an additive Gaussian process "
        "(Sobol indices). The last row is the noise's share of the whole variance. A pair's share is what the two do "
        "together beyond their main effects. It is claimed if its lower end exceeds 0.01 and its verdict is ok. An "
        "effect is not known if its interval says nothing: more trials would tell. "
    )
    if rest:
        note += "The upper end of the unexplained share holds 1 − Q²: noise, or what many parameters do together. "
    note += f"Chaos: the same by polynomial chaos, a second estimator.{more}"
    header = ("effect", "share", "95 % interval", "chaos", "verdict", "claimed")
    yield from (Heading("Effects"), Table(header, rows), Paragraph(note))


def _effect(effect: Effect, known: frozenset[str]) -> tuple[str, ...]:
    """Return a row. `known` are reasons to leave out, since the verdict on all trials has them."""
    names = {"unexplained": "unexplained (three or more together)", "noise": "noise"}
    own = [reason for reason in effect.reasons if reason not in known]
    claimed = ("yes" if effect.is_claimed else "no") if effect.order == 2 else ""
    is_unknown = not effect.is_known and not math.isnan(effect.estimate.value)
    if is_unknown:  # nothing that a second witness could contradict
        own = [reason for reason in own if not reason.startswith(WITNESS)]
    return (
        f"{crossed(effect.params) or names[effect.kind]}{where(effect)}",
        "not known" if is_unknown else fixed(effect.estimate.value),
        interval_text(effect.estimate, ".3f"),
        NONE if is_unknown else fixed(effect.second),
        f"{effect.verdict}: {'; '.join(own)}" if own else effect.verdict,
        claimed,
    )


def law(ridge: Ridge, level: Level) -> str:
    """Say the verdict on a law. It is no surer than the verdict on all trials."""
    return {
        "ok": ridge.verdict,
        "caution": f"with caution (see the verdict above): {ridge.verdict}",
        "unreliable": f"conclude nothing (see the verdict above): {ridge.verdict}",
    }[level]


def ridges_blocks(ridges: Sequence[Ridge], budget_unit: str | None, *, level: Level) -> Iterator[Block]:
    """Yield the table of the requested laws. `level` is the verdict on all trials."""
    rows = tuple(
        (
            f"{ridge.params[0]} over {ridge.params[1]}",
            fixed(ridge.alpha.value, 2),
            interval_text(ridge.alpha, ".2f"),
            p_value(ridge.curvature_p),
            str(ridge.n_used),
            law(ridge, level),
        )
        for ridge in ridges
    )
    budget = f"Trials are compared at equal {budget_unit}" if budget_unit else "The unit of the budget is not known"
    note = (
        "The best value of the first parameter as the second changes: log10 of the first is a + α · log10 of the "
        "second (0: constant, ½: square root, 1: linear). A parameter with a linear scale is used without log10. The "
        "fit is near the best values over all other parameters, and the interval is Fieller's. p: of a "
        f"bend. {budget}: another unit gives another law."
    )
    header = ("law", "α", "95 % interval", "p (bend)", "n", "verdict")
    yield from (Heading("The law of the best value"), Table(header, rows), Paragraph(note))


def anova_blocks(anova: Anova) -> Iterator[Block]:
    """Yield the terms, the block and the error of a designed experiment, and the limits of its tests."""
    yield Heading("Analysis of variance")
    if anova.rows:
        *terms, error = anova.rows
        rows = tuple(_term(row) for row in (*terms, *([anova.block] if anova.block else []), error))
        header = ("term", "df", "sum of squares", "F", "p", "p (Holm)", "ω²", "95 % interval", "share, noise-free")
        fewest, most = anova.replicates
        repeated = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        lack = f", lack of fit p = {p_value(anova.lack_of_fit)}" if anova.lack_of_fit is not None else ""
        yield Table(header, rows)
        yield Paragraph(f"{anova.n} trials, {repeated} in each of {anova.n_cells} cells{lack}.")
    yield from bullets([*([anova.problem] if anova.problem else []), *anova.notes])


def _term(row: AnovaRow) -> tuple[str, ...]:
    return (
        crossed(row.term) or "error",
        str(row.df),
        f"{row.sum_sq:.4g}",
        fixed(row.f, 2),
        p_value(row.p),
        p_value(row.p_holm),
        fixed(None if row.omega_sq is None else row.omega_sq.value),
        interval_text(row.omega_sq, ".3f"),
        fixed(None if row.share is None else row.share.value),
    )


def screen_blocks(rows: Sequence[ScreenRow]) -> Iterator[Block]:
    """Yield Optuna's own measures, and their limits."""
    cells = tuple(
        (
            row.method,
            row.name,
            fixed(row.raw),
            fixed(row.normalised),
            fixed(row.null),
            "yes" if row.above_null else "no",
        )
        for row in rows
    )
    note = (
        "Optuna's own measures, for comparison. Neither sees interactions: of two parameters that only act together "
        "PED-ANOVA makes two equal importances, fANOVA none. PED-ANOVA is local: it describes the best tenth of the "
        "trials, not the difference between bad and worse. fANOVA gives shares of a random forest's variance. "
        "Normalised numbers sum to 1 even if nothing matters, so compare raw with null: shuffled values stay below "
        "it in 95 % of cases."
    )
    header = ("method", "parameter", "raw", "normalised", "null", "above null")
    yield from (Heading("Screens, one parameter at a time"), Table(header, cells), Paragraph(note))
