"""What has to be tuned: how much of the best value is lost if one parameter stays where it is, and the rest is tuned.

This is the question behind "importance" (Probst, Boulesteix & Bischl 2019, arXiv:1802.09596). Unlike a share of
variance, the answer does not depend on how bad the bad corner of the search space is.

Functions are drawn from the fit's posterior. Each is minimised over all parameters, and again with one of them held.
The loss is the difference, in the metric's unit. The mean function's own best value would be optimistic: it is chosen
where errors happen to be favourable. Drawn functions choose afresh each. Functions with a best value beyond what the
metric can be are left out, such as an accuracy above 1.

The estimate is the median. Its interval is that of the draws, with the widths that left-out trials ask for, as in
sobol.py: stretched about the median, and widened by a share of 1 − Q². What is not confirmed may lose as much as the
middling trial does. Effects of three parameters are not in the drawn functions: .3 of the standard deviation of what
mains and pairs leave unexplained is added at both ends. On 216 searches of six known surfaces with 60 and 200 trials
that covers .98 of the losses, and .94 of those above .005.

A parameter is held at its default, the config's own value. Where that is none of the searched values, or not known,
the value that would be taken blindly has to do: half of the range loses more, half loses less. A conditional parameter
is judged among the trials where it was active, and averaged over elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from studies.analysis.axis import Array, Axis
from studies.analysis.estimate import Estimate
from studies.analysis.intervals import UNCONFIRMED
from studies.analysis.levels import CLAIM, PERCENTILES
from studies.analysis.sobol import Sobol
from studies.analysis.tuning.one_at_a_time import Lattice, positions_of
from studies.analysis.verdict import Level
from studies.config.defaults import NEAR
from studies.schema import bounds_of

if TYPE_CHECKING:
    from studies.analysis.fit import Fit
    from studies.analysis.table import TrialsTable

MIN_DRAWS = 40  # functions that are kept at least
N_BLIND = 24  # values taken blindly. An even number: of two choices, half of these are either
UNEXPLAINED = 0.3  # of the standard deviation of what mains and pairs leave, by which intervals are widened
MOST_UNEXPLAINED = 0.9
SAME = 1e-9  # of the range, or absolute: a default that is a limit, or a level near 0, up to rounding

Columns = np.typing.NDArray[np.intp]
Need = Literal["tune", "keep", "open"]


@dataclass(frozen=True, slots=True)
class Tunability:
    """The loss along one parameter, with all others tuned.

    default: the config's own value, None if not known
    is_searched: whether the default is one of the searched values
    loss: in the metric's unit, with the parameter at its default, or else at a value taken blindly
    best: the value with the least loss
    near: the lowest and highest value that lose no more than `tolerance` in at least half of the draws, or the choices
        that do. Empty if no value does.
    worse: the choices that surely lose more. Of a number all beyond `possible` do.
    scope: the conditional parameters whose active trials were used
    positions, losses: of the drawn functions, (L,) in [0, 1] and (K, L)
    """

    axis: Axis
    default: Any
    is_searched: bool
    loss: Estimate
    best: Any
    near: tuple[Any, ...]
    possible: tuple[Any, ...]
    worse: tuple[Any, ...]
    tolerance: float
    matters: bool
    level: Level
    n: int
    scope: tuple[str, ...]
    positions: Array
    losses: Array

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.axis.name

    @property
    def need(self) -> Need:
        """Whether the parameter has to be tuned, may keep its default, or neither is shown by a usable fit."""
        if self.level == "unreliable":
            return "open"
        if self.loss.is_above(self.tolerance):
            return "tune"
        return "keep" if self.loss.is_below(self.tolerance) else "open"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of each parameter, as for `tunability`."""

    defaults: Mapping[str, Any]
    tolerance: float
    metric: str
    seed: int


