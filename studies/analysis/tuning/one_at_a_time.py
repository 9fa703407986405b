"""The cost of tuning one parameter at a time, against tuning all of them together with as many trials.

Both are played on functions drawn from the fitted surface's posterior, without noise. *One at a time* begins at a
random start. In a random order, each parameter is set to the best of evenly spread values, with the others held. Each
gets an equal part of the trials. If these are more than an axis has values, there is another round. *Together* takes
quasi-random points: a third of the trials in the whole space, then two thirds in a half and a quarter of its width
around the best so far. The loss of either is the distance in value of its best point from the function's minimum. The
cost is the difference of the two losses, averaged over starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from studies.analysis.axis import Array, Axis
from studies.analysis.estimate import Estimate
from studies.analysis.surface import Surface

N_VALUES = 25  # positions of a continuous axis
N_STARTS = 32  # games played on each function
BOXES = (1.0, 0.5, 0.25)  # widths of the rounds in which parameters are tuned together
N_DESCENTS = 32  # coordinate descents behind each function's minimum
N_POOLED = 16  # of them where one parameter is held
N_PASSES = 2
MAX_SWEEPS = 20

Indices = np.typing.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TuningCost:
    """Expected losses in the metric's unit, posterior medians with intervals: how far each way stays from the best.

    `cost` is the loss of one at a time minus that of together. It is positive if parameters must be tuned together.
    """

    one_at_a_time: Estimate
    together: Estimate
    cost: Estimate
    n_trials: int


def tuning_cost(surface: Surface, *, n_trials: int, maximize: bool, seed: int) -> TuningCost:
    """Return the cost on `surface` for a budget of `n_trials`. One at a time, the parameters share it equally."""
    lattice = Lattice.of(surface, maximize=maximize)
    rng = np.random.default_rng(seed)
    found = [lattice.one_at_a_time(n_trials, rng), lattice.together(n_trials, rng)]
    best = np.min([lattice.minimum(rng), *(values.min(axis=1) for values in found)], axis=0)
    least = lattice.losses(best[:, None])[:, 0]
    apart, together = (lattice.losses(values).mean(axis=1) - least for values in found)
    return TuningCost(_estimate(apart), _estimate(together), _estimate(apart - together), n_trials)


@dataclass(frozen=True, slots=True)
class Lattice:
    """All functions of a surface on a lattice, on the scale of the fit. Lower wins.

    mains: of each axis i, (F, L_i)
    pairs: of axes i and j, (F, L_i, L_j), both ways round
    """

    surface: Surface
    maximize: bool
    sign: float
    sizes: tuple[int, ...]
    mains: list[Array]
    pairs: dict[tuple[int, int], Array]

    @classmethod
    def of(cls, surface: Surface, *, maximize: bool, positions: Sequence[Array] | None = None) -> Lattice:
        """Return the functions of `surface`, with the other sign if more is better.

        `positions` are those of each axis in [0, 1], usually `positions_of` it.
        """
        sign = -1.0 if maximize != surface.response.is_turned else 1.0
        along = [positions_of(axis) for axis in surface.axes] if positions is None else positions
        bases = [axis.basis(unit) for axis, unit in zip(surface.axes, along, strict=True)]
        mains = [sign * (main @ basis.T) for main, basis in zip(surface.latent.mains, bases, strict=True)]
        pairs = {}
        for (i, j), pair in surface.latent.pairs.items():
            pairs[i, j] = sign * (bases[i] @ pair @ bases[j].T)
            pairs[j, i] = pairs[i, j].transpose(0, 2, 1)
        return cls(surface, maximize, sign, tuple(len(basis) for basis in bases), mains, pairs)

    def losses(self, values: Array) -> Array:
        """Return the metric, lower is better, for values on the lattice (F, P)."""
        latent = self.surface.latent.constants[:, None] + self.sign * values
        metric = self.surface.metric(latent)
        return -metric if self.maximize else metric

    def values(self, points: Indices) -> Array:
        """Return the values at lattice points (F, P, d): (F, P)."""
        functions = np.arange(len(points))[:, None]
        total = sum(main[functions, points[:, :, i]] for i, main in enumerate(self.mains))
        for (i, j), pair in self.pairs.items():
            if i < j:
                total = total + pair[functions, points[:, :, i], points[:, :, j]]
        return np.asarray(total)

    def profile(self, points: Indices, i: int) -> Array:
        """Return the values along axis i through the points, up to a constant: (F, P, L_i)."""
        functions = np.arange(len(points))[:, None]
        total = np.repeat(self.mains[i][:, None, :], points.shape[1], axis=1)
        for j in range(len(self.sizes)):
            if j != i:
                total += self.pairs[j, i][functions, points[:, :, j]]
        return total

    def one_at_a_time(self, n_trials: int, rng: np.random.Generator) -> Array:
        """Return the values found from random starts: (F, N_STARTS)."""
        points = self._random(N_STARTS, rng)
        each = max(2, n_trials // len(self.sizes))
        tried = [np.unique(np.linspace(0, n - 1, min(each, n)).round().astype(np.intp)) for n in self.sizes]
        n_sweeps = max(1, n_trials // sum(map(len, tried)))
        for start in range(N_STARTS):
            for _ in range(min(n_sweeps, MAX_SWEEPS)):
                for i in rng.permutation(len(self.sizes)):
                    along = self.profile(points[:, start : start + 1], i)[:, 0, tried[i]]
                    points[:, start, i] = tried[i][np.argmin(along, axis=1)]
        return self.values(points)

    def together(self, n_trials: int, rng: np.random.Generator) -> Array:
        """Return the best values of searches in ever smaller boxes around the best point so far: (F, N_STARTS)."""
        n_functions, sizes = len(self.mains[0]), np.array(self.sizes)
        each = max(1, n_trials // len(BOXES))
        found = []
        for _ in range(N_STARTS):
            designs = qmc.Halton(len(sizes), rng=rng)
            centre, best = np.full((n_functions, 1, len(sizes)), 0.5), np.full(n_functions, np.inf)
            for box in BOXES:
                unit = np.clip(centre + box * (designs.random(each)[None] - 0.5), 0.0, 1.0)
                values = self.values(np.minimum(np.floor(unit * sizes), sizes - 1).astype(np.intp))
                first = values.argmin(axis=1)
                improved = values.min(axis=1) < best
                centre[improved, 0] = unit[improved, first[improved]]
                best = np.minimum(best, values.min(axis=1))
            found.append(best)
        return np.array(found).T

    def minimum(self, rng: np.random.Generator) -> Array:
        """Return the least value of each function by coordinate descents from random points: (F,)."""
        return np.asarray(self.values(self._descend(self._random(N_DESCENTS, rng))).min(axis=1))

    def profiles(self, rng: np.random.Generator) -> list[Array]:
        """Return the least value with each parameter held at each of its values, all others free: (F, L_i) for each.

        A descent from one point alone often ends elsewhere. So every held value begins at the best of all points that
        any descent has found, and this is done twice.
        """
        pool, found = self._descend(self._random(N_POOLED, rng)), []
        for _ in range(N_PASSES):
            found = [self._along(i, pool) for i in range(len(self.sizes))]
            pool = np.concatenate([pool, *found], axis=1)
        return [self.values(points) for points in found]

    def _along(self, i: int, pool: Indices) -> Indices:
        """Return the best found points with parameter i held at each of its values: (F, L_i, d)."""
        profile = self.profile(pool, i)
        own = np.take_along_axis(profile, pool[:, :, i, None], axis=2)
        first = np.argmin(self.values(pool)[:, :, None] + profile - own, axis=1)
        points = np.take_along_axis(pool, first[:, :, None], axis=1)
        points[:, :, i] = np.arange(self.sizes[i])
        return self._descend(points, held=i)

    def _descend(self, points: Indices, *, held: int | None = None) -> Indices:
        """Move `points` (F, P, d) by coordinate descents and return them. One parameter may be held."""
        for _ in range(MAX_SWEEPS):
            before = points.copy()
            for i in range(len(self.sizes)):
                if i != held:
                    points[:, :, i] = np.argmin(self.profile(points, i), axis=2)
            if np.array_equal(before, points):
                break
        return points

    def _random(self, n: int, rng: np.random.Generator) -> Indices:
        """Return the same `n` random points for every function: (F, n, d)."""
        points = rng.integers(0, self.sizes, size=(n, len(self.sizes)))
        return np.repeat(points[None], len(self.mains[0]), axis=0)


def positions_of(axis: Axis) -> Array:
    """Return the lattice of an axis: its levels, or the middles of `N_VALUES` cells, in [0, 1]."""
    return axis.nodes()[0] if axis.levels else (np.arange(N_VALUES) + 0.5) / N_VALUES


def _estimate(values: Array) -> Estimate:
    """Return median and interval of the drawn functions' values. The first function is their mean, so it is no draw."""
    lo, middle, hi = np.percentile(values[1:], [2.5, 50.0, 97.5])
    return Estimate(float(middle), float(lo), float(hi))
