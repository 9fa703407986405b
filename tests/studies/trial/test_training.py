from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from trainings import TRAINER

from studies.config.budget import Budget
from studies.trial.job import Job
from studies.trial.ranks.agreement import ALONE, TrialRanks
from studies.trial.run import Run
from studies.trial.rungs.rungs import Interrupted, MetricMissing, Rung
from studies.trial.training import Watchers


def a_run(
    tmp_path: Path, budget: Budget, *, module: dict[str, Any] | None = None, metric: str = "val_loss", **rest: Any
) -> Run:
    """10 batches of 10 samples an epoch."""
    watchers = rest.pop("watchers", None)
    max_trial_s, ranks = rest.pop("max_trial_s", None), rest.pop("ranks", ALONE)
    trainer = {**TRAINER, **rest.pop("trainer", {})}
    config = {"model": {"_target_": "user_modules.Plain", **(module or {})}, "trainer": trainer, **rest}
    return Job(config, metric, budget, 1, tmp_path / "t0", max_trial_s=max_trial_s).build(watchers, ranks=ranks)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*"),
    pytest.mark.usefixtures("user_modules"),
]


def test_each_epoch_is_a_rung(tmp_path: Path) -> None:
    training = a_run(tmp_path, Budget("epochs", 3, 3)).fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 100), (2, 200), (3, 300)]
    assert training.steps == 30
    assert not training.stopped
    assert training.rungs[-1].value < training.rungs[0].value


@pytest.mark.parametrize(
    ("budget", "n_steps", "samples_at_rungs"),
    [
        (Budget("steps", 24, 4), 24, [60, 120, 180, 240]),
        (Budget("steps", 7, 3), 7, [30, 50, 70]),
        (Budget("samples", 200, 4), 20, [50, 100, 150, 200]),
        (Budget("samples", 205, 1), 21, [210]),
    ],
)
def test_steps_and_samples_end_where_the_budget_says(
    tmp_path: Path, budget: Budget, n_steps: int, samples_at_rungs: list[int]
) -> None:
    data = {"_target_": "user_data.Line", "batch_size": 10} if budget.unit == "samples" else None
    training = a_run(tmp_path, budget, datamodule=data).fit()
    assert training.steps == n_steps
    assert [rung.samples_seen for rung in training.rungs] == samples_at_rungs
    assert [rung.index for rung in training.rungs] == list(range(1, budget.rungs + 1))


def test_accumulated_batches_count_as_one_step(tmp_path: Path) -> None:
    trainer = {"accumulate_grad_batches": 2}
    training = a_run(tmp_path, Budget("steps", 10, 2), trainer=trainer).fit()
    assert training.steps == 10
    assert [rung.samples_seen for rung in training.rungs] == [100, 200]


def test_the_short_last_group_of_accumulated_batches_is_a_step_too(tmp_path: Path) -> None:
    """10 batches an epoch in groups of 4: three steps an epoch, as Lightning counts them."""
    trainer = {"accumulate_grad_batches": 4}
    training = a_run(tmp_path, Budget("steps", 9, 3), trainer=trainer).fit()
    assert training.steps == 9
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 100), (2, 200), (3, 300)]


def test_a_module_that_steps_its_optimizers_itself_is_counted_in_batches(tmp_path: Path) -> None:
    module = {"_target_": "user_modules.TwoOptimizers"}
    training = a_run(tmp_path, Budget("steps", 12, 4), module=module).fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 30), (2, 60), (3, 90), (4, 120)]


@pytest.mark.parametrize("batch_size", [7, 10, 64])
def test_a_budget_in_samples_is_reached_whatever_the_batch_size(tmp_path: Path, batch_size: int) -> None:
    data = {"_target_": "user_data.Line", "batch_size": batch_size}
    training = a_run(tmp_path, Budget("samples", 350, 5), datamodule=data).fit()
    assert training.rungs[-1].index == 5
    assert 350 <= training.rungs[-1].samples_seen < 350 + batch_size


