from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.analysis.table import encode, trials_table
from studies.parameter import Value

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch_size": IntDistribution(16, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "activation": CategoricalDistribution(("relu", "tanh")),
}
POINT: dict[str, Value] = {"lr": 1e-3, "batch_size": 100, "dropout": 0.25, "activation": "tanh"}


def trial(
    *rungs: float, state: TrialState = TrialState.COMPLETE, failure: str | None = None, **point: Value
) -> FrozenTrial:
    """A trial that reported `rungs` and, where it is COMPLETE, has the last one as its value."""
    params = point or POINT
    attributes: Mapping[str, Any] = {schema.FAILURE: failure} if failure else {}
    return create_trial(
        state=state,
        value=rungs[-1] if state == TrialState.COMPLETE else None,
        params=dict(params),
        distributions={name: SPACE[name] for name in params},
        intermediate_values=dict(enumerate(rungs, 1)),
        user_attrs=dict(attributes),
    )


def pruned(*rungs: float, **rest: Any) -> FrozenTrial:
    return trial(*rungs, state=TrialState.PRUNED, **rest)


@pytest.mark.parametrize(
    ("value", "distribution", "encoded"),
    [
        (1e-3, SPACE["lr"], -3.0),
        (100, SPACE["batch_size"], 2.0),
        (0.25, SPACE["dropout"], 0.25),
        (3, IntDistribution(1, 5), 3.0),
        ("relu", SPACE["activation"], 0.0),
        ("tanh", SPACE["activation"], 1.0),
    ],
)
def test_a_value_is_encoded_on_its_search_scale(value: Value, distribution: BaseDistribution, encoded: float) -> None:
    assert encode(value, distribution) == pytest.approx(encoded)


def test_a_table_has_one_row_a_trial_and_one_column_a_parameter() -> None:
    table = trials_table([trial(0.1, 0.5), trial(0.2, 0.7, **{**POINT, "lr": 1e-2})])
    assert table.names == ("lr", "batch_size", "dropout", "activation")
    assert table.distributions == tuple(SPACE.values())
    assert table.x == pytest.approx(np.array([[-3, 2, 0.25, 1], [-2, 2, 0.25, 1]]))
    assert list(table.y) == [0.5, 0.7]
    assert (table.policy, table.n_left_out) == ("final", 0)


def test_up_to_a_tenth_of_pruned_trials_the_finished_ones_count_with_their_final_value() -> None:
    table = trials_table([trial(0.1, 0.5)] * 9 + [pruned(0.0)])
    assert (table.policy, list(table.y), table.n_left_out) == ("final", [0.5] * 9, 1)


def test_above_a_tenth_of_pruned_trials_all_count_at_the_last_rung_that_each_reached() -> None:
    table = trials_table([trial(0.1, 0.3, 0.5)] * 8 + [pruned(0.0, 0.05), pruned(0.0, 0.05, 0.06)])
    assert (table.policy, table.n_left_out) == ("rung 2", 0)
    assert list(table.y) == [0.3] * 8 + [0.05] * 2


def test_diverged_trials_have_no_value_and_do_not_count_as_pruned() -> None:
    diverged = [pruned(0.1, failure="diverged"), pruned(failure="out_of_memory")]
    table = trials_table([trial(0.1, 0.5)] * 3 + diverged)
    assert (table.policy, list(table.y), table.n_left_out) == ("final", [0.5] * 3, 2)


def test_a_trial_stopped_before_its_first_rung_does_not_hide_the_others() -> None:
    table = trials_table([trial(0.1, 0.5)] * 3 + [pruned(0.05), pruned()])
    assert (table.policy, list(table.y), table.n_left_out) == ("rung 1", [0.1] * 3 + [0.05], 1)


def test_failed_and_running_trials_are_not_in_the_table() -> None:
    others = [trial(state=TrialState.FAIL), trial(0.4, state=TrialState.RUNNING), trial(state=TrialState.WAITING)]
    table = trials_table([trial(0.5), *others])
    assert (list(table.y), table.n_left_out) == ([0.5], 0)


def test_a_conditional_parameter_has_no_column() -> None:
    table = trials_table([trial(0.5), trial(0.6, lr=1e-2, activation="relu")])
    assert table.names == ("lr", "activation")
    assert table.x.shape == (2, 2)


@pytest.mark.parametrize("trials", [[], [pruned()], [trial(state=TrialState.FAIL)]])
def test_without_a_value_the_table_is_empty(trials: list[FrozenTrial]) -> None:
    table = trials_table(trials)
    assert (table.names, table.x.shape, table.y.shape) == ((), (0, 0), (0,))
