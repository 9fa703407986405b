"""All figures of an analysis, in the order of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.reporting.figures.coverage import coverage
from studies.reporting.figures.leave_one_out import leave_one_out
from studies.reporting.figures.levels import metric_by_level
from studies.reporting.figures.main_effect import main_effects
from studies.reporting.figures.pair_matrix import pair_matrix
from studies.reporting.figures.surfaces import surfaces
from studies.reporting.finding import Drawing

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis


def drawings(analysis: Analysis, *, metric: str) -> Iterator[Drawing]:
    """Yield pair matrix, main effects, close looks at pairs, leave-one-out and coverage. Nothing without a fit."""
    if all(fit.sobol is None for fit in analysis.fits):
        return
    yield pair_matrix(analysis, metric=metric)
    yield from main_effects(analysis, metric=metric)
    yield from surfaces(analysis, metric=metric)
    yield from metric_by_level(analysis, metric=metric)
    yield from filter(None, [leave_one_out(analysis, metric=metric), coverage(analysis)])
