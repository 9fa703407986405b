"""The scale on which a metric is modelled: as it is, its logarithm, or the logit of a share.

Losses differ by factors and accuracies by odds, so a function is smoother and its noise more even on such a scale. The
data choose: the scale with the highest marginal likelihood wins, with the Jacobian (Box & Cox 1964). Functions are
drawn on that scale and mapped back, so all results stay those of the metric itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, logit

from studies.analysis.axis import Array

Name = Literal["raw", "log", "logit"]

NODES, WEIGHTS = (np.asarray(part) for part in hermegauss(7))
LEAST_SHARE = 1e-3  # the distance of a share from 0 and 1 where none is known to be nearer
REACH = 10.0  # standard deviations: nothing is extrapolated further, so that nothing overflows


@dataclass(frozen=True, slots=True)
class Response:
    """A scale with the mean and the standard deviation of the trials on it, by which they are standardised.

    sd: negative where the values are turned, so that their longer tail is above. Metrics of opposite sign then have the
        same fit.
    margin: shares nearer to 0 or 1 than this count as so near
    """

    name: Name
    mean: float = 0.0
    sd: float = 1.0
    margin: float = 0.0

    def forward(self, y: Array) -> Array:
        """Return standardised values on the scale."""
        match self.name:
            case "raw":
                scaled = y
            case "log":
                scaled = np.log(y)
            case "logit":
                scaled = logit(np.clip(y, self.margin, 1 - self.margin))
        return np.asarray((scaled - self.mean) / self.sd)

    def back(self, z: Array) -> Array:
        """Return the metric's values at standardised ones."""
        scaled = self.mean + self.sd * np.clip(z, -REACH, REACH)
        match self.name:
            case "raw":
                return np.asarray(self.mean + self.sd * z)
            case "log":
                return np.asarray(np.exp(scaled))
            case "logit":
                return np.asarray(expit(scaled))

    @property
    def is_turned(self) -> bool:
        """Whether a higher value on the scale is a lower one of the metric."""
        return self.sd < 0

    def expected(self, z: Array, noise: Array | float) -> Array:
        """Return the metric's expected values if normal noise of that standard deviation is added to `z`."""
        if self.name == "raw":
            return self.back(z)
        total = np.zeros(np.broadcast_shapes(np.shape(z), np.shape(noise)))
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            total += weight * self.back(z + noise * node)
        return np.asarray(total / WEIGHTS.sum())

    def log_jacobian(self, y: Array) -> float:
        """Return the sum over `y` of the logarithm of the scale's slope."""
        slopes = -len(y) * float(np.log(abs(self.sd)))
        match self.name:
            case "raw":
                return slopes
            case "log":
                return slopes - float(np.log(y).sum())
            case "logit":
                share = np.clip(y, self.margin, 1 - self.margin)
                return slopes - float(np.log(share * (1 - share)).sum())


def responses(y: Array, *, seen: Array | None = None) -> list[Response]:
    """Return the scales that suit values `y`, standardised by them.

    They must suit all values in `seen`, too, such as those of earlier rungs.
    """
    every = y if seen is None else seen
    names: Sequence[Name] = ["raw"]
    margin = LEAST_SHARE
    if every.min() > 0:
        names = [*names, "log"]
    if every.min() >= 0 and every.max() <= 1:
        apart = np.minimum(every, 1 - every)
        margin = float(apart[apart > 0].min()) / 2 if (apart > 0).any() else LEAST_SHARE
        names = [*names, "logit"]
    return [standardised(Response(name, margin=margin), y) for name in names]


def standardised(response: Response, y: Array) -> Response:
    """Return the same scale, standardised by values `y` (n,)."""
    scaled = Response(response.name, margin=response.margin).forward(y)
    mean, sd = float(scaled.mean()), float(scaled.std()) or 1.0
    turned = float(np.sum((scaled - mean) ** 3)) < 0
    return Response(response.name, mean, -sd if turned else sd, response.margin)
