from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.analysis.curves.learning_curves import MOST_REPORTS, curves_of


def trial(*reports: float, number: int, value: float | None = None) -> FrozenTrial:
    """A trial that reports at the rungs 1, 2, …; it is pruned unless it has a value."""
    made = create_trial(
        value=value,
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        intermediate_values=dict(enumerate(reports, start=1)),
    )
    made.number = number
    return made


def whole(n: int = 8, rungs: int = 3) -> list[FrozenTrial]:
    return [trial(*np.linspace(1, 0.1, rungs), number=i, value=0.1) for i in range(n)]


def test_a_curve_ends_where_the_trial_was_pruned() -> None:
    found = curves_of([*whole(), trial(0.9, 0.8, number=20)])
    assert found is not None
    assert found.of([20])[0] == pytest.approx([0.9, 0.8, np.nan], nan_ok=True)
    assert found.last(trial(0.9, 0.8, number=20)) == 0.8
    assert found.last(trial(number=21)) is None


def test_a_complete_trial_ends_in_its_own_value() -> None:
    found = curves_of([*whole(), trial(0.5, 0.4, 0.3, number=9, value=0.25)])
    assert found is not None
    assert list(found.of([9])[0]) == [0.5, 0.4, 0.25]


def test_a_report_that_is_no_number_is_left_out() -> None:
    found = curves_of([*whole(), trial(0.9, float("nan"), 0.7, number=20)])
    assert found is not None
    assert found.of([20])[0] == pytest.approx([0.9, np.nan, 0.7], nan_ok=True)


@pytest.mark.parametrize("last", [float("inf"), float("-inf"), float("nan"), 1e101])
def test_a_curve_that_diverged_ends_there(last: float) -> None:
    """Its end is not predicted from what came before."""
    found = curves_of([*whole(), trial(0.9, last, number=20)])
    assert found is not None
    assert found.last(trial(0.9, last, number=20)) == pytest.approx(last, nan_ok=True)
    assert found.last(trial(0.9, 0.8, number=20, value=float("inf"))) == float("inf")


def test_of_many_reports_some_are_kept_the_first_and_the_last_included() -> None:
    found = curves_of([*whole(rungs=100), trial(*np.linspace(1, 0.5, 50), number=20)])
    assert found is not None
    curves = found.of([0, 20])
    assert curves.shape == (2, len(found.steps))
    assert list((~np.isnan(curves)).sum(axis=1)) == [MOST_REPORTS] * 2
    assert found.steps[[0, -1]] == pytest.approx([1, 100])
    assert curves[:, 0] == pytest.approx([1, 1])
    assert curves[0, -1] == 0.1
    assert curves[1, found.steps == 50] == 0.5
    assert np.isnan(curves[1, found.steps > 50]).all()


@pytest.mark.parametrize(
    "trials", [[], whole(7), whole(rungs=1), [*whole(4), *[trial(0.3, number=9 + i) for i in range(9)]]]
)
def test_too_few_whole_curves_teach_nothing(trials: list[FrozenTrial]) -> None:
    assert curves_of(trials) is None
