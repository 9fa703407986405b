"""Both answers against truths in closed form: what decides whether it trains, and how well among those that do."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.intervals import UNCONFIRMED
from studies.analysis.surface import Functions
from studies.analysis.table import table_of
from studies.analysis.training import training
from studies.analysis.training.grids import MOST_POINTS, Grids
from studies.analysis.training.shapley import shapley_effects
from studies.analysis.training.training import TrainingAnalysis, from_noise, training_of

N = 150
DEPTHS = 4
SPACE: Mapping[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "depth": IntDistribution(1, DEPTHS),
    "dropout": FloatDistribution(0.0, 0.5),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
}


def edge(depth: Array, is_sgd: Array) -> Array:
    """The position of the learning rate, in [0, 1], up to which a configuration trains."""
    return np.asarray(0.9 - 0.15 * (depth - 1) - 0.1 * (1 - is_sgd))


def accuracy(lr: Array, depth: Array, dropout: Array, is_sgd: Array) -> Array:
    """The accuracy of a configuration that trains."""
    return np.asarray(0.75 + 0.15 * lr - 0.02 * depth - 0.1 * dropout**2 + 0.04 * is_sgd * (lr - 0.5))


def trial(lr: float, depth: int, dropout: float, is_sgd: bool, value: float | None) -> FrozenTrial:
    return create_trial(
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        value=value,
        params={
            "lr": 10 ** (4 * lr - 4),
            "depth": depth,
            "dropout": dropout / 2,
            "optimizer": "sgd" if is_sgd else "adam",
        },
        distributions=dict(SPACE),
        user_attrs={schema.SOURCE: "random", **({schema.FAILURE: "diverged"} if value is None else {})},
    )


def trials(*, diverge: bool, n: int = N, seed: int = 0) -> list[FrozenTrial]:
    """Random trials with a little noise. Those beyond the edge diverge, or are stuck at chance."""
    rng = np.random.default_rng(seed)
    lr, dropout, is_sgd = rng.random(n), rng.random(n), (rng.random(n) < 0.5).astype(float)
    depth = rng.integers(1, DEPTHS + 1, n).astype(float)
    stuck = lr > edge(depth, is_sgd)
    values = np.where(stuck, 0.1, accuracy(lr, depth, dropout, is_sgd)) + 0.01 * rng.standard_normal(n)
    return [
        trial(lr[k], int(depth[k]), dropout[k], bool(is_sgd[k]), None if diverge and stuck[k] else float(values[k]))
        for k in range(n)
    ]


@functools.cache
def found(*, diverge: bool) -> TrainingAnalysis:
    answer = training_of(table_of(trials(diverge=diverge), maximize=True), seed=0)
    assert answer is not None
    return answer


def nodes() -> tuple[Array, Array, Array, Array]:
    """All points of a dense grid, in the order of the parameters' names: depth, dropout, lr, optimizer."""
    middle = (np.arange(200) + 0.5) / 200
    return tuple(np.meshgrid(np.arange(1.0, DEPTHS + 1), middle[2::20], middle, [0.0, 1.0], indexing="ij"))  # type: ignore[return-value]


def true_main(inside: Array, axis: int) -> float:
    means = inside.mean(axis=tuple(i for i in range(inside.ndim) if i != axis))
    return float(means.var() / inside.var())


@pytest.mark.parametrize("diverge", [False, True])
def test_the_shares_of_the_chance_to_train_lie_in_their_intervals(diverge: bool) -> None:
    depth, _, lr, is_sgd = nodes()
    inside = (lr <= edge(depth, is_sgd)).astype(float)
    answer = found(diverge=diverge)
    assert [axis.name for axis in answer.axes] == ["depth", "dropout", "lr", "optimizer"]
    for i, share in enumerate(answer.mains):
        lo, hi = share.ends
        truth = true_main(inside, i)
        assert lo - 0.01 <= truth <= hi, answer.axes[i].name
        assert share.value == pytest.approx(truth, abs=0.15)
    assert answer.mains[2].is_above(0.1)
    assert answer.confirmed > 0.6


def test_what_is_not_confirmed_widens_them_more_than_those_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = found(diverge=False)
    monkeypatch.setattr(training, "WIDENING", 0.0)
    narrow = training_of(table_of(trials(diverge=False), maximize=True), seed=0)
    assert narrow is not None
    by = 2 * UNCONFIRMED * (1 - narrow.confirmed)
    assert by > 0.01
    for share, before in zip(wide.mains, narrow.mains, strict=True):
        lo, hi = before.ends
        assert share.ends == pytest.approx((lo * (1 - by), hi + (1 - hi) * by))


@pytest.mark.parametrize("diverge", [False, True])
def test_effects_among_configurations_that_train_are_those_of_the_region_by_brute_force(diverge: bool) -> None:
    depth, dropout, lr, is_sgd = nodes()
    inside = lr <= edge(depth, is_sgd)
    truth = shapley_effects(accuracy(lr, depth, dropout, is_sgd)[None], inside[None].astype(float))[0]
    among = found(diverge=diverge).among
    assert among is not None
    assert among.chosen == (0, 1, 2, 3)
    for share, true in zip(among.effects, truth, strict=True):
        lo, hi = share.ends
        assert lo <= true <= hi
        assert share.value == pytest.approx(true, abs=0.08)
    assert sum(share.value for share in among.effects) == pytest.approx(1.0)
    assert among.share.value == pytest.approx(float(inside.mean()), abs=0.06)
    assert among.q2 > 0.8