@pytest.mark.parametrize(("n_samples", "n_steps"), [(350, 14), (300, 12), (301, 13)])
def test_schedules_know_how_many_steps_a_budget_in_samples_takes(tmp_path: Path, n_samples: int, n_steps: int) -> None:
    """100 samples in batches of 32: three full ones and one of four make four steps an epoch."""
    data = {"_target_": "user_data.Line", "batch_size": 32}
    run = a_run(tmp_path, Budget("samples", n_samples, 1), datamodule=data)
    training = run.fit()
    assert run.trainer.max_steps == training.steps == n_steps


@pytest.mark.parametrize("name", ["SkipsItsSecondEpoch", "SkipsItsSecondEpochUnsized"])
def test_a_skipped_validation_repeats_no_value(tmp_path: Path, name: str) -> None:
    module = {"_target_": f"user_modules.{name}"}
    training = a_run(tmp_path, Budget("epochs", 3, 3), module=module).fit()
    assert [rung.samples_seen for rung in training.rungs] == [100, 200]
    assert training.rungs[0].value != training.rungs[1].value


def test_half_an_epoch_is_no_rung(tmp_path: Path) -> None:
    stopper = {"_target_": "user_callbacks.StopsInMidEpoch"}
    training = a_run(tmp_path, Budget("epochs", 3, 3), callbacks={"stopper": stopper}).fit()
    assert [rung.samples_seen for rung in training.rungs] == [100]


def test_large_losses_in_half_precision_are_no_divergence(tmp_path: Path) -> None:
    module = {"_target_": "user_modules.HalfPrecisionLoss", "n_samples": 2000}
    assert a_run(tmp_path, Budget("epochs", 1, 1), module=module).fit().diverged is None


class Ticking(TrialRanks):
    """A process whose clock goes on by a tenth of a second at each look."""

    def __init__(self) -> None:
        self.ticks = itertools.count()

    def now(self) -> float:
        return next(self.ticks) / 10


def test_a_budget_in_seconds_ends_at_its_last_rung(tmp_path: Path) -> None:
    """Each batch takes a tenth of a second, by one look at the clock."""
    training = a_run(tmp_path, Budget("seconds", 4.0, 4), ranks=Ticking()).fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 100), (2, 200), (3, 300), (4, 400)]
    assert not training.stopped


def test_a_batch_longer_than_the_way_to_the_next_rung_skips_it(tmp_path: Path) -> None:
    training = a_run(
        tmp_path, Budget("samples", 40, 8), datamodule={"_target_": "user_data.Line", "batch_size": 10}
    ).fit()
    assert [rung.index for rung in training.rungs] == [2, 4, 6, 8]


def test_a_told_stop_ends_the_training_at_that_rung(tmp_path: Path) -> None:
    told: list[Rung] = []

    def stop_at_second(rung: Rung) -> bool:
        told.append(rung)
        return rung.index == 2

    training = a_run(tmp_path, Budget("epochs", 5, 5), watchers=Watchers(report=stop_at_second)).fit()
    assert training.stopped
    assert [rung.index for rung in told] == [1, 2]
    assert training.steps == 20


@pytest.mark.parametrize("behaviour", ["not_a_number", "infinite"])
def test_a_loss_that_is_not_finite_is_divergence_and_reports_nothing_more(tmp_path: Path, behaviour: str) -> None:
    told: list[Rung] = []
    watchers = Watchers(report=lambda rung: told.append(rung) is not None)
    run = a_run(tmp_path, Budget("epochs", 5, 5), module={"behaviour": behaviour, "at": 15}, watchers=watchers)
    training = run.fit()
    assert training.diverged is not None
    assert [rung.index for rung in told] == [1]
    assert all(math.isfinite(rung.value) for rung in told)
    assert training.steps == 20


