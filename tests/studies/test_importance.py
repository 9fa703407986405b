from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial

from studies.analysis.importance import Importance, importances
from studies.analysis.table import TrialsTable

LR = FloatDistribution(1e-6, 1e-1, log=True)
UNIT = FloatDistribution(0.0, 1.0)
SHARE_OF_LR = 0.979  # of the variance of max(0, −3 − log10 lr) + .5 u: 0.9792, and .0208 for u
Columns = Sequence[npt.NDArray[np.float64]]


def table(columns: Columns, y: npt.NDArray[np.float64], distributions: Sequence[BaseDistribution]) -> TrialsTable:
    names = tuple("abcdef"[: len(columns)])
    return TrialsTable(names, tuple(distributions), np.column_stack(columns), y, "final", 0)


def known(n: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """log10 lr, u, and the loss."""
    rng = np.random.default_rng(seed)
    log_lr, u = rng.uniform(-6, -1, n), rng.random(n)
    return log_lr, u, np.maximum(0.0, -3 - log_lr) + 0.5 * u


def noisy(n: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(7).random(n)


def test_the_known_answer_is_the_share_in_closed_form() -> None:
    v = 3 / 5 * 9 / 3 - (3 / 5 * 3 / 2) ** 2  # uniform on [0, 3] with weight 3/5, else zero
    assert v / (v + 0.25 / 12) == pytest.approx(SHARE_OF_LR, abs=0.002)


@pytest.mark.slow
def test_a_learning_rate_has_its_known_share_and_noise_stays_below_the_null() -> None:
    log_lr, _, loss = known(150, seed=1)
    lr, nothing = importances(table([log_lr, noisy(150)], loss, [LR, UNIT]), seed=0)
    assert (lr.name, nothing.name) == ("a", "b")
    assert lr.estimate == pytest.approx(SHARE_OF_LR, abs=0.05)
    assert lr.ci_lo <= lr.estimate <= lr.ci_hi
    assert lr.is_above_noise
    assert nothing.estimate < nothing.null
    assert not nothing.is_above_noise


def test_optunas_own_fanova_misses_the_learning_rate() -> None:
    """Negative control: it integrates over lr itself, of whose range [1e-6, 1e-3] is a hundredth."""
    log_lr, u, loss = known(150, seed=1)
    study = optuna.create_study()
    for row in zip(10**log_lr, u, loss, strict=True):
        params = {"a": float(row[0]), "b": float(row[1])}
        study.add_trial(create_trial(params=params, distributions={"a": LR, "b": UNIT}, value=float(row[2])))
    assert FanovaImportanceEvaluator(n_trees=32, seed=0).evaluate(study)["a"] < 0.5


@pytest.fixture(scope="module")
def of_ten() -> list[Importance]:
    """Importances of as few trials as there may be, with a parameter that never varied."""
    return importances(ten(), seed=5)


def ten() -> TrialsTable:
    log_lr, u, loss = known(10, seed=2)
    return table([u, log_lr, np.full(10, 0.5)], loss, [UNIT, LR, UNIT])


def test_the_largest_share_comes_first_and_every_number_is_one(of_ten: list[Importance]) -> None:
    assert of_ten[0].name == "b"
    for importance in of_ten:
        numbers = (importance.estimate, importance.ci_lo, importance.ci_hi, importance.null)
        assert all(math.isfinite(number) and 0 <= number <= 1 for number in numbers)


def test_a_parameter_that_never_varied_is_left_out(of_ten: list[Importance]) -> None:
    assert [importance.name for importance in of_ten] == ["b", "a"]
    assert importances(table([np.full(12, 0.5)], noisy(12), [UNIT]), seed=0) == []


def test_the_same_seed_gives_the_same_numbers(of_ten: list[Importance]) -> None:
    assert importances(ten(), seed=5) == of_ten


def test_a_category_is_seen() -> None:
    category = np.tile([0.0, 1.0, 2.0], 5)
    y = np.where(category == 1.0, 1.0, 0.0) + 0.01 * noisy(15)
    choice = CategoricalDistribution(("relu", "gelu", "tanh"))
    first, _ = importances(table([category, noisy(15)[::-1]], y, [choice, UNIT]), seed=0)
    assert (first.name, first.is_above_noise) == ("a", True)
    assert first.estimate > 0.8


def test_fewer_than_ten_trials_have_no_importance() -> None:
    log_lr, _, loss = known(9, seed=4)
    assert importances(table([log_lr], loss, [LR]), seed=0) == []


def test_a_constant_value_has_no_importance() -> None:
    assert importances(table([noisy(20)], np.full(20, 0.5), [UNIT]), seed=0) == []


def test_no_trials_have_no_importance() -> None:
    assert importances(TrialsTable((), (), np.zeros((0, 0)), np.zeros(0), "final", 0), seed=0) == []


def test_a_choice_that_was_tried_once_breaks_nothing() -> None:
    """A third of the resamples lack it, and then no parameter varies in them."""
    once = np.zeros(12)
    once[7] = 1.0
    (found,) = importances(table([once], noisy(12), [CategoricalDistribution(("adam", "sgd"))]), seed=0)
    assert math.isfinite(found.ci_lo)
    assert not found.is_above_noise


def test_a_share_is_above_noise_where_its_whole_interval_is() -> None:
    assert Importance("lr", estimate=0.5, ci_lo=0.31, ci_hi=0.7, null=0.3).is_above_noise
    assert not Importance("lr", estimate=0.5, ci_lo=0.29, ci_hi=0.7, null=0.3).is_above_noise
