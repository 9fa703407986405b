"""How long a study takes, told before it: by a few batches at points that stand for all, of what is left to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from pytorch_lightning import Callback

from studies.cli.commands.check import estimate
from studies.config.settings import StudySettings
from studies.search.designs import typical_points
from studies.selection.rounds import most_trainings
from studies.selection.run import Remaining, remaining_of
from studies.trial.job import Job
from studies.trial.point_config import PointConfig
from studies.trial.preflight.dry_run import dry_run_briefly, estimate_time
from studies.trial.preflight.duration import N_TIMED, Stopwatch, whole_training_s
from studies.trial.rungs.batch_limit import BatchLimit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
STEP_S, VALIDATION_S, SETUP_S, BETWEEN_S = 0.02, 0.1, 0.5, 0.3


class Known(Callback):
    """Spends seconds that are known, by a clock of its own: for a step, a validation, setting up, between epochs."""

    def __init__(self) -> None:
        self.clock = 0.0

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self.clock += SETUP_S

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.clock += BETWEEN_S * (trainer.current_epoch > 0)

    def on_train_batch_start(self, *_: Any) -> None:
        self.clock += STEP_S

    def on_validation_start(self, *_: Any) -> None:
        self.clock += VALIDATION_S


def whole_s(settings: StudySettings, folder: Path, batch_limit: BatchLimit) -> float | None:
    """What a trial of `settings` is reckoned to take, by a part of it."""
    job = Job(
        PointConfig(settings, {"lr": 0.01}).resolved(), "val_loss", settings.budget, 0, folder, batch_limit=batch_limit
    )
    run, known = job.build(), Known()
    stopwatch = run.package.callback(Stopwatch)(0.0, now=lambda: known.clock)
    run.trainer.callbacks.insert(0, known)
    run.trainer.callbacks.append(stopwatch)
    run.fit()
    return whole_training_s(run, settings.budget, stopwatch.times, n_devices=1)


@pytest.mark.parametrize("batch_limit", [BatchLimit(N_TIMED, n_epochs=2), BatchLimit(2, n_epochs=2)])
@pytest.mark.parametrize(
    ("overrides", "n_batches", "n_rungs", "n_epochs"),
    [
        (("budget.amount=30",), 1200, 30, 30),  # 400 samples in batches of 10: 40 an epoch
        (("budget.amount=30", "+trainer.limit_train_batches=0.5"), 600, 30, 30),
        (("budget.amount=30", "+trainer.limit_train_batches=4"), 120, 30, 30),
        (("budget.amount=30", "model.batch_size=400"), 30, 30, 30),  # one batch an epoch
        (("budget.unit=steps", "budget.amount=100"), 100, 10, 2.5),
        (("budget.unit=steps", "budget.amount=100", "trainer.accumulate_grad_batches=2"), 200, 10, 5),
        (("budget.unit=steps", "budget.amount=10"), 10, 10, 1),  # a rung each step
        (("budget.unit=samples", "budget.amount=1000"), 100, 10, 2.5),
    ],
)
def test_each_part_of_a_training_is_counted_as_often_as_it_is_paid(
    make_settings: MakeSettings,
    tmp_path: Path,
    batch_limit: BatchLimit,
    overrides: tuple[str, ...],
    n_batches: int,
    n_rungs: int,
    n_epochs: float,
) -> None:
    settings = make_settings("model.n_samples=400", *overrides, study="plain")
    known = SETUP_S + n_batches * STEP_S + n_rungs * VALIDATION_S + (n_epochs - 1) * BETWEEN_S
    assert whole_s(settings, tmp_path, batch_limit) == pytest.approx(known)


def test_the_time_is_unknown_where_the_loader_does_not_tell_its_length(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    streamed = "model._target_=user_modules.Streamed"
    assert whole_s(make_settings(streamed, study="plain"), tmp_path, BatchLimit(2)) is None
    in_steps = make_settings(streamed, "budget.unit=steps", "budget.amount=100", study="plain")
    assert whole_s(in_steps, tmp_path, BatchLimit(2)) == pytest.approx(SETUP_S + 100 * STEP_S + 10 * VALIDATION_S)


def test_a_trial_takes_no_longer_than_it_may(make_settings: MakeSettings) -> None:
    point = {"lr": 0.01}
    assert estimate_time(PointConfig(make_settings("max_trial_s=1e-9", study="plain"), point)).seconds == 1e-9
    known = make_settings("budget.unit=seconds", "budget.amount=300", study="plain")
    assert estimate_time(PointConfig(known, point)).seconds == 300
    assert dry_run_briefly(PointConfig(make_settings(study="plain"), point)).seconds is None


def test_typical_points_lie_all_over_the_space_and_are_the_same_each_time(make_settings: MakeSettings) -> None:
    settings = make_settings(study="plain")
    points = typical_points(settings, 8)
    assert points == typical_points(settings, 8)
    quarters = sorted(int(2 * (math.log10(float(point["lr"])) + 3)) for point in points)
    assert quarters == [0, 0, 1, 1, 2, 2, 3, 3]


def test_typical_points_of_a_grid_are_cells(make_settings: MakeSettings) -> None:
    settings = make_settings("sampler=grid", "n_trials=null", study="plain")
    cells = settings.space.grid()
    points = typical_points(settings, 8)
    assert len(points) == len(cells) == 4
    assert sorted(point["lr"] for point in points) == sorted(cell["lr"] for cell in cells)


RACE = ("select=race", "select.k=3", "select.seeds=4", "select.estimate_seeds=5")


def finished(n: int) -> list[FrozenTrial]:
    trials = [create_trial(value=1.0) for _ in range(n)]
    for number, trial in enumerate(trials):
        trial.number = number
    return trials


def test_what_is_left_is_told_of_trials_and_selection(make_settings: MakeSettings) -> None:
    plain, storage = make_settings(study="plain"), InMemoryStorage()
    assert remaining_of(plain, [], storage) == Remaining(4, 0)
    assert remaining_of(plain, finished(3), storage) == Remaining(1, 0)
    assert remaining_of(plain, finished(4), storage).is_nothing
    raced = make_settings(*RACE, study="plain")
    assert most_trainings(raced.select, raced.space, is_designed=False) == 3 * 4 + 5
    assert remaining_of(raced, finished(4), storage) == Remaining(0, 17)


def test_the_estimate_in_words() -> None:
    def of(left: int, n_workers: int, seconds: Sequence[float] = (10.0, 20.0, 60.0)) -> str:  # mean 30
        return estimate(Remaining(left, 0), seconds, n_trials=4, n_workers=n_workers, prunes=False)

    told = "a trial takes about 30 s (10 s to 1 min 00 s at 3 points of the space); "
    assert of(4, 2) == f"{told}4 trials on 2 workers about 1 min 00 s and some seconds to start"
    assert of(1, 1) == f"{told}1 trial that is left on 1 worker about 30 s and some seconds to start"
    assert of(0, 2) == "nothing is left to do: the study is finished"
    assert "4 trials. The loader does not tell" in of(4, 2, ())
    found = estimate(Remaining(4, 16), [10.0, 20.0, 60.0], n_trials=4, n_workers=2, prunes=True)
    assert "4 trials and up to 16 trainings of the selection on 2 workers at most about 5 min 00 s and some" in found
    assert found.endswith("to start, less where trials are pruned or configurations leave the race")
