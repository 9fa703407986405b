"""The rule that says whether the worse one of two groups is so much worse that it does not train.

A dip test finds two groups wherever noise is small, such as accuracies of .95 and .94 by one choice. So the difference
counts only if it is large in practice: measured from a bound that no value passes, the medians of both groups have to
differ by a factor of 2. The values tell the bounds. For a metric to maximise these are:

- 0, if all values have the same sign. If they also lie between -1 and 1, the gap has to be at least .1.
- 1, if no value is greater, and -1, if all values lie between both. The gap has to be at least .1. Accuracies have
  such bounds, and so have R² and correlations.
- 100, if all values lie between 0 and 100, such as an accuracy in percent. The gap has to be at least 10.

A metric to minimise has the same bounds with the other sign. If nothing bounds the values, the gap has to be at least 3
times the interquartile range of the wider group, and half of the greater median without its sign.

Context: most metrics have no border between trained and stuck. Choice: a factor from a bound. It says the same of an
accuracy and its error rate, and of a loss and its negative. Cost: stuck trials are missed if the others are not twice
as good, such as losses of 2.8 and 1.5, or if all values are below .1. Such a study is analysed as one group.

Two groups: accuracies of .9 and .1, .99 and .5, .15 and .01, losses of .3 and 2.3, an R² of .9 and 0, rewards of 18 and
-21. One group: accuracies of .95 and .94, .99 and .97, .8 and .65, losses of .4 and .69.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from studies.analysis.axis import Array

FACTOR = 2.0  # between the medians' distances from a bound
LEAST_GAP = 0.1  # of a whole of 1
PERCENT = 100.0
SPREADS = 3.0  # interquartile ranges, where nothing bounds the values: the halves of uniform values are 2 apart


def fails(loss: Array, border: float) -> bool:
    """Return whether values above `border` fail in practice, of values `loss` (n,) of which lower ones are better."""
    better, worse = loss[loss <= border], loss[loss > border]
    if not len(better) or not len(worse):
        return False
    medians = float(np.median(better)), float(np.median(worse))
    gap = medians[1] - medians[0]
    bounds = list(_bounds(loss))
    if not bounds:
        spread = max(float(np.subtract(*np.percentile(group, [75, 25]))) for group in (better, worse))
        return gap >= max(SPREADS * spread, _farther(medians, 0.0) / FACTOR)
    return any(gap >= max(least, _farther(medians, bound) * (1 - 1 / FACTOR)) for bound, least in bounds)


def _bounds(loss: Array) -> Iterator[tuple[float, float]]:
    """Yield each value that no loss passes, with the least gap that counts from there."""
    least, most = float(loss.min()), float(loss.max())
    is_part = least >= -1 and most <= 1  # a share, or its negative
    if least >= 0 or most <= 0:
        yield 0.0, LEAST_GAP if is_part else 0.0
    if least >= -1:
        yield -1.0, LEAST_GAP
    if is_part:
        yield 1.0, LEAST_GAP
    if -PERCENT <= least < -1 and most <= 0:
        yield -PERCENT, LEAST_GAP * PERCENT


def _farther(medians: tuple[float, float], bound: float) -> float:
    return max(abs(median - bound) for median in medians)