@dataclass(frozen=True, slots=True)
class _Widths:
    """The widths of intervals, from trials that were left out of the fit.

    stretch: about the median
    widening: of the way to `middling`, the loss of the median trial
    """

    stretch: float
    widening: float
    middling: float
    unexplained: float  # a part of its standard deviation

    @classmethod
    def of(cls, table: TrialsTable, sobol: Sobol) -> _Widths:
        widening = UNCONFIRMED * (1 - min(1.0, max(0.0, sobol.q2)))
        middling = float(np.median(table.loss) - table.loss.min())
        return cls(max(1.0, sobol.stretch), widening, middling, UNEXPLAINED * _unexplained_sd(sobol))

    def estimates(self, losses: Array) -> tuple[Array, Array, Array]:
        """Return median, lower and upper end of each column of draws."""
        lo, middle, hi = np.percentile(losses, [PERCENTILES[0], 50.0, PERCENTILES[1]], axis=0)
        lo = np.maximum(0.0, middle - self.stretch * (middle - lo)) * (1 - self.widening)
        hi = middle + self.stretch * (hi - middle)
        hi = hi + self.widening * np.maximum(0.0, self.middling - hi)
        return middle, np.maximum(0.0, lo - self.unexplained), hi + self.unexplained


def _unexplained_sd(sobol: Sobol) -> float:
    """Return the standard deviation of what mains and pairs leave, in the metric's unit."""
    effects, share = sobol.surface.effects, sobol.unexplained.value
    parts = (*effects.mains, *effects.pairs.values())
    explained = sum(float(np.square(part[1:]).sum()) for part in parts) / (len(effects.constants) - 1)
    return math.sqrt(explained * share / (1 - min(share, MOST_UNEXPLAINED)))


def tunability(
    fits: Sequence[Fit], *, defaults: Mapping[str, Any], tolerance: float, seed: int, metric: str = ""
) -> tuple[Tunability, ...]:
    """Return the tunability of each parameter by the largest fit that has it, the greatest loss first.

    `fits[0]` is over all trials. `tolerance` is the difference in the metric that does not matter. The name of the
    `metric` tells its bounds.
    """
    found: dict[str, Tunability] = {}
    for fit in sorted(fits, key=lambda fit: -fit.n_trials):
        new = [name for name in fit.table.names if name not in found]
        if fit.sobol is not None and new:
            scope = tuple(name for name in fit.table.names if name not in fits[0].table.names)
            rows = _rows(fit, fit.sobol, _Asked(defaults, tolerance, metric, seed), scope=scope)
            found |= {row.name: row for row in rows if row.name in new}
    return tuple(sorted(found.values(), key=lambda row: -row.loss.value))


def _rows(fit: Fit, sobol: Sobol, asked: _Asked, *, scope: tuple[str, ...]) -> Iterator[Tunability]:
    """Yield the tunability of each parameter of `fit`."""
    axes, defaults, tolerance = sobol.surface.axes, asked.defaults, asked.tolerance
    held = [_position(axis, defaults[axis.name]) if axis.name in defaults else None for axis in axes]
    positions = [_with(positions_of(axis), position) for axis, position in zip(axes, held, strict=True)]
    widths = _Widths.of(fit.table, sobol)
    for i, losses in enumerate(_losses(fit.table, sobol, positions, asked)):
        axis, own, position = axes[i], positions[i], held[i]
        at = losses[:, np.argmin(np.abs(own - position))] if position is not None else _blindly(axis, losses)
        (value,), (lo,), (hi,) = widths.estimates(at[:, None])
        middle, low, _ = widths.estimates(losses)
        matters = _matters(sobol, i)
        column = int(np.lexsort((losses.mean(axis=0), middle))[0])
        best = axis.value_at(own[column])
        if not matters:  # the function would choose by its rounding errors
            best = axis.decode(float(fit.table.x[np.argmin(fit.table.loss), i]))
        yield Tunability(
            axis=axis,
            default=defaults.get(axis.name),
            is_searched=position is not None,
            loss=Estimate(float(value), float(lo), float(hi)),
            best=best,
            near=_values(axis, own, middle <= tolerance),
            possible=_values(axis, own, low <= tolerance),
            worse=_choices(axis, low > tolerance),
            tolerance=tolerance,
            matters=matters,
            level=fit.verdict.level,
            n=fit.n_trials,
            scope=scope,
            positions=own,
            losses=losses,
        )