def test_the_divergence_of_a_long_epoch_is_seen_within_a_hundred_batches(tmp_path: Path) -> None:
    module = {"behaviour": "not_a_number", "n_samples": 10_000}
    training = a_run(tmp_path, Budget("epochs", 2, 2), module=module).fit()
    assert training.diverged is not None
    assert training.steps <= 101


def test_a_metric_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    training = a_run(tmp_path, Budget("epochs", 9, 9), module={"lr": 1e30}).fit()
    assert training.diverged is not None
    assert training.rungs == ()


def test_the_time_limit_ends_a_trial_and_reports_no_partial_epoch(tmp_path: Path) -> None:
    told: list[Rung] = []
    watchers = Watchers(report=lambda rung: told.append(rung) is not None)
    training = a_run(tmp_path, Budget("epochs", 9, 9), watchers=watchers, max_trial_s=1.5, ranks=Ticking()).fit()
    assert training.out_of_time
    assert training.stopped
    assert [rung.samples_seen for rung in told] == [100]


def test_an_interruption_gives_up_within_a_batch(tmp_path: Path) -> None:
    watchers = Watchers(interrupted=lambda: "SIGTERM" if run.rungs.batches >= 5 else None)
    run = a_run(tmp_path, Budget("epochs", 10**6, 10**6), watchers=watchers)
    with pytest.raises(Interrupted, match="SIGTERM"):
        run.fit()
    assert run.rungs.batches == 5


def test_a_metric_that_is_never_logged_is_named_beside_what_is(tmp_path: Path) -> None:
    run = a_run(tmp_path, Budget("epochs", 1, 1), metric="val/acc")
    with pytest.raises(MetricMissing, match=r"never logged val/acc; .* had logged: train_loss, val_loss"):
        run.fit()


@pytest.mark.parametrize("budget", [Budget("epochs", 2, 2), Budget("steps", 8, 2)])
def test_a_module_without_validation_is_judged_by_what_it_logs_in_training(tmp_path: Path, budget: Budget) -> None:
    config = {"model": {"_target_": "user_modules.WithoutValidation"}, "trainer": TRAINER}
    training = Job(config, "train_loss", budget, 0, tmp_path).build().fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 40), (2, 80)]


def test_early_stopping_by_config_ends_the_training_without_pruning_it(tmp_path: Path) -> None:
    stopping = {
        "_target_": "pytorch_lightning.callbacks.EarlyStopping",
        "monitor": "val_loss",
        "patience": 2,
        "min_delta": 100.0,
    }
    training = a_run(tmp_path, Budget("epochs", 20, 20), callbacks={"early_stopping": stopping}).fit()
    assert len(training.rungs) == 3
    assert not training.stopped


def test_a_checkpoint_callback_by_config_writes_below_the_trials_folder(tmp_path: Path) -> None:
    checkpoint = {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "filename": "kept"}
    a_run(tmp_path, Budget("epochs", 1, 1), callbacks={"checkpoint": checkpoint}).fit()
    assert (tmp_path / "t0" / "checkpoints" / "kept.ckpt").exists()


def test_loggers_by_config_write_one_folder_a_trial(tmp_path: Path) -> None:
    loggers = {
        "csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(tmp_path / "csv")},
        "tensorboard": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": str(tmp_path / "tb")},
    }
    a_run(tmp_path, Budget("epochs", 1, 1), loggers=loggers).fit()
    assert (tmp_path / "csv" / "lightning_logs" / "t0" / "metrics.csv").exists()
    assert list((tmp_path / "tb" / "lightning_logs" / "t0").glob("events.out.tfevents.*"))


def test_by_default_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a_run(tmp_path, Budget("epochs", 1, 1)).fit()
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_values(tmp_path: Path) -> None:
    first, second = (a_run(tmp_path, Budget("epochs", 2, 2)).fit() for _ in range(2))
    assert [rung.value for rung in first.rungs] == [rung.value for rung in second.rungs]
