from __future__ import annotations

import itertools

import numpy as np
import pytest
from known_functions import Known, categorical, g_function, integer_grid, ishigami, lr_batch_ridge, uniform

from studies.analysis.axis import Array, levelled
from studies.analysis.projection import MOST_TERMS, Additive, Projection


def nothing(projection: Projection, *, k: int = 1) -> Additive:
    """Functions that are 0."""
    sizes = [basis.shape[1] for basis in projection.bases]
    shapes = [(size,) for size in sizes] + list(itertools.combinations(sizes, 2))
    return Additive(np.zeros(k), [np.zeros((k, *shape)) for shape in shapes], np.zeros((k, len(projection.design))))


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
    found = projection.components(values_of(projection, known)[None], nothing(projection))
    names = [axis.name for axis in known.axes]
    owners = [*((name,) for name in names), *itertools.combinations(names, 2)]
    for owner, share in zip(owners, found.shares[0], strict=False):
        assert share == pytest.approx(known.indices[owner], abs=0.02), owner
    assert found.shares.sum() == pytest.approx(1.0)


def test_the_product_of_three_is_left_to_the_rest() -> None:
    projection = Projection.of(uniform(3))
    first = [basis[:, 0] for basis in projection.bases]
    found = projection.components((first[0] * first[1] * first[2])[None], nothing(projection))
    assert found.shares[0, -1] > 0.99


def test_components_give_the_function_back() -> None:
    projection = Projection.of(uniform(3))
    a, b, c = (basis[:, :2] for basis in projection.bases)
    values = 2 + 3 * a[:, 0] - b[:, 1] + 0.5 * a[:, 1] * c[:, 0]
    found = projection.components(np.array([values, 2 * values]), nothing(projection, k=2))
    assert found.constants == pytest.approx([2, 4])
    assert found.mains[0][:, 0] == pytest.approx([3, 6])
    assert found.mains[1][:, 1] == pytest.approx([-1, -2])
    assert found.pairs[1][:, 1, 0] == pytest.approx([0.5, 1])
    assert found.variances[0] == pytest.approx([9, 1, 0, 0, 0.25, 0, 0], abs=0.03)


def test_many_parameters_get_few_terms_each() -> None:
    projection = Projection.of(uniform(20))
    assert projection.design.shape[1] <= MOST_TERMS + 1
    assert len(projection.design) > 2 * projection.design.shape[1]


def test_what_the_near_function_is_made_of_is_known_exactly() -> None:
    """A product of degree 2 × 20 is beyond the terms of six parameters."""
    projection = Projection.of(uniform(6))
    near = nothing(projection)
    near.constants[:] = 1
    near.parts[0][:, 19] = 2
    near.parts[6][:, 1, 19] = 1
    near.values[:] = 1 + 2 * projection.bases[0][:, 19] + projection.bases[0][:, 1] * projection.bases[1][:, 19]
    found = projection.components(7 - 3 * near.values, near)
    assert found.constants == pytest.approx([4])
    assert found.variances[0, 0] == pytest.approx(36)
    assert found.variances[0, 6] == pytest.approx(9)
    assert found.variances[0].sum() == pytest.approx(45)


@pytest.mark.parametrize("d", [1, 2])
def test_nothing_is_left_to_three_of_fewer_parameters(d: int) -> None:
    projection = Projection.of(uniform(d))
    steps = np.sign(np.sum([np.sin(40 * np.pi * basis[:, 0]) for basis in projection.bases], axis=0))
    found = projection.components(steps[None], nothing(projection))
    assert found.shares[0, -1] == 0
    assert found.shares[0].sum() == pytest.approx(1)


def test_many_choices_leave_a_projection_of_few_terms() -> None:
    axes = [levelled(f"p{i}", "categorical", "linear", list(map(float, range(6))), list("abcdef")) for i in range(20)]
    assert Projection.of(axes).design.shape[1] <= MOST_TERMS + 1
