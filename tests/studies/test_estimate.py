"""How long a study takes, told before it: by a few batches at points that stand for all, of what is left to do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from pytorch_lightning import Callback

from studies.budget import Budget
from studies.check import Left, estimate, left_of
from studies.search.designs import typical_points
from studies.search.rounds import most_trainings
from studies.settings import StudySettings
from studies.trial.estimate import N_TIMED, TWO_EPOCHS, whole_training_s
from studies.trial.objective import resolve
from studies.trial.preflight import look
from studies.trial.training import Job

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
STEP_S, VALIDATION_S, SETUP_S = 0.02, 0.1, 0.5


class Slow(Callback):
    """Seconds that are known: of a step, a validation and the setting up."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        time.sleep(SETUP_S)

    def on_train_batch_start(self, *_: Any) -> None:
        time.sleep(STEP_S)

    def on_validation_start(self, *_: Any) -> None:
        time.sleep(VALIDATION_S)


def whole_s(settings: StudySettings, folder: Path, budget: Budget) -> float | None:
    config = resolve(settings, {"lr": 0.01})
    job = Job(config, "val_loss", TWO_EPOCHS, 0, folder, trainer_arguments={"limit_train_batches": N_TIMED})
    run = job.build()
    run.trainer.callbacks.insert(0, Slow())  # type: ignore[attr-defined]
    return whole_training_s(run, budget, config, n_devices=1)


@pytest.mark.parametrize(
    ("overrides", "budget", "n_batches", "n_rungs"),
    [
        ((), Budget("epochs", 30, 30), 1200, 30),  # 400 samples in batches of 10: 40 an epoch
        (("+trainer.limit_train_batches=0.5",), Budget("epochs", 30, 30), 600, 30),
        (("+trainer.limit_train_batches=4",), Budget("epochs", 30, 30), 120, 30),
        ((), Budget("steps", 100, 10), 100, 10),
        (("trainer.accumulate_grad_batches=2",), Budget("steps", 100, 10), 200, 10),
        ((), Budget("samples", 1000, 10), 100, 10),
    ],
)
def test_steps_rungs_and_setting_up_are_counted_as_often_as_they_are_paid(
    make_settings: MakeSettings,
    tmp_path: Path,
    overrides: tuple[str, ...],
    budget: Budget,
    n_batches: int,
    n_rungs: int,
) -> None:
    settings = make_settings("model.n_samples=400", *overrides, study="plain")
    known = SETUP_S + n_batches * STEP_S + n_rungs * VALIDATION_S
    found = whole_s(settings, tmp_path, budget)
    assert found is not None
    assert known < found < 1.35 * known


def test_a_trial_takes_no_longer_than_it_may(make_settings: MakeSettings) -> None:
    slow = ("model.sleep_s=0.02", "budget.amount=100")
    (seen,) = look(make_settings(*slow, study="plain"), [{"lr": 0.01}], timed=True)
    assert seen.seconds is not None
    assert 20 < seen.seconds < 30  # 100 epochs of ten batches
    (limited,) = look(make_settings(*slow, "max_trial_s=3", study="plain"), [{"lr": 0.01}], timed=True)
    assert limited.seconds == 3
    (untimed,) = look(make_settings(*slow, study="plain"), [{"lr": 0.01}])
    assert untimed.seconds is None


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
    assert left_of(plain, [], storage) == Left(4, 0)
    assert left_of(plain, finished(3), storage) == Left(1, 0)
    assert left_of(plain, finished(4), storage).is_nothing
    raced = make_settings(*RACE, study="plain")
    assert most_trainings(raced) == 3 * 4 + 5
    assert left_of(raced, finished(4), storage) == Left(0, 17)


def test_the_estimate_in_words(make_settings: MakeSettings) -> None:
    plain = make_settings(study="plain")
    seconds = [10.0, 20.0, 60.0]  # mean 30
    told = "a trial takes about 30 s (10 s to 1 min 00 s at 3 points of the space); "
    assert (
        estimate(plain, Left(4, 0), seconds, 2)
        == f"{told}4 trials on 2 workers about 1 min 00 s and some seconds to start"
    )
    one = "1 trial that are left on 1 worker about 30 s and some seconds to start"
    assert estimate(plain, Left(1, 0), seconds, 1) == told + one.replace("that are", "that is")
    assert estimate(plain, Left(0, 0), seconds, 2) == "nothing is left to do: the study is finished"
    assert "4 trials; the loader does not tell" in estimate(plain, Left(4, 0), [], 2)
    pruned = make_settings("pruner=median", *RACE, study="plain")
    found = estimate(pruned, Left(4, 16), seconds, 2)
    assert "4 trials and up to 16 trainings of the selection on 2 workers at most about 5 min 00 s and some" in found
    assert found.endswith("to start, less where trials are pruned or configurations leave the race")
