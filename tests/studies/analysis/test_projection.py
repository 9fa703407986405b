from __future__ import annotations

import itertools

import numpy as np
import pytest
from known_functions import Known, categorical, g_function, integer_grid, ishigami, lr_batch_ridge, uniform

from studies.analysis.axis import Array
from studies.analysis.projection import MOST_TERMS, Projection


def values_of(projection: Projection, known: Known) -> Array:
    """The first basis function gives back the position on an axis."""
    unit = []
    for axis, basis in zip(known.axes, projection.bases, strict=True):
        grid = np.array(axis.unit(np.array(axis.levels))) if axis.levels else np.linspace(0, 1, 5001)
        order = np.argsort(axis.basis(grid)[:, 0])
        unit.append(np.interp(basis[:, 0], axis.basis(grid)[order, 0], grid[order]))
    return known.function(np.column_stack(unit))


@pytest.mark.parametrize("make", [ishigami, g_function, lr_batch_ridge, integer_grid, categorical])
def test_the_shares_of_known_functions_are_found(make: object) -> None:
    known = make()  # type: ignore[operator]
    projection = Projection.of(known.axes)
    found = projection.components(values_of(projection, known)[None])
    names = [axis.name for axis in known.axes]
    owners = [*((name,) for name in names), *itertools.combinations(names, 2)]
    for owner, share in zip(owners, found.shares[0], strict=False):
        assert share == pytest.approx(known.indices[owner], abs=0.02), owner
    assert found.shares.sum() == pytest.approx(1.0)


def test_the_product_of_three_is_left_to_the_rest() -> None:
    projection = Projection.of(uniform(3))
    first = [basis[:, 0] for basis in projection.bases]
    found = projection.components((first[0] * first[1] * first[2])[None])
    assert found.shares[0, -1] > 0.99


def test_components_give_the_function_back() -> None:
    projection = Projection.of(uniform(3))
    a, b, c = (basis[:, :2] for basis in projection.bases)
    values = 2 + 3 * a[:, 0] - b[:, 1] + 0.5 * a[:, 1] * c[:, 0]
    found = projection.components(np.array([values, 2 * values]))
    assert found.constants == pytest.approx([2, 4])
    assert found.mains[0][:, 0] == pytest.approx([3, 6])
    assert found.mains[1][:, 1] == pytest.approx([-1, -2])
    assert found.pairs[1][:, 1, 0] == pytest.approx([0.5, 1])
    assert found.variances[0] == pytest.approx([9, 1, 0, 0, 0.25, 0, 0], abs=0.03)


def test_many_parameters_get_few_terms_each() -> None:
    projection = Projection.of(uniform(20))
    assert projection.design.shape[1] <= MOST_TERMS + 1
    assert len(projection.design) > 2 * projection.design.shape[1]
