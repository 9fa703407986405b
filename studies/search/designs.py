"""Designs: points that follow from the slot alone, whoever runs it and whatever the other trials gave.

Because a slot names its point, no worker needs to know what the others took: nothing is tried twice or left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from studies.config.parameter import Value
from studies.config.settings import POINTS, StudySettings
from studies.config.space import Point, SearchSpace
from studies.search.seeds import design_seed, listed, redraw_seed

Design = Callable[[int], Point]
MAX_SOBOL_DIMENSIONS = qmc.Sobol.MAXDIM


def grid_design(settings: StudySettings) -> Design:
    """Slot → cell: replicate after replicate, each with all cells in a random order of its own."""
    cells = settings.space.grid()

    @functools.cache
    def order(replicate: int) -> NDArray[np.intp]:
        return np.random.default_rng(design_seed(settings.seed, replicate)).permutation(len(cells))

    def point(slot: int) -> Point:
        replicate, position = divmod(slot, len(cells))
        return cells[int(order(replicate % settings.replicates)[position])]  # a surplus slot trains nothing

    return point


def random_design(settings: StudySettings) -> Design:
    """Slot → independent uniform draw on each parameter's own scale."""

    def point(slot: int) -> Point:
        return random_point(settings.space, [design_seed(settings.seed), slot])

    return point


def qmc_design(settings: StudySettings) -> Design:
    """Slot → point of a scrambled Sobol sequence (Sobol 1967; Owen's scrambling, as in scipy.stats.qmc)."""

    def point(slot: int) -> Point:
        return sobol_point(settings.space, design_seed(settings.seed), index=slot)

    return point


def points_design(settings: StudySettings) -> Design:
    """Slot → the point that the settings list for it: a round of a selection."""
    points = settings.sampler.options["points"]

    def point(slot: int) -> Point:
        return dict(listed(points, slot))

    return point


DESIGNS: Mapping[str, Callable[[StudySettings], Design]] = {
    "grid": grid_design,
    "random": random_design,
    "qmc": qmc_design,
    POINTS: points_design,
}


def missing_value(settings: StudySettings, slot: int, name: str) -> Value:
    """The value of a parameter that an enqueued choice made active and the slot's design had left out."""
    quantiles = np.random.default_rng([design_seed(settings.seed), slot]).random(len(settings.space))
    return settings.space[name].from_unit(float(quantiles[settings.space.names.index(name)]))


def redraw(settings: StudySettings, slot: int, n_before: int) -> Point:
    """A fresh random point for `slot` in place of one that failed for good, as were `n_before` such points before."""
    return random_point(settings.space, redraw_seed(settings.seed, slot, n_before))


def sobol_point(space: SearchSpace, seed: int, *, index: int) -> Point:
    """The point `index` (from 0) of the scrambled Sobol sequence that `seed` names, one dimension a parameter."""
    sequence = qmc.Sobol(len(space), scramble=True, rng=seed)
    if index:
        sequence.fast_forward(index)
    return space.from_unit(sequence.random(1)[0].tolist())


def typical_points(settings: StudySettings, n: int) -> list[Point]:
    """Up to `n` points that stand for all that the study may train: cells of a design, else quasi-random ones."""
    if settings.is_designed:
        cell = DESIGNS[settings.sampler.name](settings)
        return [cell(slot) for slot in range(min(n, settings.n_trials))]
    seed = design_seed(settings.seed)
    return [sobol_point(settings.space, seed, index=index) for index in range(n)]


def random_point(space: SearchSpace, seed: int | Sequence[int]) -> Point:
    """One independent uniform draw."""
    return space.from_unit(np.random.default_rng(seed).random(len(space)).tolist())
