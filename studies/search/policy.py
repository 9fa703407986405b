"""A policy: the distribution of one parameter's values, and how it learns from their rewards.

A choice has softmax logits. A number has a Gaussian, squashed to the parameter's quantiles by the normal distribution
function. The initial policy (mean 0, spread 1) is therefore uniform on the search scale. A rounded number (an integer,
a step, a power of two) has the probability of its cell. Entropies are relative to the uniform policy: it has 0, all
others have less.

The step is Williams' REINFORCE (1992): advantage × gradient of the log-probability, plus the gradient of the entropy. A
Gaussian's step is taken in its natural metric, as Williams advises rates in proportion to the variance. Otherwise the
gradient grows without bound as the spread falls. Cost: policies are independent, so a ridge of two parameters is
searched as the box around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Protocol

import numpy as np
import numpy.typing as npt

from studies.config.parameter import Parameter, Value

Array = npt.NDArray[np.float64]

NORMAL = NormalDist()
UNDER_ONE = math.nextafter(1.0, 0.0)
TINY = 1e-6  # quantiles are kept this far from 0 and 1, which lie at infinity
CLIP = 2.0  # spreads: a draw from further out counts as one from here, so that no single trial decides
MAX_MEAN = 2.5  # beyond it the outermost hundredth of the axis is the likeliest
LOG_SPREADS = (math.log(0.02), math.log(1.3))  # the lower limit lets a policy widen again
LOGIT_RATE = 2.0  # of a choice's logits: in the natural metric, rare choices would make noisy steps


@dataclass(frozen=True, slots=True)
class Rates:
    """The size of a policy's step."""

    learning_rate: float  # for each unit of advantage
    entropy: float  # its weight in the reward


class Policy(Protocol):
    """A distribution of one parameter's values. Immutable: a step returns another policy."""

    @property
    def entropy(self) -> float:
        """The entropy relative to the uniform policy, in nats, at most 0."""

    def draw(self, rng: np.random.Generator) -> Value:
        """Draw one value."""

    def log_ratio(self, value: Value) -> float:
        """Return the log of the probability (or density) of `value` relative to the uniform policy's."""

    def gradient(self, value: Value) -> Array:
        """Return the gradient of `log_ratio` in the policy's own parameters."""

    def entropy_gradient(self) -> Array:
        """Return the gradient of `entropy` in the policy's own parameters."""

    def step(self, value: Value, advantage: float, rates: Rates) -> Policy:
        """Return the policy after `value` earned `advantage` more than the baseline."""


def begin(parameter: Parameter) -> Policy:
    """Return the initial policy, uniform on the parameter's own measure."""
    if parameter.type == "categorical":
        return ChoicePolicy(parameter, (0.0,) * len(parameter.choices))
    return NumberPolicy(parameter)


