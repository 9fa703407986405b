"""A scheduler that monitors a validation metric, in a budget whose validations are not at the ends of its epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studies.config.settings import StudySettings
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.preflight import preflight
from studies.trial.run import Run
from studies.trial.rungs.rungs import Interrupted
from studies.trial.training import Watchers

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
MODULE = "model._target_=user_schedules.Plateau"


def job(settings: StudySettings, folder: Path, **more: object) -> Job:
    return Job(PointConfig(settings, {"lr": 0.01}).resolved(), "val_loss", settings.budget, 0, folder, **more)  # type: ignore[arg-type]


def steps_of(settings: StudySettings, folder: Path) -> tuple[list[int], Run]:
    """After how many steps of a whole trial its scheduler steps."""
    run = job(settings, folder).build()
    run.fit()
    return [step for step, _ in run.module.notes], run


@pytest.mark.parametrize(
    ("amount", "rungs", "expected"),
    [
        (60, 2, [30, 60]),  # validated at the end of each third epoch
        (60, 3, [20, 40, 60]),
        (40, 3, [20, 30, 40]),  # validated in the middle of epochs: after 14, 27 and 40 steps
        (40, 8, [10, 20, 30, 40]),  # validated twice an epoch
    ],
)
def test_it_steps_at_the_end_of_each_epoch_with_a_validation(
    plain: MakeSettings, tmp_path: Path, amount: int, rungs: int, expected: list[int]
) -> None:
    settings = plain(MODULE, "budget.unit=steps", f"budget.amount={amount}", f"budget.rungs={rungs}")
    assert preflight(settings) == []
    steps, run = steps_of(settings, tmp_path)
    assert steps == expected
    assert len(run.rungs.rungs) == rungs


def test_its_patience_counts_validations(plain: MakeSettings, tmp_path: Path) -> None:
    """A value that is seen again in an epoch without a validation is no lack of progress."""
    settings = plain(MODULE, "budget.unit=steps", "budget.amount=120", "budget.rungs=3", "+model.patience=0")
    steps, run = steps_of(settings, tmp_path)
    assert steps == [40, 80, 120]
    values = [value for _, value in run.module.notes]
    assert values == sorted(values, reverse=True)
    assert run.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize("monitor", ["train_loss", "at_the_end"])
def test_a_metric_of_the_training_is_looked_at_each_epoch(plain: MakeSettings, tmp_path: Path, monitor: str) -> None:
    settings = plain(MODULE, f"+model.monitor={monitor}", "budget.unit=steps", "budget.amount=60", "budget.rungs=2")
    assert steps_of(settings, tmp_path)[0] == [10, 20, 30, 40, 50, 60]


def test_a_scheduler_that_is_not_strict_keeps_the_rule_of_lightning(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain(MODULE, "+model.strict=false", "budget.unit=steps", "budget.amount=60", "budget.rungs=2")
    assert steps_of(settings, tmp_path)[0] == [30, 40, 50, 60]


def test_budgets_in_epochs_are_as_they_were(plain: MakeSettings, tmp_path: Path) -> None:
    assert steps_of(plain(MODULE, "budget.amount=3"), tmp_path)[0] == [10, 20, 30]


@pytest.mark.parametrize(
    ("amount", "rungs", "at", "expected"),
    [
        (80, 2, 45, [40, 80]),  # stopped between the validation after 40 steps and an epoch's end without one
        (40, 3, 15, [20, 30, 40]),  # stopped between the validation after 14 steps and the end of that epoch
    ],
)
def test_a_resumed_training_looks_at_the_same_validations(
    plain: MakeSettings, tmp_path: Path, amount: int, rungs: int, at: int, expected: list[int]
) -> None:
    settings = plain(MODULE, "budget.unit=steps", f"budget.amount={amount}", f"budget.rungs={rungs}")
    saved: list[SavedCheckpoint] = []
    watchers = Watchers(interrupted=lambda: "test" if first.rungs.batches == at else None, saved=saved.append)
    first = job(settings, tmp_path / "a", saving=SavingRule(tmp_path / "a", "plain", None)).build(watchers)
    with pytest.raises(Interrupted):
        first.fit()
    again = job(settings, tmp_path / "b").build()
    again.fit(saved[-1].path)
    assert [step for step, _ in [*first.module.notes, *again.module.notes]] == expected
