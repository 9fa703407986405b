from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.analysis.table import TrialsTable, table_of, trials_table
from studies.errors import BadInput

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "batch_size": IntDistribution(16, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "activation": CategoricalDistribution(("relu", "tanh")),
}
POINTS: list[dict[str, Any]] = [
    {"lr": lr, "batch_size": b, "dropout": d, "activation": a}
    for lr, b, d, a in [
        (1e-3, 64, 0.1, "relu"),
        (1e-2, 128, 0.2, "tanh"),
        (3e-3, 16, 0.4, "tanh"),
        (2e-4, 256, 0, "relu"),
    ]
]


def trial(
    *rungs: float,
    i: int = 0,
    state: TrialState = TrialState.COMPLETE,
    point: dict[str, Any] | None = None,
    **attributes: Any,
) -> FrozenTrial:
    """A trial that reported `rungs` and, where it is COMPLETE, has the last one as its value."""
    params = POINTS[i % len(POINTS)] if point is None else point
    return create_trial(
        state=state,
        value=rungs[-1] if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: SPACE[name] for name in params},
        intermediate_values=dict(enumerate(rungs, 1)),
        user_attrs=attributes,
    )


def pruned(*rungs: float, **rest: Any) -> FrozenTrial:
    return trial(*rungs, state=TrialState.PRUNED, **rest)


def table(trials: list[FrozenTrial], **rest: Any) -> TrialsTable:
    for number, each in enumerate(trials):
        each.number = number
    return table_of(trials, maximize=True, **rest)


def test_one_row_a_trial_and_one_column_a_parameter_on_its_search_scale() -> None:
    found = table([trial(0.1, 0.5, i=0), trial(0.2, 0.7, i=1)], powers_of_two=frozenset({"batch_size"}))
    assert found.names == ("lr", "batch_size", "dropout", "activation")
    assert found.x == pytest.approx(np.array([[-3, 6, 0.1, 0], [-2, 7, 0.2, 1]]))
    assert list(found.y) == [0.5, 0.7]
    assert list(found.loss) == [-0.5, -0.7]
    assert (found.policy, found.n_finished, found.n_pruned, found.n_failed) == ("final", 2, 0, 0)


def test_up_to_a_tenth_of_pruned_trials_the_finished_ones_count_with_their_final_value() -> None:
    found = table([trial(0.1, 0.5, i=i) for i in range(9)] + [pruned(0.0)])
    assert (found.policy, list(found.y), found.n_pruned) == ("final", [0.5] * 9, 1)


def test_above_a_tenth_of_pruned_trials_their_last_values_are_predicted_from_their_curves() -> None:
    trials = [trial(0.1, 0.3, 0.5, i=i) for i in range(8)]
    found = table([*trials, pruned(0.0, 0.05), pruned(0.0, 0.05, 0.06)])
    assert (found.policy, found.compared, len(found.y), found.survivors_only) == ("completed", "final", 10, False)
    assert list(found.y[:8]) == [0.5] * 8
    assert found.rough is not None
    assert found.y == pytest.approx(found.rough.draws.mean(axis=0))
    assert found.n_completed == 1  # the other one reported at the last rung, too
    assert found.y[8] > 0.05
    assert found.y[9] == 0.06
    some = found.over(np.arange(10) > 4, found.names)
    assert some.rough is not None
    assert some.rough.draws.shape[1] == 5


def test_a_trial_that_diverged_gets_no_end_predicted() -> None:
    trials = [trial(0.1, 0.3, 0.5, i=i) for i in range(8)]
    diverged = [trial(0.1, 0.3, float("-inf"), i=8), pruned(0.0, float("nan"))]
    found = table([*trials, *diverged, pruned(0.0, 0.05), pruned(0.0, 0.06)])
    assert found.policy == "completed"
    assert (len(found.y), found.n_completed, found.n_infinite, found.n_diverged) == (10, 2, 2, 2)
    assert found.tried is not None
    assert found.tried.n_diverged == 2


def test_on_request_or_with_few_whole_curves_all_count_at_the_last_rung_that_nine_in_ten_reached() -> None:
    trials = [trial(0.1, 0.3, 0.5, i=i) for i in range(8)]
    found = table([*trials, pruned(0.0, 0.05), pruned(0.0, 0.05, 0.06)], value_policy="common_rung")
    assert (found.policy, len(found.y), found.survivors_only) == ("rung 3", 9, False)
    more = table([*trials[:7], pruned(0.0, 0.05), pruned(0.0, 0.05), pruned(0.0, 0.05)])
    assert (more.policy, list(more.y)) == ("rung 2", [0.3] * 7 + [0.05] * 3)


def test_final_values_of_a_much_pruned_study_are_refused() -> None:
    with pytest.raises(BadInput, match="value_policy is final, but 2 of 5 trials were pruned"):
        table([trial(0.5)] * 3 + [pruned(0.1)] * 2, value_policy="final")