def _losses(table: TrialsTable, sobol: Sobol, positions: Sequence[Array], asked: _Asked) -> list[Array]:
    """Return how much worse each drawn function's best is with each parameter held: (K, L_i)."""
    lattice = Lattice.of(sobol.surface, maximize=table.maximize, positions=positions)
    profiles = lattice.profiles(np.random.default_rng(asked.seed))
    values = [lattice.losses(profile)[1:] for profile in profiles]  # without the posterior mean, which is no draw
    best = np.min([own.min(axis=1) for own in values], axis=0)
    ordered = np.argsort(-best, kind="stable")
    kept = np.sort(ordered[: max(MIN_DRAWS, int(np.sum(best >= _bound(table, asked.metric))))])
    return [own[kept] - best[kept, None] for own in values]


def _bound(table: TrialsTable, metric: str) -> float:
    """Return the least loss that the metric allows: no accuracy is above 1, and no positive metric below 0."""
    low, high = bounds_of(metric, table.y[table.is_measured])
    if table.maximize:
        return -high
    return 0.0 if table.draws.min() > 0 else low


def _position(axis: Axis, value: Any) -> float | None:
    """Return the position of a value in [0, 1], None unless it is one of the axis's own."""
    if axis.kind == "categorical":
        same = [own == value and isinstance(own, bool) == isinstance(value, bool) for own in axis.values]
        return float(axis.nodes()[0][same.index(True)]) if any(same) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if axis.levels:
        same = [math.isclose(own, value, rel_tol=NEAR, abs_tol=SAME) for own in axis.values]
        return float(axis.nodes()[0][same.index(True)]) if any(same) else None
    low, high = axis.decode(axis.low), axis.decode(axis.high)
    rounding = SAME * (high - low)
    if not low - rounding <= value <= high + rounding:
        return None
    return float(axis.unit(np.array([axis.encode(min(max(value, low), high))]))[0])


def _with(positions: Array, position: float | None) -> Array:
    return positions if position is None else np.unique([*positions, position])


def _blindly(axis: Axis, losses: Array) -> Array:
    """Return the median loss over the axis's measure, of each draw."""
    if not axis.levels:
        return np.asarray(np.median(losses, axis=1))
    edges = np.cumsum(axis.weights)
    drawn = np.searchsorted(edges, (np.arange(N_BLIND) + 0.5) / N_BLIND)
    return np.asarray(np.median(losses[:, np.minimum(drawn, len(edges) - 1)], axis=1))


def _matters(sobol: Sobol, i: int) -> bool:
    """Return whether the trials show an effect of the parameter, alone or with another."""
    own = (sobol.mains[i], *(pair for key, pair in sobol.pairs.items() if i in key))
    return any(index.is_above(CLAIM) for index in own)


def _values(axis: Axis, positions: Array, kept: np.typing.NDArray[np.bool_]) -> tuple[Any, ...]:
    """Return the kept choices, or the least and the greatest kept value. A cell of a continuous axis is kept whole."""
    if axis.kind == "categorical":
        return _choices(axis, kept)
    columns = np.flatnonzero(kept)
    if not len(columns):
        return ()
    middles = (positions[1:] + positions[:-1]) / 2
    edges = positions if axis.levels else np.concatenate([[0.0], middles, [1.0]])
    ends = edges[columns[0]], edges[columns[-1] + (0 if axis.levels else 1)]
    return tuple(map(axis.value_at, ends))


def _choices(axis: Axis, kept: np.typing.NDArray[np.bool_]) -> tuple[Any, ...]:
    if axis.kind != "categorical":
        return ()
    return tuple(value for value, own in zip(axis.values, kept, strict=True) if own)
