"""The tables of an analysis: `effects.csv`, `interactions.csv`, `ridge.csv`, `anova.csv` and `screen.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from studies.reporting.csv_table import Row, csv_text

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
    from studies.analysis.estimate import Estimate
    from studies.analysis.factorial import Anova, AnovaRow
    from studies.analysis.ridge import Ridge
    from studies.analysis.screen import ScreenRow

EFFECT = ("params", "order", "kind", "estimate", "ci_lo", "ci_hi", "verdict", "reasons", "claimed")
BASIS = ("n_used", "n_pruned", "n_failed", "random_share", "q2", "second", "scope", "method", "version", "seed")
RIDGE = ("params", "alpha", "ci_lo", "ci_hi", "window_decades", "curvature_p", "verdict", "budget_unit")
RIDGE_BASIS = ("n_used", "n_levels", "intercept", "compatible", "excluded")
TEST = ("params", "df", "sum_sq", "mean_sq", "f", "p", "p_holm")
SIZE = ("omega_sq", "ci_lo", "ci_hi", "share", "share_lo", "share_hi", "n")
SCREEN = ("method", "params", "raw", "normalised", "null", "above_null")


def csv_files(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    """Yield label, file name and text of each table. Only a designed experiment has an anova.csv."""
    version = package_version()
    pairs = [effect for effect in analysis.effects if effect.order == 2]
    columns = (*EFFECT, *BASIS)
    yield "effects", "effects.csv", csv_text(columns, _effects(analysis.effects, version))
    yield "interactions", "interactions.csv", csv_text(columns, _effects(pairs, version))
    yield "ridges", "ridge.csv", csv_text((*RIDGE, *RIDGE_BASIS), map(_ridge, analysis.ridges))
    yield "screens", "screen.csv", csv_text(SCREEN, map(_screen, analysis.screen))
    if analysis.anova is not None:
        yield "anova", "anova.csv", csv_text((*TEST, *SIZE), _anova(analysis.anova))


def package_version() -> str:
    """Return the version of this package, `unknown` if it is not installed."""
    try:
        return metadata.version("lightning-studies")
    except metadata.PackageNotFoundError:
        return "unknown"


def _effects(effects: Sequence[Effect], version: str) -> Iterator[Row]:
    for effect in effects:
        yield {
            "params": effect.name,
            "order": effect.order,
            "kind": effect.kind,
            **_columns("estimate", effect.estimate),
            "verdict": effect.verdict,
            "reasons": "; ".join(effect.reasons),
            "claimed": effect.is_claimed,
            "n_used": effect.n_used,
            "n_pruned": effect.n_pruned,
            "n_failed": effect.n_failed,
            "random_share": effect.random_share,
            "q2": effect.q2,
            "second": effect.second,
            "scope": "*".join(effect.scope),
            "method": effect.method,
            "version": version,
            "seed": effect.seed,
        }


def _ridge(ridge: Ridge) -> Row:
    return {
        "params": "*".join(ridge.params),
        **_columns("alpha", ridge.alpha),
        "window_decades": ridge.window_decades,
        "curvature_p": ridge.curvature_p,
        "verdict": ridge.verdict,
        "budget_unit": ridge.budget_unit,
        "n_used": ridge.n_used,
        "n_levels": ridge.n_levels,
        "intercept": ridge.intercept,
        "compatible": "; ".join(ridge.compatible),
        "excluded": "; ".join(ridge.excluded),
    }


def _anova(anova: Anova) -> Iterator[Row]:
    """Yield the terms, then the block if there is one, then the error: the sums of squares are complete."""
    *terms, error = anova.rows or (None,)
    for row in (*terms, anova.block, error):
        if row is not None:
            yield _anova_row(row, name=_term_name(row, anova), n=anova.n)


def _term_name(row: AnovaRow, anova: Anova) -> str:
    return "(block)" if row is anova.block else "*".join(row.term) or "(error)"


def _anova_row(row: AnovaRow, *, name: str, n: int) -> Row:
    return {
        "params": name,
        "df": row.df,
        "sum_sq": row.sum_sq,
        "mean_sq": row.mean_sq,
        "f": row.f,
        "p": row.p,
        "p_holm": row.p_holm,
        **_columns("omega_sq", row.omega_sq),
        **_columns("share", row.share, ends="share"),
        "n": n,
    }


def _columns(name: str, found: Estimate | None, *, ends: str = "ci") -> Row:
    """Return the cells of an estimate: its value under `name`, and its ends."""
    lo, hi = (None, None) if found is None else (found.lo, found.hi)
    return {name: None if found is None else found.value, f"{ends}_lo": lo, f"{ends}_hi": hi}


def _screen(row: ScreenRow) -> Row:
    return {
        "method": row.method,
        "params": row.name,
        "raw": row.raw,
        "normalised": row.normalised,
        "null": row.null,
        "above_null": row.above_null,
    }