def test_a_common_rung_can_be_asked_for() -> None:
    assert table([trial(0.1, 0.5)] * 3, value_policy="common_rung").policy == "rung 2"


def test_pruned_trials_without_a_report_leave_survivors_only() -> None:
    found = table([trial(point=POINTS[0], state=TrialState.PRUNED)] * 3 + [trial_without_rungs(i) for i in range(4)])
    assert (found.survivors_only, found.policy, len(found.y)) == (True, "final", 4)


def trial_without_rungs(i: int) -> FrozenTrial:
    return create_trial(value=0.1 * i, params=POINTS[i], distributions=SPACE)


def test_diverged_and_infinite_trials_are_counted_and_have_no_value() -> None:
    diverged = [pruned(0.1, failure="diverged"), pruned(failure="out_of_memory")]
    infinite = trial(float("-inf"))
    found = table([trial(0.1, 0.5), trial(0.1, 0.6, i=1), *diverged, infinite])
    assert (list(found.y), found.n_failed, found.n_diverged, found.n_pruned) == ([0.5, 0.6], 3, 3, 0)


def test_failed_trials_are_counted_once_and_surplus_ones_never() -> None:
    failed = trial(state=TrialState.FAIL, failure="error")
    retry = trial(state=TrialState.FAIL, failure="error", retry_of=1)
    void = trial(state=TrialState.FAIL, void=True)
    running = trial(0.4, state=TrialState.RUNNING)
    found = table([trial(0.5), failed, retry, void, running])
    assert (list(found.y), found.n_failed, found.n_finished) == ([0.5], 1, 2)


def test_where_a_parameter_was_not_active_its_cell_is_empty() -> None:
    trials = [trial(0.1 * i, i=i) for i in range(4)] + [trial(0.9, point={"lr": 1e-2, "activation": "relu"})]
    found = table(trials)
    assert np.isnan(found.x[4, found.names.index("dropout")])
    assert found.active(["lr", "dropout"]).tolist() == [True] * 4 + [False]
    assert found.over(found.active(["dropout"]), ["dropout", "lr"]).x.shape == (4, 2)


def test_a_parameter_that_does_not_vary_is_dropped_with_its_reason() -> None:
    trials = [trial(0.1 * i, point={**POINTS[i], "dropout": 0.1}) for i in range(4)]
    found = table(trials)
    assert "dropout" not in found.names
    assert found.dropped == {"dropout": "all trials had the same value"}


def test_sources_replicates_and_samples_are_kept() -> None:
    trials = [trial(0.1, 0.2, i=0, source="tpe", replicate=3, samples_seen=[100, 200]), trial(0.3, i=1)]
    found = table(trials)
    assert (found.sources, found.replicates, found.samples) == (("tpe", None), (3, None), (200.0, None))
    at_rung = table(trials[:1] + trials[1:], value_policy="common_rung")
    assert at_rung.samples == (100.0, None)


@pytest.mark.parametrize(
    ("sources", "share"),
    [(["tpe", "explore"], 0.5), ([None, None], None), (["random", None], 0.5), (["enqueued", "qmc"], 0.5)],
)
def test_the_share_of_space_filling_trials(sources: list[str | None], share: float | None) -> None:
    attributes = [{} if source is None else {schema.SOURCE: source} for source in sources]
    found = table([trial(0.1 * i, i=i, **attribute) for i, attribute in enumerate(attributes)])
    assert found.space_filling_share == share


def test_what_was_imported_is_space_filling_where_its_own_study_says_so_whatever_is_said_of_this_one() -> None:
    origin = {schema.IMPORTED_FROM: {"study": "other", "trial": 1}}
    recorded: list[dict[str, Any]] = [{}, origin, {**origin, schema.SOURCE: "tpe"}, {**origin, schema.SOURCE: "random"}]
    found = table([trial(0.1 * i, i=i, **attributes) for i, attributes in enumerate(recorded)], source="qmc")
    assert found.sources == ("qmc", "imported", "tpe", "random")
    assert found.space_filling_share == 0.5


def test_the_levels_of_a_complete_grid_are_its_measure() -> None:
    cells = itertools.product((1e-3, 1e-2, 1e-1), (16, 64))
    found = table([trial(0.1 * i, point={"lr": lr, "batch_size": b}) for i, (lr, b) in enumerate(cells)])
    assert found.is_grid
    assert found.space_filling_share == 1.0
    assert found.axes[0].values == pytest.approx((1e-3, 1e-2, 1e-1))
    assert found.axes[1].weights == (0.5, 0.5)


def test_scattered_trials_are_no_grid() -> None:
    assert not table([trial(0.1 * i, i=i) for i in range(4)]).is_grid


