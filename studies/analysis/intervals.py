"""Intervals of shares, from draws of them and from trials that were left out of the fit."""

from __future__ import annotations

import numpy as np

from studies.analysis.axis import Array
from studies.analysis.estimate import Estimate
from studies.analysis.levels import PERCENTILES

UNCONFIRMED = 0.15  # of 1 − Q², by which intervals are widened
ROUNDING = 1e-12  # a share below is none, whose sign and order would be those of rounding errors


def intervals(shares: Array, *, stretch: float, confirmed: float, widen: float = UNCONFIRMED) -> list[Estimate]:
    """Return the mean of each share with its interval, from draws (K, m).

    The interval is stretched by `stretch`, if that is above 1. It is widened towards [0, 1] by the share `widen` of
    what is not `confirmed` by trials that were left out, such as 1 − Q².
    """
    values = shares.mean(axis=0)
    lo, hi = np.percentile(shares, PERCENTILES, axis=0)
    values, lo, hi = (np.where(np.abs(part) < ROUNDING, 0.0, part) for part in (values, lo, hi))
    widening, stretch = widen * (1 - min(1.0, max(0.0, confirmed))), max(1.0, stretch)
    lo = np.clip(values - stretch * (values - lo), 0.0, values) * (1 - widening)
    hi = np.clip(values + stretch * (hi - values), values, 1.0)
    hi = hi + (1 - hi) * widening
    return [Estimate(*own) for own in zip(values.tolist(), lo.tolist(), hi.tolist(), strict=True)]
