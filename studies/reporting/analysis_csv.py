"""The tables of an analysis: `effects.csv`, `interactions.csv`, `ridge.csv`, `anova.csv` and `screen.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from studies.reporting.csv_table import Row, write_csv

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.effects import Effect
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


TABLES = ("effects.csv", "interactions.csv", "ridge.csv", "screen.csv", "anova.csv")


def write_tables(folder: Path, analysis: Analysis) -> dict[str, Path]:
    """Write all tables into `folder`: label → path. Without a designed experiment there is no anova.csv, and an
    earlier one is removed."""
    version = package_version()
    pairs = [effect for effect in analysis.effects if effect.order == 2]
    written = {
        "effects": write_csv(folder / "effects.csv", (*EFFECT, *BASIS), _effects(analysis.effects, version)),
        "interactions": write_csv(folder / "interactions.csv", (*EFFECT, *BASIS), _effects(pairs, version)),
        "ridges": write_csv(folder / "ridge.csv", (*RIDGE, *RIDGE_BASIS), map(_ridge, analysis.ridges)),
        "screens": write_csv(folder / "screen.csv", SCREEN, map(_screen, analysis.screen)),
    }
    if analysis.anova is None:
        (folder / "anova.csv").unlink(missing_ok=True)
        return written
    return {**written, "anova": write_csv(folder / "anova.csv", (*TEST, *SIZE), _anova(analysis.anova))}


def package_version() -> str:
    """The version of this package, `unknown` where it is not installed."""
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
            "estimate": effect.estimate,
            "ci_lo": effect.ci_lo,
            "ci_hi": effect.ci_hi,
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
        "alpha": ridge.alpha,
        "ci_lo": ridge.ci_lo,
        "ci_hi": ridge.ci_hi,
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
    """The terms, then the block where there is one, so that the sums of squares are complete, then the error."""
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
        "omega_sq": row.omega_sq,
        "ci_lo": row.ci_lo,
        "ci_hi": row.ci_hi,
        "share": row.share,
        "share_lo": row.share_lo,
        "share_hi": row.share_hi,
        "n": n,
    }


def _screen(row: ScreenRow) -> Row:
    return {
        "method": row.method,
        "params": row.name,
        "raw": row.raw,
        "normalised": row.normalised,
        "null": row.null,
        "above_null": row.above_null,
    }