def test_a_grid_with_a_lost_cell_is_still_one_where_the_storage_says_so() -> None:
    cells = list(itertools.product((1e-3, 1e-2, 1e-1), (16, 64)))[1:]
    trials = [trial(0.1 * i, point={"lr": lr, "batch_size": b}, source="grid") for i, (lr, b) in enumerate(cells)]
    assert table(trials).is_grid


@pytest.mark.parametrize("trials", [[], [pruned()], [trial(state=TrialState.FAIL)]])
def test_without_a_value_the_table_is_empty(trials: list[FrozenTrial]) -> None:
    found = table(trials)
    assert (found.names, found.x.shape, found.y.shape, found.unit.shape) == ((), (0, 0), (0,), (0, 0))


def test_an_unknown_parameter_is_named_with_the_nearest_one() -> None:
    with pytest.raises(BadInput, match=r"params.dropuot is no parameter of the study: did you mean dropout\?"):
        table([trial(0.1, i=0), trial(0.2, i=1)], params=["lr", "dropuot"])


def test_parameters_can_be_chosen_and_ordered() -> None:
    assert table([trial(0.1, i=0), trial(0.2, i=1)], params=["dropout", "lr"]).names == ("dropout", "lr")


def test_of_several_objectives_the_first_counts_unless_there_is_a_target() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.add_trials(
        [create_trial(values=[1.0, 2.0 + i], params=POINTS[i], distributions=SPACE) for i in range(4)],
    )
    found = trials_table(study)
    assert (list(found.y), found.maximize, found.n_objectives) == ([1.0] * 4, False, 2)
    assert list(trials_table(study, target=lambda trial: trial.values[1]).y) == [2.0, 3.0, 4.0, 5.0]


def test_a_study_s_own_description_tells_its_powers_of_two() -> None:
    study = optuna.create_study(direction="maximize")
    study.set_user_attr(schema.STUDY_FINGERPRINT, "0123456789abcdef")
    study.set_user_attr(schema.STUDY_SPACE, "batch_size: {type: power_of_two, low: 16, high: 256}\n")
    study.add_trials([create_trial(value=1.0 + i, params=POINTS[i], distributions=SPACE) for i in range(4)])
    found = trials_table(study)
    assert found.maximize
    assert found.axes[found.names.index("batch_size")].scale == "log2"


def test_pruned_trials_that_reported_nothing_leave_survivors_only_whatever_the_others_reported() -> None:
    found = table([trial(0.1, 0.2 + 0.1 * i, i=i) for i in range(4)] + [pruned(i=i) for i in range(4)])
    assert (found.survivors_only, found.policy) == (True, "final")


def test_attributes_of_another_tool_under_our_names_do_no_harm() -> None:
    odd = {"source": ["a"], "replicate": "b", "samples_seen": ["c"], "void": False}
    found = table([trial(0.1 * i, i=i, **odd) for i in range(4)])
    assert (found.sources[0], found.replicates[0], found.samples[0], len(found.y)) == (None, None, None, 4)
    study = optuna.create_study()
    study.set_user_attr(schema.STUDY_SPACE, "a grid")
    study.add_trials([create_trial(value=1.0 + i, params=POINTS[i], distributions=SPACE) for i in range(4)])
    assert len(trials_table(study).y) == 4


def test_a_source_can_be_said_for_trials_that_record_none() -> None:
    found = table([trial(0.1, i=0, source="tpe"), trial(0.2, i=1)], source="random")
    assert (found.sources, found.assumed_source) == (("tpe", "random"), "random")
    assert table([trial(0.1, i=0, source="tpe"), trial(0.2, i=1, source="qmc")], source="random").assumed_source is None


def test_trials_of_a_search_that_happen_to_fill_a_grid_are_none() -> None:
    cells = itertools.product((1e-3, 1e-2), (16, 64))
    found = table([trial(0.1 * i, point={"lr": lr, "batch_size": b}, source="tpe") for i, (lr, b) in enumerate(cells)])
    assert (found.is_grid, found.space_filling_share) == (False, 0.0)


def test_a_grid_with_other_trials_among_it_is_none() -> None:
    cells = list(itertools.product((1e-3, 1e-2), (16, 64)))
    sources = ["grid", "grid", "grid", "tpe"]
    trials = [
        trial(0.1 * i, point={"lr": lr, "batch_size": b}, source=source)
        for i, ((lr, b), source) in enumerate(zip(cells, sources, strict=True))
    ]
    assert (table(trials).is_grid, table(trials).space_filling_share) == (False, 0.75)


def test_values_beyond_all_bounds_count_as_diverged() -> None:
    found = table([trial(0.1, i=0), trial(0.2, i=1), trial(1e160, i=2)])
    assert (len(found.y), found.n_diverged) == (2, 1)
