"""A policy: the distribution from which one parameter's values are drawn, and how it learns from what they earned.

A choice has softmax logits. A number has a Gaussian, squashed to the parameter's quantiles by the normal distribution
function, so that the policy that has learnt nothing (mean 0, spread 1) is the uniform one on the search scale; a
rounded number (an integer, a step, a power of two) has the probability of its cell. Entropies are relative to the
uniform policy, which has 0; all others have less.

The step is Williams' REINFORCE (1992), advantage × gradient of the log-probability, plus the gradient of the entropy.
A Gaussian's is taken in its natural metric: Williams' own advice of rates in proportion to the variance, without which
the gradient grows without bound as the spread falls. The cost: policies know nothing of each other, so that a ridge
of two parameters is searched as the box around it.
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
TINY = 1e-6  # quantiles are kept this far from the ends, which lie at infinity
CLIP = 2.0  # spreads: a draw from further out counts as one from here, lest one trial decides
MAX_MEAN = 2.5  # from there the outermost hundredth of the axis is the likeliest
LOG_SPREADS = (math.log(0.02), math.log(1.3))  # never so narrow that it cannot widen again
LOGIT_RATE = 2.0  # of a choice's logits: the natural metric would do without, and be as noisy as a choice is rare


@dataclass(frozen=True, slots=True)
class Rates:
    """How far a policy steps: `learning_rate` for each unit of advantage, `entropy` as its weight in what is earned."""

    learning_rate: float
    entropy: float


class Policy(Protocol):
    """Draws values of one parameter. Immutable: a step gives another policy."""

    @property
    def entropy(self) -> float:
        """Relative to the uniform policy, in nats; at most 0."""

    def draw(self, rng: np.random.Generator) -> Value:
        """One value."""

    def log_ratio(self, value: Value) -> float:
        """Logarithm of the probability of `value`, or of its density, relative to the uniform policy's."""

    def gradient(self, value: Value) -> Array:
        """Gradient of `log_ratio` in the policy's own parameters."""

    def entropy_gradient(self) -> Array:
        """Gradient of `entropy` in the policy's own parameters."""

    def step(self, value: Value, advantage: float, rates: Rates) -> Policy:
        """The policy after `value` earned `advantage` more than was expected."""


def begin(parameter: Parameter) -> Policy:
    """The policy that has learnt nothing: uniform on the parameter's own measure."""
    if parameter.type == "categorical":
        return ChoicePolicy(parameter, (0.0,) * len(parameter.choices))
    return NumberPolicy(parameter)


@dataclass(frozen=True, slots=True)
class NumberPolicy:
    """A Gaussian, squashed; its own parameters are (`mean`, `log_spread`) before squashing."""

    parameter: Parameter
    mean: float = 0.0
    log_spread: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation before squashing."""
        return math.exp(self.log_spread)

    @property
    def entropy(self) -> float:
        """That of the quantile, which is minus the divergence of the Gaussian from the standard one."""
        return self.log_spread + 0.5 * (1.0 - self.spread**2 - self.mean**2)

    def draw(self, rng: np.random.Generator) -> Value:
        """One value, by the quantile that the squashed draw is."""
        quantile = NORMAL.cdf(self.mean + self.spread * float(rng.standard_normal()))
        return self.parameter.from_unit(min(quantile, UNDER_ONE))

    def log_ratio(self, value: Value) -> float:
        """Of the cell's probability to its width; of the density where the cell is a point."""
        low, high = self.parameter.cell(value)
        if low == high:
            z = _normal_quantile(low)
            return 0.5 * z * z - 0.5 * ((z - self.mean) / self.spread) ** 2 - self.log_spread
        mass = _mass(*self._ends(low, high))
        return math.log(mass / (high - low)) if mass > 0 else -math.inf

    def gradient(self, value: Value) -> Array:
        """In (mean, log_spread)."""
        first, second = self._moments(value)
        return np.array([first / self.spread, second])

    def entropy_gradient(self) -> Array:
        """In (mean, log_spread)."""
        return np.array([-self.mean, 1.0 - self.spread**2])

    def step(self, value: Value, advantage: float, rates: Rates) -> NumberPolicy:
        """One step along the natural gradient, whose metric is diag(1 / spread², 2)."""
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
        """E[e] and E[e² − 1] over the cell of `value`, e being the distance from the mean in spreads."""
        low, high = self.parameter.cell(value)
        if low == high:
            e = (_normal_quantile(low) - self.mean) / self.spread
            return e, e * e - 1.0
        below, above = self._ends(low, high)
        mass = _mass(below, above)
        if mass < 1e-300:  # so far out that the cell's near end is all there is
            e = below if below > 0 else above
            return e, e * e - 1.0
        first = (_density(below) - _density(above)) / mass
        return first, (_slope(below) - _slope(above)) / mass

    def _ends(self, low: float, high: float) -> tuple[float, float]:
        """A cell's ends in spreads from the mean; the outermost cells reach to infinity."""
        below = (NORMAL.inv_cdf(low) - self.mean) / self.spread if low > TINY else -math.inf
        above = (NORMAL.inv_cdf(high) - self.mean) / self.spread if high < 1 - TINY else math.inf
        return below, above


@dataclass(frozen=True, slots=True)
class ChoicePolicy:
    """Softmax logits, one a choice, in the order of the parameter's choices; they are its own parameters."""

    parameter: Parameter
    logits: tuple[float, ...]

    @property
    def probabilities(self) -> Array:
        """Of the choices, in their order."""
        weights = np.exp(np.array(self.logits) - max(self.logits))
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    @property
    def entropy(self) -> float:
        """Less than that of equal probabilities by the divergence from them."""
        probabilities = self.probabilities
        return -float(probabilities @ np.log(probabilities * len(probabilities)))

    def draw(self, rng: np.random.Generator) -> Value:
        """One choice."""
        return tuple(self.parameter.choices)[int(rng.choice(len(self.logits), p=self.probabilities))]

    def log_ratio(self, value: Value) -> float:
        """Of its probability to an equal share."""
        return math.log(self.probabilities[self._index(value)] * len(self.logits))

    def gradient(self, value: Value) -> Array:
        """In the logits."""
        gradient = -self.probabilities
        gradient[self._index(value)] += 1.0
        return gradient

    def entropy_gradient(self) -> Array:
        """In the logits."""
        probabilities = self.probabilities
        surprise = np.log(probabilities * len(probabilities))
        return -probabilities * (surprise - probabilities @ surprise)

    def step(self, value: Value, advantage: float, rates: Rates) -> ChoicePolicy:
        """One step along the gradient."""
        ascent = advantage * self.gradient(value) + rates.entropy * self.entropy_gradient()
        logits = np.array(self.logits) + LOGIT_RATE * rates.learning_rate * ascent
        return replace(self, logits=tuple(logits.tolist()))

    def _index(self, value: Value) -> int:
        return round(self.parameter.cell(value)[0] * len(self.logits))


def _normal_quantile(u: float) -> float:
    return NORMAL.inv_cdf(min(max(u, TINY), 1 - TINY))


def _mass(below: float, above: float) -> float:
    """Probability of a standard normal number between the two, exact in the tails too."""
    if below > 0:
        below, above = -above, -below
    return 0.5 * (math.erfc(-above / math.sqrt(2)) - math.erfc(-below / math.sqrt(2)))


def _density(e: float) -> float:
    return math.exp(-0.5 * e * e) / math.sqrt(2 * math.pi)


def _slope(e: float) -> float:
    return e * _density(e) if math.isfinite(e) else 0.0