def test_the_region_is_told_by_rules_that_agree_with_the_classifier() -> None:
    region = found(diverge=False).region
    assert region is not None
    assert region.agreement > 0.8
    assert {bound.axis.name for box in region.boxes for bound in box} <= {"lr", "depth", "optimizer"}


def test_the_order_of_trials_makes_no_difference() -> None:
    given = trials(diverge=False, n=60)
    answers = [training_of(table_of(order, maximize=True), seed=0) for order in (given, given[::-1])]
    shares = [[own.value for own in answer.mains] for answer in answers if answer is not None]
    assert shares[0] == pytest.approx(shares[1], abs=1e-6)


def test_a_study_with_one_group_has_no_such_answers() -> None:
    rng = np.random.default_rng(0)
    given = [trial(lr, 1 + k % DEPTHS, 0.5, False, lr**2 + 0.1 * rng.random()) for k, lr in enumerate(rng.random(60))]
    assert training_of(table_of(given, maximize=True), seed=0) is None


def coin(n: int, seed: int) -> list[FrozenTrial]:
    """Trials of which a coin says whether they train."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(n) < 0.5, 0.1, 0.8) + 0.01 * rng.standard_normal(n)
    return [
        trial(rng.random(), int(rng.integers(1, DEPTHS + 1)), rng.random(), bool(rng.random() < 0.5), float(value))
        for value in values
    ]


@pytest.mark.parametrize("n", [30, 60])
@pytest.mark.parametrize("seed", range(4))
def test_groups_by_a_coin_tell_nothing(n: int, seed: int) -> None:
    answer = training_of(table_of(coin(n, seed), maximize=True), seed=0)
    assert answer is not None
    assert not answer.is_learned
    assert answer.confirmed <= answer.from_noise < found(diverge=False).confirmed
    assert {share.ends for share in (*answer.mains, *answer.pairs.values())} == {(0.0, 1.0)}
    assert answer.region is None
    assert answer.among is None


def test_shuffled_groups_reach_less_with_more_trials_and_more_with_more_parameters() -> None:
    assert from_noise(20, n_parameters=4) == from_noise(10, n_parameters=4)
    assert from_noise(60, n_parameters=4) > from_noise(200, n_parameters=4)
    assert from_noise(200, n_parameters=6) > from_noise(200, n_parameters=4)


def test_a_choice_at_which_all_trials_diverge_decides() -> None:
    rng = np.random.default_rng(0)
    given = [
        trial(lr, 2, 0.5, k % 3 == 0, None if k % 3 == 0 else 0.5 + 0.1 * lr) for k, lr in enumerate(rng.random(60))
    ]
    answer = training_of(table_of(given, maximize=True), seed=0)
    assert answer is not None
    assert answer.groups.border is None
    shares = {axis.name: share for axis, share in zip(answer.axes, answer.mains, strict=True)}
    assert shares["optimizer"].value > 0.8


def test_functions_on_grids_are_those_at_their_points() -> None:
    rng, table = np.random.default_rng(0), table_of(trials(diverge=False, n=40), maximize=True)
    sizes = [len(axis.degrees()) for axis in table.axes]
    functions = Functions(
        table.axes,
        rng.standard_normal(4),
        tuple(rng.standard_normal((4, size)) for size in sizes),
        {(i, j): rng.standard_normal((4, sizes[i], sizes[j])) for i, j in combinations(range(4), 2)},
    )
    grids = Grids.of(table.axes, (1, 3), np.ones(4), n=3, rng=rng)
    values = grids.values(functions)  # on depth × optimizer, averaged over the others
    assert grids.weights == pytest.approx(np.full((DEPTHS, 2), 1 / 8))
    depth, is_sgd = np.meshgrid(table.axes[1].nodes()[0], table.axes[3].nodes()[0], indexing="ij")
    nodes, weights = table.axes[0].nodes()  # of both continuous ones
    lr, dropout = (part.ravel() for part in np.meshgrid(nodes, nodes, indexing="ij"))
    for i, j in np.ndindex(DEPTHS, 2):
        unit = np.column_stack([lr, np.full(len(lr), depth[i, j]), dropout, np.full(len(lr), is_sgd[i, j])])
        assert values[:, i, j] == pytest.approx(functions(unit)[1:] @ np.outer(weights, weights).ravel())


def test_grids_of_continuous_parameters_begin_anywhere_and_have_more_points_where_it_matters() -> None:
    table = table_of(trials(diverge=False, n=40), maximize=True)
    grids = Grids.of(table.axes, range(4), np.array([0.7, 0.1, 0.1, 0.1]), n=3, rng=np.random.default_rng(0))
    sizes = grids.weights.shape
    assert np.prod(sizes) <= MOST_POINTS
    assert sizes[0] > 2 * sizes[2]
    assert sizes[1:4:2] == (DEPTHS, 2)
    assert grids.weights.sum() == pytest.approx(1.0)
    assert not np.allclose(grids.bases[0][0], grids.bases[0][1])
