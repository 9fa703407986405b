"""The rule of two groups: what it splits, and what it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.analysis.axis import Array
from studies.analysis.table import table_of
from studies.analysis.training.two_groups import border_of, dip, two_groups

Values = Callable[[np.random.Generator, int], Array]
N_STUDIES = 100
ONE_GROUP: dict[str, Values] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "few good": lambda rng, n: -rng.exponential(size=n),
    "log-normal": lambda rng, n: np.exp(2 * rng.standard_normal(n)),
    "valley": lambda rng, n: ((rng.random((n, 3)) - 0.4) ** 2).sum(axis=1),
    "few digits": lambda rng, n: np.round(rng.beta(8, 2, n), 2),
}
SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
}


def split_share(values: Values, n: int) -> float:
    rng = np.random.default_rng(n)
    return float(np.mean([border_of(values(rng, n)) is not None for _ in range(N_STUDIES)]))


def test_at_most_two_percent_of_studies_with_one_group_are_split() -> None:
    shares = {(name, n): split_share(values, n) for name, values in ONE_GROUP.items() for n in (60, 200)}
    assert np.mean(list(shares.values())) <= 0.02
    assert max(shares.values()) <= 0.05, shares


@pytest.mark.parametrize("n", [60, 200])
def test_a_fifth_of_stuck_trials_is_found(n: int) -> None:
    def values(rng: np.random.Generator, n: int) -> Array:
        stuck = rng.random(n) < 0.25
        return np.asarray(np.where(stuck, 0.1 + 0.02 * rng.random(n), 0.6 + 0.3 * rng.random(n)))

    assert split_share(values, n) >= 0.95
    assert border_of(values(np.random.default_rng(0), n)) == pytest.approx(0.36, abs=0.24)


def test_losses_that_diverge_over_decades_are_split_on_their_log_scale() -> None:
    rng = np.random.default_rng(0)
    border = border_of(np.concatenate([0.3 + 0.5 * rng.random(40), 10 ** rng.uniform(3, 9, 20)]))
    assert border is not None
    assert 0.8 < border < 1e3


def test_the_dip_is_the_distance_from_the_nearest_distribution_with_one_mode() -> None:
    assert dip(np.linspace(0, 1, 50)) == pytest.approx(1 / 100)  # half a step: no distribution is nearer to steps
    two = np.concatenate([np.linspace(0, 0.01, 50), np.linspace(1, 1.01, 50)])
    assert dip(two) == pytest.approx(0.25, abs=0.01)  # a mode in one half, and a slope through the other


def trial(value: float | None, *, optimizer: str = "adam", lr: float = 1e-2) -> FrozenTrial:
    attributes = {} if value is not None else {schema.FAILURE: schema.Failure.DIVERGED}
    return create_trial(
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        value=value,
        params={"lr": lr, "optimizer": optimizer},
        distributions=SPACE,
        user_attrs=attributes,
    )


def test_diverged_trials_are_the_group_that_does_not_train_with_their_points() -> None:
    values = np.random.default_rng(0).standard_normal(30)
    learning_rates = np.geomspace(1e-4, 1e-2, 30)
    trained = [trial(float(y), lr=float(lr)) for y, lr in zip(values, learning_rates, strict=True)]
    table = table_of([*trained, *(trial(None, optimizer="sgd") for _ in range(6))], maximize=False)
    found = two_groups(table)
    assert found is not None
    assert (found.border, found.n_trained, found.n_others) == (None, 30, 6)
    assert table.names == ("lr",)  # the other one has the same value in all trials with a value
    assert table.tried is not None
    assert [axis.name for axis in table.tried.axes] == ["lr", "optimizer"]
    assert table.tried.x[:, 1].tolist() == [0.0] * 30 + [1.0] * 6


def test_a_few_diverged_trials_are_no_group() -> None:
    trained = [trial(float(y)) for y in np.random.default_rng(0).standard_normal(30)]
    assert two_groups(table_of([*trained, *(trial(None) for _ in range(4))], maximize=False)) is None


def test_the_better_side_of_the_border_trains() -> None:
    values = np.concatenate([np.linspace(0.1, 0.12, 10), np.linspace(0.8, 0.9, 20)])
    trials = [trial(float(y), lr=float(lr)) for y, lr in zip(values, np.geomspace(1e-4, 1e-2, 30), strict=True)]
    for maximize, n_trained in [(True, 20), (False, 10)]:
        found = two_groups(table_of(trials, maximize=maximize))
        assert found is not None
        assert found.n_trained == n_trained


def test_accuracies_that_hardly_differ_are_one_group_however_small_the_noise() -> None:
    rng = np.random.default_rng(0)
    for better, worse, is_split in [(0.95, 0.94, False), (0.9, 0.1, True), (0.99, 0.5, True)]:
        values = np.where(rng.random(60) < 0.5, better, worse) + 0.002 * rng.standard_normal(60)
        assert border_of(values) is not None
        for maximize in (True, False):
            own = values if maximize else 1 - values
            found = two_groups(table_of([trial(float(y)) for y in own], maximize=maximize))
            assert (found is not None) == is_split


def test_diverged_trials_are_the_worse_group_where_the_values_hardly_differ() -> None:
    values = np.where(np.arange(60) % 2, 0.95, 0.94) + 0.002 * np.random.default_rng(0).standard_normal(60)
    trials = [*(trial(float(y)) for y in values), *(trial(None) for _ in range(6))]
    found = two_groups(table_of(trials, maximize=True))
    assert found is not None
    assert (found.border, found.n_trained, found.n_others) == (None, 60, 6)
