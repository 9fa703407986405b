"""Designs: the slot alone decides its point, whatever the other trials gave.

Workers need not know each other's points. Nothing is tried twice or left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from studies.config.parameter import Value
from studies.config.settings import POINTS, StudySettings
from studies.config.space import Point, SearchSpace
from studies.search.seeds import design_seed, redraw_seed

Design = Callable[[int], Point]  # slot → its point
DESIGNS = ("grid", "random", "qmc", POINTS)  # the samplers that are designs
MAX_SOBOL_DIMENSIONS = qmc.Sobol.MAXDIM


def make_design(settings: StudySettings) -> Design | None:
    """Return the design of a study. None where its sampler asks a model."""
    space, seed = settings.space, settings.seed
    if settings.round is not None:
        return settings.round.point_of
    match settings.sampler.name:
        case "grid":
            return grid_design(space, seed=seed, replicates=settings.replicates)
        case "random":
            return random_design(space, seed=seed)
        case "qmc":
            return lambda slot: sobol_point(space, design_seed(seed), index=slot)
    return None


def grid_design(space: SearchSpace, *, seed: int, replicates: int) -> Design:
    """Return a full factorial: replicate after replicate, each with all cells in its own random order."""
    cells = space.grid()

    @functools.cache
    def order(replicate: int) -> NDArray[np.intp]:
        return np.random.default_rng(design_seed(seed, replicate)).permutation(len(cells))

    def point(slot: int) -> Point:
        replicate, position = divmod(slot, len(cells))
        return cells[int(order(replicate % replicates)[position])]  # a surplus slot trains nothing

    return point


def random_design(space: SearchSpace, *, seed: int) -> Design:
    """Return independent uniform draws, each parameter on its own scale."""
    return lambda slot: random_point(space, [design_seed(seed), slot])


def missing_value(space: SearchSpace, name: str, *, seed: int, slot: int) -> Value:
    """Draw a parameter that became active by an enqueued choice and is missing in the slot's design."""
    quantiles = np.random.default_rng([design_seed(seed), slot]).random(len(space))
    return space[name].from_unit(float(quantiles[space.names.index(name)]))


def redraw(space: SearchSpace, *, seed: int, slot: int, n_before: int) -> Point:
    """Draw a random point for `slot` in place of one that failed for good, after `n_before` such points."""
    return random_point(space, redraw_seed(seed, slot, n_before))


def sobol_point(space: SearchSpace, seed: int, *, index: int) -> Point:
    """Return the point `index` (from 0) of the scrambled Sobol sequence of `seed`, one dimension a parameter.

    Sobol 1967, with Owen's scrambling, as in scipy.stats.qmc.
    """
    sequence = qmc.Sobol(len(space), scramble=True, rng=seed)
    if index:
        sequence.fast_forward(index)
    return space.from_unit(sequence.random(1)[0].tolist())


def typical_points(settings: StudySettings, n: int) -> list[Point]:
    """Return up to `n` typical points of the study: cells of its design, else quasi-random ones."""
    cell = make_design(settings) if settings.is_designed else None
    if cell is not None:
        return [cell(slot) for slot in range(min(n, settings.n_trials))]
    seed = design_seed(settings.seed)
    return [sobol_point(settings.space, seed, index=index) for index in range(n)]


def random_point(space: SearchSpace, seed: int | Sequence[int]) -> Point:
    """Draw one point uniformly."""
    return space.from_unit(np.random.default_rng(seed).random(len(space)).tolist())
