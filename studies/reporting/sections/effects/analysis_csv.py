"""The tables of an analysis: `tuning`, `effects`, `interactions`, `ridge`, `anova` and `screen`, each a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from studies.reporting.csv_table import Row, csv_text, estimate_cells, fields_of
from studies.reporting.sections.effects.tuning import COLUMNS, tuning_rows

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.designed.factorial import Anova
    from studies.analysis.effects import Effect
    from studies.analysis.law.ridge import Ridge
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
    yield "tuning", "tuning.csv", csv_text(COLUMNS, tuning_rows(analysis.tunability))
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
            **fields_of(effect),
            "params": effect.name,
            **estimate_cells("estimate", effect.estimate),
            "reasons": "; ".join(effect.reasons),
            "claimed": effect.is_claimed,
            "scope": "*".join(effect.scope),
            "version": version,
        }


def _ridge(ridge: Ridge) -> Row:
    joined = {"compatible": "; ".join(ridge.compatible), "excluded": "; ".join(ridge.excluded)}
    return {**fields_of(ridge), "params": "*".join(ridge.params), **estimate_cells("alpha", ridge.alpha), **joined}


def _anova(anova: Anova) -> Iterator[Row]:
    """Yield the terms, then the block if there is one, then the error: the sums of squares are complete."""
    *terms, error = anova.rows or (None,)
    for row in (*terms, anova.block, error):
        if row is not None:
            name = "(block)" if row is anova.block else "*".join(row.term) or "(error)"
            sizes = {**estimate_cells("omega_sq", row.omega_sq), **estimate_cells("share", row.share, ends="share")}
            yield {**fields_of(row), "params": name, **sizes, "n": anova.n}


def _screen(row: ScreenRow) -> Row:
    return {**fields_of(row), "params": row.name}
