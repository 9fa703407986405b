"""The difference in the metric that does not matter: by the config, else by the metric's kind, else by the trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studies.analysis.levels import NEAR_BEST, SHARE_MARGIN
from studies.analysis.table import TrialsTable
from studies.schema import is_bounded

GIVEN = "objective.tolerance"
OF_A_SHARE = "the usual margin of an accuracy or an error rate"
OF_THE_TRIALS = "a tenth of the way from the best trial to the median one"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A difference that does not matter.

    value: in the metric's unit, 0 if half of the trials are as good as the best one
    origin: where it comes from, in words
    """

    value: float
    origin: str

    def __str__(self) -> str:
        return f"{self.value:.3g}"


def tolerance_of(table: TrialsTable, *, metric: str, given: float | None) -> Tolerance:
    """Return the difference that does not matter. `given` is the config's, None if it says nothing."""
    if given is not None:
        return Tolerance(given, GIVEN)
    if is_bounded(metric, table.y[table.is_measured]):
        return Tolerance(SHARE_MARGIN, OF_A_SHARE)
    way = float(np.median(table.loss) - table.loss.min()) if len(table.loss) else 0.0
    return Tolerance(NEAR_BEST * way, OF_THE_TRIALS)
