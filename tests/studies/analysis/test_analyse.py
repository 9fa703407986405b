from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from known_functions import (
    Array,
    additive,
    categorical,
    known,
    log_axis,
    lr_batch_ridge,
    powers_axis,
    table,
    three_way,
    uniform,
)

from studies.analysis.analyse import Analysis, analyse
from studies.analysis.axis import levelled
from studies.analysis.table import TrialsTable
from studies.analysis.tuning.tolerance import OF_THE_TRIALS, Tolerance
from studies.errors import BadInput

LR = log_axis("lr", 1e-4, 1e-1)
BATCH = powers_axis("batch_size", 16, 512)


def designed(*, replicates: int = 2, alpha: float = 0.5, noise: float = 0.02) -> TrialsTable:
    """A grid of 7 × 6 cells, a valley whose floor moves with the batch size."""
    cells = np.array(list(itertools.product(np.linspace(0, 1, 7), np.linspace(0, 1, 6), range(replicates))))
    log_lr, log_batch = -4 + 3 * cells[:, 0], (4 + 5 * cells[:, 1]) * np.log10(2)
    rng = np.random.default_rng(0)
    loss = 0.2 * (log_lr + 2.5 - alpha * (log_batch - 1.95)) ** 2 + noise * rng.standard_normal(len(cells))
    levels = np.linspace(-4, -1, 7)
    lr = levelled("lr", "discrete", "log10", levels.tolist(), (10**levels).tolist())
    found = table((lr, BATCH), cells[:, :2], loss, source="grid")
    return replace(found, is_grid=True, replicates=tuple(int(r) for r in cells[:, 2]))


@pytest.fixture(autouse=True, scope="module")
def _two_shuffles() -> Iterator[None]:
    """The null band of the screens has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studies.analysis.screen.N_SHUFFLES", 2)
        yield


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(designed(), seed=0, budget_unit="epochs")


def test_a_designed_experiment_is_tested_and_its_law_found(analysis: Analysis) -> None:
    assert analysis.whole.verdict.level == "ok"
    assert analysis.anova is not None
    pair = next(row for row in analysis.anova.rows if len(row.term) == 2)
    assert pair.p is not None
    assert pair.p < 1e-6
    (ridge,) = analysis.ridges
    assert ridge.params == ("lr", "batch_size")
    assert ridge.alpha.value == pytest.approx(0.5, abs=0.06)
    assert ridge.alpha.lo < 0.5 < ridge.alpha.hi
    assert ridge.budget_unit == "epochs"
    assert analysis.advice == ()


def test_shares_of_the_designed_experiment_agree_between_both_methods(analysis: Analysis) -> None:
    assert analysis.anova is not None
    exact = {row.term: row.share.value for row in analysis.anova.rows if row.term}
    for effect in analysis.effects:
        if effect.params:
            assert effect.estimate.value == pytest.approx(exact[effect.params], abs=0.03)


def test_replicates_are_the_blocks_of_the_designed_experiment(analysis: Analysis) -> None:
    assert analysis.anova is not None
    assert analysis.anova.block is not None


def test_the_cost_of_tuning_one_at_a_time_and_the_screens_are_there(analysis: Analysis) -> None:
    assert analysis.tuning is not None
    assert analysis.tuning.n_trials == 84
    assert {row.name for row in analysis.screen} == {"lr", "batch_size"}


def test_without_a_grid_there_is_no_analysis_of_variance() -> None:
    found = analyse(lr_batch_ridge().table(60, noise=0.1, seed=0), seed=0)
    assert found.anova is None
    assert len(found.ridges) == 1


@pytest.mark.parametrize(
    ("names", "laws"),
    [
        (("lr", "batch_size"), [("lr", "batch_size")]),
        (("model.optimizer.lr", "datamodule.batch_size"), [("model.optimizer.lr", "datamodule.batch_size")]),
        (("learning_rate", "batch"), [("learning_rate", "batch")]),
        (("lr", "width"), []),
    ],
)
def test_learning_rate_and_batch_size_are_known_by_their_usual_names(
    names: tuple[str, str], laws: list[tuple[str, str]]
) -> None:
    found = lr_batch_ridge().table(60, noise=0.1, seed=0)
    renamed = replace(found, axes=tuple(replace(a, name=name) for a, name in zip(found.axes, names, strict=True)))
    assert [ridge.params for ridge in analyse(renamed, seed=0).ridges] == laws


@pytest.mark.slow
def test_any_two_numeric_parameters_may_be_asked_for() -> None:
    trials = additive().table(60, noise=0.1, seed=0)
    assert analyse(trials, seed=0, law=[("x2", "x1")]).ridges[0].params == ("x2", "x1")
    assert analyse(trials, seed=0, law=[]).ridges == ()


def test_a_law_of_an_unknown_or_unordered_parameter_is_refused() -> None:
    trials = categorical().table(60, noise=0.1, seed=0)
    with pytest.raises(BadInput) as caught:
        analyse(trials, seed=0, law=[("x1", "optimizer"), ("x2", "x1")])
    assert "analysis.law.optimizer is categorical: name two numeric parameters" in str(caught.value)
    assert "analysis.law.x2 is no parameter of the study" in str(caught.value)


@pytest.mark.slow
def test_other_parameters_are_held_apart_from_the_ridge() -> None:
    rng = np.random.default_rng(0)
    unit = np.column_stack([rng.random(150), rng.choice(np.linspace(0, 1, 6), 150), rng.random(150)])
    valley = lr_batch_ridge(alpha=0.5).function(unit[:, :2])
    other = levelled("activation", "categorical", "linear", [0.0, 1.0, 2.0], ["relu", "tanh", "gelu"])
    unit[:, 2] = np.round(2 * unit[:, 2]) / 2
    shift: Array = np.array([0.0, 3.0, -2.0])[np.round(2 * unit[:, 2]).astype(int)]
    trials = table((LR, BATCH, other), unit, valley + shift + 0.02 * rng.standard_normal(150))
    (ridge,) = analyse(trials, seed=0).ridges
    assert ridge.alpha.value == pytest.approx(0.5, abs=0.15)


def test_what_cannot_be_fitted_leaves_verdict_and_advice() -> None:
    few = lr_batch_ridge().table(8, noise=0.1, seed=0)
    found = analyse(few, seed=0)
    assert (found.whole.verdict.level, found.tuning, found.screen) == ("unreliable", None, ())
    assert found.advice


@pytest.mark.slow
def test_three_parameters_together_are_told() -> None:
    found = analyse(three_way().table(200, noise=0.05, seed=1), seed=0)
    assert found.whole.verdict.level == "unreliable"
    assert found.advice


def test_a_small_loss_is_no_accuracy_so_its_own_trials_say_what_matters() -> None:
    """Of .001 + .004 · x1 + .002 · x2² all differences are less than .01, and x1 is worth tuning all the same."""
    trials = known(uniform(2), lambda u: 0.001 + 0.004 * u[:, 0] + 0.002 * u[:, 1] ** 2).table(60, noise=0.0, seed=0)
    found = analyse(trials, seed=0, metric="val/loss")
    way = float(np.median(trials.y) - trials.y.min())
    assert found.tolerance == Tolerance(0.1 * way, OF_THE_TRIALS)
    first = found.tunability[0]
    assert (first.name, first.need, first.tolerance) == ("x1", "tune", 0.1 * way)
    given = analyse(trials, seed=0, metric="val/loss", tolerance=0.01)
    assert {row.need for row in given.tunability} == {"keep"}
