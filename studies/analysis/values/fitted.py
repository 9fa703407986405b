"""What each value of a scientific parameter can give in a search, where no point was trained twice: by the fitted
function.

For each value, the other parameters are set as in whichever of the trials the fitted mean is best for it; what is told
is the fitted, noise-free metric there. The fit has shrunk what was luck, which the best trial of a value has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.analysis.estimate import Estimate
from studies.analysis.fit import Fit
from studies.analysis.levels import PERCENTILES
from studies.schema import bounds_of

MAX_VALUES = 12  # of a parameter with more, some are shown
N_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FittedValue:
    """One value at its best: `best` is in the metric's unit, `others` says where; `n` trials had that value. `compared`
    tells which value of the trials was fitted: `final`, or a rung."""

    value: Any
    best: Estimate
    others: Mapping[str, Any]
    n: int
    compared: str = "final"


def fitted_values(fit: Fit, name: str, *, maximize: bool, metric: str = "") -> tuple[FittedValue, ...]:
    """The values of parameter `name`, in their order; nothing where it is not in the fit, or nothing was fitted.

    What is known of the bounds of `metric` cuts off what the function has beyond them."""
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
