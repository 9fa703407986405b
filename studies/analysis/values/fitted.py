"""The values of a scientific parameter in a search, by the fitted function: no point was trained twice.

For each value, the other parameters are set as in the trial with the best fitted mean for it. The result is the fitted,
noise-free metric there. The fit has shrunk the luck of the best trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.analysis.estimate import Estimate
from studies.analysis.levels import PERCENTILES
from studies.schema import bounds_of

if TYPE_CHECKING:
    from studies.analysis.fit import Fit

MAX_VALUES = 12  # of a parameter with more, some are shown
N_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FittedValue:
    """One value at its best.

    best: in the metric's unit
    others: the other parameters there
    n: the trials with that value
    compared: the fitted value of the trials, `final` or a rung
    """

    value: Any
    best: Estimate
    others: Mapping[str, Any]
    n: int
    compared: str = "final"


def fitted_values(fit: Fit, name: str, *, maximize: bool, metric: str = "") -> tuple[FittedValue, ...]:
    """Return the values of parameter `name`, in their order. Empty if it is not in the fit, or if nothing was fitted.

    Known bounds of `metric` cut off the function beyond them.
    """
    table = fit.table
    if fit.sobol is None or name not in table.names:
        return ()
    i = table.names.index(name)
    axis = table.axes[i]
    levels = np.array(axis.levels) if 0 < len(axis.levels) <= MAX_VALUES else np.linspace(axis.low, axis.high, N_SHOWN)
    found = []
    for level in levels:
        unit = table.unit.copy()
        unit[:, i] = axis.unit(np.array([level]))[0]
        values = fit.sobol.surface(unit)
        k = int(np.argmax(values[0] if maximize else -values[0]))
        lo, hi = np.percentile(values[1:, k], PERCENTILES)
        best = np.clip([values[0, k], lo, hi], *bounds_of(metric, table.y))
        others = {other.name: other.decode(table.x[k, j]) for j, other in enumerate(table.axes) if j != i}
        n = int(np.isclose(fit.whole.x[:, fit.whole.names.index(name)], level).sum())
        found.append(FittedValue(axis.decode(level), Estimate(*best.tolist()), others, n, table.compared))
    return tuple(found)
