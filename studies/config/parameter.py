"""One parameter of a search space: its scale, its values, and how a value reaches the config.

Grid, random, quasi-random and model-based search all draw from the same `Parameter`, so they share its end points. A
`power_of_two` is stored as the number itself (64, not 6) in a log-scaled integer distribution, and sampled values are
snapped to the nearest power. So every tool that reads the storage sees true batch sizes in their order. The cost: a
model-based sampler gives the two end values a little less of its prior.

Optuna is imported late, because a config is composed and printed without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

ParameterType = Literal["float", "int", "power_of_two", "categorical"]
Role = Literal["scientific", "nuisance", "fixed"]
OFF_GRID = 1e-8  # steps; Optuna's tolerance for values beside its grid
Value = bool | int | float | str | None  # what Optuna stores of a choice


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named axis of the search space."""

    name: str
    paths: tuple[str, ...]  # the config keys that it sets
    type: ParameterType
    low: float = 0.0  # as `high` and `step`, in the config's own units
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: Mapping[Value, Any] = field(default_factory=dict)  # names for samplers: values for the config
    levels: tuple[Value, ...] | None = None  # the values of a grid
    levels_are_given: bool = False  # by the config; else they are all values of a discrete parameter
    role: Role = "nuisance"
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)  # other parameters: values that activate it

    @property
    def replaces_subconfig(self) -> bool:
        """Whether any choice writes a whole mapping into the config."""
        return any(isinstance(choice, Mapping) for choice in self.choices.values())

    def distribution(self) -> BaseDistribution:
        """Return the Optuna distribution that values are stored under."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        match self.type:
            case "float":
                return FloatDistribution(self.low, self.high, log=self.log, step=self.step)
            case "int":
                return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
            case "power_of_two":
                return IntDistribution(int(self.low), int(self.high), log=True)
            case "categorical":
                return CategoricalDistribution(tuple(self.choices))

    def suggest(self, trial: BaseTrial) -> Value:
        """Ask `trial` for a value. Raises ValueError if a stored point has a value that is not the parameter's."""
        match self.type:
            case "float":
                return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)
            case "int":
                low, high, step = int(self.low), int(self.high), int(self.step or 1)
                return trial.suggest_int(self.name, low, high, log=self.log, step=step)
            case "power_of_two":
                value = trial.suggest_int(self.name, int(self.low), int(self.high), log=True)
                if value & (value - 1):
                    raise ValueError(f"{self.name} is {value}, which is no power of two: enqueue a power of two")
                return value
            case "categorical":
                return trial.suggest_categorical(self.name, tuple(self.choices))

    def snap(self, value: Any) -> Any:
        """Return the parameter's own value nearest to a sampled one, on the search scale."""
        return 2 ** round(math.log2(value)) if self.type == "power_of_two" else value

    def contains(self, value: Any) -> bool:
        """Return whether this parameter can take `value`."""
        if self.type == "categorical":
            return any(
                value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in self.choices
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.type == "power_of_two":
            return float(value).is_integer() and not int(value) & (int(value) - 1)
        steps = steps_between(self.low, value, self.step) if self.step else 0.0
        whole = self.type == "float" or float(value).is_integer()
        return whole and abs(steps - round(steps)) <= OFF_GRID

    def own(self, value: Any) -> Any:
        """Return the choice that `value` names. Names are texts, though YAML makes numbers or null of some."""
        if self.type != "categorical" or self.contains(value):
            return value
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        return text if text in self.choices else value

    def from_unit(self, u: float) -> Value:
        """Return the value at quantile `u` in [0, 1) of the parameter's own measure.

        The measure is log-uniform for `log`. Each choice, power, integer and step has equal weight.
        """
        match self.type:
            case "categorical":
                return tuple(self.choices)[_cell(u, len(self.choices))]
            case "power_of_two":
                return self._powers()[_cell(u, len(self._powers()))]
            case "int" if self.log:
                low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
                return int(min(max(round(math.exp(low + u * (high - low))), self.low), self.high))
            case "int":
                step = int(self.step or 1)
                return int(self.low) + step * _cell(u, int((self.high - self.low) // step) + 1)
            case "float" if self.step:
                return stepped(self.low, self.step, _cell(u, self._count(self.step)))
            case "float" if self.log:
                low, high = math.log(self.low), math.log(self.high)
                return float(min(max(math.exp(low + u * (high - low)), self.low), self.high))
            case "float":
                return self.low + u * (self.high - self.low)

    def cell(self, value: Any) -> tuple[float, float]:
        """Return the quantiles that `from_unit` maps to `value`, which the parameter contains. They are equal for a
        float.

        A parameter with a single value has the whole of [0, 1].
        """
        match self.type:
            case "categorical":
                return _nth(tuple(self.choices).index(value), len(self.choices))
            case "power_of_two":
                return _nth(self._powers().index(value), len(self._powers()))
            case "int" if self.log:
                low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
                return (math.log(value - 0.5) - low) / (high - low), (math.log(value + 0.5) - low) / (high - low)
            case "int" | "float" if self.step or self.type == "int":
                step = self.step or 1.0
                return _nth(round(steps_between(self.low, value, step)), self._count(step))
            case "float" if self.low == self.high:
                return 0.0, 1.0
            case "float" if self.log:
                u = math.log(value / self.low) / math.log(self.high / self.low)
                return u, u
        u = (value - self.low) / (self.high - self.low)
        return u, u

    def spread(self, n: int) -> tuple[Value, ...]:
        """Return `n` values from end to end, evenly spaced on the search scale, or fewer if there are fewer."""
        if self.type == "categorical":
            return tuple(self.choices)[:n]
        if self.type == "power_of_two":
            powers = self._powers()
            return tuple(powers[i] for i in _evenly(len(powers), n))
        if self.step is not None:
            found = [stepped(self.low, self.step, i) for i in _evenly(self._count(self.step), n)]
            return tuple(int(value) for value in found) if self.type == "int" else tuple(found)
        if self.type == "int" and n > self.high - self.low:
            return tuple(range(int(self.low), int(self.high) + 1))
        if n == 1:
            return (self.from_unit(0.5),)
        between = np.geomspace if self.log else np.linspace
        inner = [float(value) for value in between(self.low, self.high, n)[1:-1]]
        values = [self.low, *inner, self.high]
        return tuple(dict.fromkeys(round(value) if self.type == "int" else value for value in values))

    @property
    def n_values(self) -> int:
        """The number of values of a discrete parameter."""
        if self.type == "categorical":
            return len(self.choices)
        return len(self._powers()) if self.type == "power_of_two" else self._count(self.step or 1.0)

    def corners(self) -> tuple[Value, ...]:
        """Return the extreme values: both ends of a range, every choice of a categorical."""
        return tuple(self.choices) if self.type == "categorical" else tuple(dict.fromkeys(self.spread(2)))

    def _count(self, step: float) -> int:
        """Return the number of values with this `step` from end to end."""
        return math.floor(steps_between(self.low, self.high, step) + OFF_GRID) + 1

    def _powers(self) -> tuple[int, ...]:
        first, last = round(math.log2(self.low)), round(math.log2(self.high))
        return tuple(2**exponent for exponent in range(first, last + 1))


def stepped(low: float, step: float, n: int) -> float:
    """Return `low` plus `n` steps, added as decimals: 0.1 + 2 · 0.1 is 0.3, and 3 · 1e-13 is 3e-13."""
    return float(_decimal(low) + n * _decimal(step))


def steps_between(low: float, value: float, step: float) -> float:
    """Return the number of steps from `low` to `value`, in decimals like `stepped`."""
    return float((_decimal(value) - _decimal(low)) / _decimal(step))


def label_of(values: Iterable[Value], *, among: Iterable[Iterable[Value]] = ()) -> str:
    """Return values in words for tables. An inactive parameter is a dash.

    A float has six digits, or all of them if one of `among` would have the same label.
    """
    own = tuple(values)
    short = _label(own, "{:.6g}")
    others = (other for other in map(tuple, among) if other != own)
    return _label(own, "{!r}") if any(_label(other, "{:.6g}") == short for other in others) else short


def _label(values: Iterable[Value], written: str) -> str:
    return " × ".join(
        "–" if value is None else written.format(value) if isinstance(value, float) else str(value) for value in values
    )


def _decimal(value: float) -> Decimal:
    """Return a float as the decimal number that is written for it."""
    return Decimal(repr(float(value)))


def _cell(u: float, n: int) -> int:
    return min(int(u * n), n - 1)


def _nth(index: int, n: int) -> tuple[float, float]:
    return index / n, (index + 1) / n


def _evenly(count: int, n: int) -> list[int]:
    """Return `n` indices out of `count`, with both ends."""
    if n >= count:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, n)}) if n > 1 else [count // 2]