@dataclass(frozen=True, slots=True)
class NumberPolicy:
    """A squashed Gaussian. Its own parameters are (`mean`, `log_spread`) before squashing."""

    parameter: Parameter
    mean: float = 0.0
    log_spread: float = 0.0

    @property
    def spread(self) -> float:
        """The standard deviation before squashing."""
        return math.exp(self.log_spread)

    @property
    def entropy(self) -> float:
        """The entropy of the quantile: minus the divergence of the Gaussian from the standard one."""
        return self.log_spread + 0.5 * (1.0 - self.spread**2 - self.mean**2)

    def draw(self, rng: np.random.Generator) -> Value:
        """Draw one value: the squashed draw is its quantile."""
        quantile = NORMAL.cdf(self.mean + self.spread * float(rng.standard_normal()))
        return self.parameter.from_unit(min(quantile, UNDER_ONE))

    def log_ratio(self, value: Value) -> float:
        """Return the log of the cell's probability over its width, or of the density if the cell is a point."""
        low, high = self.parameter.cell(value)
        if low == high:
            z = _normal_quantile(low)
            return 0.5 * z * z - 0.5 * ((z - self.mean) / self.spread) ** 2 - self.log_spread
        mass = _mass(*self._ends(low, high))
        return math.log(mass / (high - low)) if mass > 0 else -math.inf

    def gradient(self, value: Value) -> Array:
        """Return the gradient in (mean, log_spread)."""
        first, second = self._moments(value)
        return np.array([first / self.spread, second])

    def entropy_gradient(self) -> Array:
        """Return the gradient in (mean, log_spread)."""
        return np.array([-self.mean, 1.0 - self.spread**2])

    def step(self, value: Value, advantage: float, rates: Rates) -> NumberPolicy:
        """Step along the natural gradient. Its metric is diag(1 / spread², 2)."""
        first, second = self._moments(value)
        by_mean = advantage * self.spread * min(max(first, -CLIP), CLIP)
        by_spread = 0.5 * advantage * min(second, CLIP**2 - 1.0)
        by_mean -= rates.entropy * self.spread**2 * self.mean
        by_spread += 0.5 * rates.entropy * (1.0 - self.spread**2)
        mean = self.mean + rates.learning_rate * by_mean
        log_spread = self.log_spread + rates.learning_rate * by_spread
        return replace(
            self,
            mean=min(max(mean, -MAX_MEAN), MAX_MEAN),
            log_spread=min(max(log_spread, LOG_SPREADS[0]), LOG_SPREADS[1]),
        )

    def _moments(self, value: Value) -> tuple[float, float]:
        """Return E[e] and E[e² − 1] over the cell of `value`, with e the distance from the mean in spreads."""
        low, high = self.parameter.cell(value)
        if low == high:
            e = (_normal_quantile(low) - self.mean) / self.spread
            return e, e * e - 1.0
        below, above = self._ends(low, high)
        mass = _mass(below, above)
        if mass < 1e-300:  # so far out that only the cell's near end counts
            e = below if below > 0 else above
            return e, e * e - 1.0
        first = (_density(below) - _density(above)) / mass
        return first, (_slope(below) - _slope(above)) / mass

    def _ends(self, low: float, high: float) -> tuple[float, float]:
        """Return a cell's ends in spreads from the mean. The outermost cells reach to infinity."""
        below = (NORMAL.inv_cdf(low) - self.mean) / self.spread if low > TINY else -math.inf
        above = (NORMAL.inv_cdf(high) - self.mean) / self.spread if high < 1 - TINY else math.inf
        return below, above


@dataclass(frozen=True, slots=True)
class ChoicePolicy:
    """A softmax over choices. Its own parameters are the logits, in the order of the parameter's choices."""

    parameter: Parameter
    logits: tuple[float, ...]

    @property
    def probabilities(self) -> Array:
        """The probabilities of the choices, in their order."""
        weights = np.exp(np.array(self.logits) - max(self.logits))
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    @property
    def entropy(self) -> float:
        """The entropy: minus the divergence from equal probabilities."""
        probabilities = self.probabilities
        return -float(probabilities @ np.log(probabilities * len(probabilities)))

    def draw(self, rng: np.random.Generator) -> Value:
        """Draw one choice."""
        return tuple(self.parameter.choices)[int(rng.choice(len(self.logits), p=self.probabilities))]

    def log_ratio(self, value: Value) -> float:
        """Return the log of its probability over an equal share."""
        return math.log(self.probabilities[self._index(value)] * len(self.logits))

    def gradient(self, value: Value) -> Array:
        """Return the gradient in the logits."""
        gradient = -self.probabilities
        gradient[self._index(value)] += 1.0
        return gradient

    def entropy_gradient(self) -> Array:
        """Return the gradient in the logits."""
        probabilities = self.probabilities
        surprise = np.log(probabilities * len(probabilities))
        return -probabilities * (surprise - probabilities @ surprise)

    def step(self, value: Value, advantage: float, rates: Rates) -> ChoicePolicy:
        """Step along the gradient."""
        ascent = advantage * self.gradient(value) + rates.entropy * self.entropy_gradient()
        logits = np.array(self.logits) + LOGIT_RATE * rates.learning_rate * ascent
        return replace(self, logits=tuple(logits.tolist()))

    def _index(self, value: Value) -> int:
        return round(self.parameter.cell(value)[0] * len(self.logits))


def _normal_quantile(u: float) -> float:
    return NORMAL.inv_cdf(min(max(u, TINY), 1 - TINY))


def _mass(below: float, above: float) -> float:
    """Return the probability of a standard normal number between the two, exact in the tails too."""
    if below > 0:
        below, above = -above, -below
    return 0.5 * (math.erfc(-above / math.sqrt(2)) - math.erfc(-below / math.sqrt(2)))


def _density(e: float) -> float:
    return math.exp(-0.5 * e * e) / math.sqrt(2 * math.pi)


def _slope(e: float) -> float:
    return e * _density(e) if math.isfinite(e) else 0.0
