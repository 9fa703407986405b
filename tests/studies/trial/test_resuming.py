"""A training that was stopped and goes on equals the one that never was, number for number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from studies.config.budget import Budget
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.job import Job
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Training, Watchers

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Checkpoint directory .* exists and is not empty.*",
        "ignore:.*does not have many workers.*",
        "ignore:.*log_every_n_steps.*",
        "ignore:ReduceLROnPlateau conditioned.*",
    ),
    pytest.mark.usefixtures("beside_data"),
]

DIGITS = {"_target_": "lightning_modules.Digits", "_convert_": "all", "batch_size": 128}
NOISY = {**DIGITS, "augmentation": {"_target_": "lightning_modules.Augmentation", "rotation": 10.0, "noise": 0.1}}
TRAINER = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
}
EPOCHS = Budget("epochs", 4, 4)
N_BATCHES = 10  # an epoch of the digits in batches of 128, the last one short; so many questions too


def classifier(schedule: dict[str, Any] | None) -> dict[str, Any]:
    network = {
        "_target_": "lightning_modules.MLP",
        "input_shape": [1, 8, 8],
        "width": 16,
        "n_layers": 2,
        "dropout": 0.3,
    }
    adam = {"_target_": "torch.optim.Adam", "lr": 0.01}
    return {
        "_target_": "lightning_modules.Classifier",
        "_convert_": "all",
        "network": {**network, "n_classes": 10},
        "optimizer": adam,
        "schedule": schedule,
    }


COSINE = {"_target_": "lightning_modules.schedule.CosineDecay"}
PLATEAU = {
    "_target_": "lightning_modules.schedule.ReduceOnPlateau",
    "rate": 0.3,
    "patience": 0,
    "monitor": "train/loss",
}


@dataclass
class Bench:
    """Runs one training several times: whole, or stopped after so many questions whether to stop, and gone on with."""

    folder: Path
    budget: Budget = EPOCHS
    config: dict[str, Any] = field(default_factory=dict)
    metric: str = "val/loss"
    max_trial_s: float | None = None
    saved: list[SavedCheckpoint] = field(default_factory=list)
    resumed: list[Rung] = field(default_factory=list)
    logged: dict[str, float] = field(default_factory=dict)

    def run(
        self,
        checkpoint: Path | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        every_s: float | None = None,
        config: dict[str, Any] | None = None,
    ) -> Training:
        watchers = Watchers(
            interrupted=lambda: "SIGTERM" if stop() else None,
            saved=self.saved.append,
            resumed=self.resumed.extend,
        )
        saving = SavingRule(self.folder / "trial-0", "study", every_s)
        base = {"model": classifier(COSINE), "datamodule": NOISY, "trainer": TRAINER}
        job = Job(
            {**base, **self.config, **(config or {})},
            self.metric,
            self.budget,
            seed=3,
            folder=self.folder / "trial-0",
            saving=saving,
            max_trial_s=self.max_trial_s,
        )
        run = job.build(watchers)
        training = run.fit(checkpoint)
        self.logged = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
        return training

    def stopped_after(self, n_questions: int, checkpoint: Path | None = None) -> SavedCheckpoint:
        """Stop at the n-th question: after each batch, after each epoch, and after each batch of a validation."""
        asked = iter(range(n_questions - 1))
        with pytest.raises(Interrupted, match="SIGTERM"):
            self.run(checkpoint, stop=lambda: next(asked, None) is None)
        return self.saved[-1]


def numbers(training: Training) -> tuple[Any, ...]:
    return training.rungs, training.steps, training.samples_seen, training.stopped


QUESTIONS = [1, N_BATCHES, 2 * N_BATCHES + 3]


@pytest.mark.parametrize("n_questions", QUESTIONS)
@pytest.mark.parametrize(
    "budget", [EPOCHS, Budget("steps", 30, 5), Budget("samples", 4000, 5)], ids=lambda budget: budget.unit
)
def test_a_stopped_training_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, budget: Budget, n_questions: int
) -> None:
    bench = Bench(tmp_path, budget)
    whole = bench.run()
    saved = bench.stopped_after(n_questions)
    assert saved.exact
    assert 0 < saved.steps < whole.steps
    assert numbers(bench.run(saved.path)) == numbers(whole)
    assert bench.resumed == list(whole.rungs[: saved.rung])


def test_the_training_loss_of_an_epoch_that_was_gone_on_with_is_over_the_whole_epoch(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Budget("epochs", 1, 1))
    bench.run()
    whole = bench.logged["train/loss"]
    bench.run(bench.stopped_after(6).path)
    assert bench.logged["train/loss"] == whole


@pytest.mark.parametrize("budget", [EPOCHS, Budget("steps", 30, 5)], ids=lambda budget: budget.unit)
def test_a_checkpoint_at_a_rung_leads_to_the_same_end(tmp_path: Path, budget: Budget) -> None:
    bench = Bench(tmp_path, budget)
    whole = bench.run(every_s=1e-9)
    assert [saved.rung for saved in bench.saved] == [rung.index for rung in whole.rungs][:-1]
    for saved in bench.saved:
        assert numbers(bench.run(saved.path)) == numbers(whole)


def test_a_retry_of_a_retry_of_a_retry_ends_as_the_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    whole = bench.run()
    path = None
    for n_questions in (3, 4, 8, 2, 13, 1):
        path = bench.stopped_after(n_questions, path).path
    assert numbers(bench.run(path)) == numbers(whole)


@pytest.mark.parametrize("budget", [EPOCHS, Budget("steps", 48, 2)], ids=lambda budget: budget.unit)
@pytest.mark.parametrize("n_questions", [N_BATCHES, 2 * N_BATCHES + 8])
def test_schedules_that_wait_for_a_metric_lose_nothing(tmp_path: Path, budget: Budget, n_questions: int) -> None:
    """Lightning updates them after the hooks of an epoch's end, and not at all in an epoch that was gone on with; and
    an epoch may end long after the validation whose value they take."""
    for model in (classifier(PLATEAU), classifier({**PLATEAU, "monitor": "val/random"})):
        model["_target_"] = "user_modules.RandomInValidation"
        bench = Bench(tmp_path, budget, {"model": model})
        whole = bench.run()
        assert numbers(bench.run(bench.stopped_after(n_questions).path)) == numbers(whole)


@pytest.mark.parametrize("n_questions", [2, N_BATCHES + 3])
def test_gradients_that_are_being_accumulated_are_kept(tmp_path: Path, n_questions: int) -> None:
    bench = Bench(tmp_path, config={"trainer": {**TRAINER, "accumulate_grad_batches": 4}})
    whole = bench.run()
    assert numbers(bench.run(bench.stopped_after(n_questions).path)) == numbers(whole)


@pytest.mark.parametrize(
    ("budget", "before"), [(EPOCHS, N_BATCHES), (Budget("steps", 27, 3), 9)], ids=["epochs", "steps"]
)
@pytest.mark.parametrize("metric", ["val/loss", "val/random"])
def test_an_interrupted_validation_is_begun_anew_and_its_rung_neither_lost_nor_doubled(
    tmp_path: Path, budget: Budget, before: int, metric: str
) -> None:
    """Three batches of validation; `val/random` is drawn in it, and its DataLoader draws a seed at each pass."""
    model = {**classifier(COSINE), "_target_": "user_modules.RandomInValidation"}
    bench = Bench(tmp_path, budget, {"model": model, "datamodule": {**NOISY, "eval_batch_size": 128}}, metric)
    whole = bench.run()
    for n_questions in (before, before + 1):
        saved = bench.stopped_after(n_questions)
        assert (saved.rung, saved.steps) == (0, before)
        assert numbers(bench.run(saved.path)) == numbers(whole)


def test_the_last_validation_of_a_number_of_steps_is_finished_before_anything_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Budget("steps", 9, 1), {"datamodule": {**NOISY, "eval_batch_size": 64}})
    asked = iter(range(9))
    assert bench.run(stop=lambda: next(asked, None) is None).rungs[-1].index == 1
    assert bench.saved == []


def test_a_stop_that_comes_after_the_last_epoch_does_not_throw_the_trial_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Budget("epochs", 1, 1))
    asked = iter(range(N_BATCHES - 1))
    assert len(bench.run(stop=lambda: next(asked, None) is None).rungs) == 1


def test_seconds_are_counted_over_the_attempts_and_end_at_the_budget(tmp_path: Path) -> None:
    slow = {"model": {"_target_": "user_modules.Plain", "sleep_s": 0.02}, "datamodule": None}
    bench = Bench(tmp_path, Budget("seconds", 1.2, 4), slow, metric="val_loss")
    saved = bench.stopped_after(30)
    training = bench.run(saved.path)
    assert training.rungs[-1].index == 4
    assert training.steps < 65  # of 0.02 s and more: 60 in all 1.2 seconds


def test_the_time_limit_counts_what_was_spent_before(tmp_path: Path) -> None:
    slow = {"model": {"_target_": "user_modules.Plain", "sleep_s": 0.02}, "datamodule": None}
    bench = Bench(tmp_path, Budget("epochs", 50, 50), slow, metric="val_loss", max_trial_s=0.8)
    saved = bench.stopped_after(25)
    training = bench.run(saved.path)
    assert training.out_of_time
    assert training.steps < 45


@pytest.mark.parametrize("workers", [0, 1])
def test_a_plain_loader_goes_on_exactly_at_an_epochs_end(tmp_path: Path, workers: int) -> None:
    """It draws a seed when it is iterated and another one for its order."""
    line = {"_target_": "user_data.Line", "num_workers": workers}
    model = {"_target_": "user_modules.Plain", "dropout": 0.5}
    bench = Bench(tmp_path, config={"model": model, "datamodule": line}, metric="val_loss")
    whole = bench.run()
    saved = bench.stopped_after(19)  # nine batches, nine of the validation, and the epoch
    assert saved.exact
    assert (saved.rung, saved.steps) == (1, 10)
    assert numbers(bench.run(saved.path)) == numbers(whole)


def test_a_plain_loader_in_the_middle_of_an_epoch_is_recorded_as_inexact_and_keeps_its_length(tmp_path: Path) -> None:
    model = {"_target_": "user_modules.Plain"}
    bench = Bench(tmp_path, config={"model": model, "datamodule": {"_target_": "user_data.Line"}}, metric="val_loss")
    whole = bench.run()
    saved = bench.stopped_after(15)
    assert not saved.exact
    training = bench.run(saved.path)
    assert training.steps == whole.steps
    assert [rung.samples_seen for rung in training.rungs] == [rung.samples_seen for rung in whole.rungs]
    assert training.rungs[0] == whole.rungs[0]


def test_an_epoch_of_unknown_length_is_not_made_longer_by_going_on_in_its_middle(tmp_path: Path) -> None:
    model = {"_target_": "user_modules.Streamed"}
    bench = Bench(tmp_path, config={"model": model, "datamodule": None}, metric="val_loss")
    asked = iter(range(4))
    with pytest.raises(Interrupted):
        bench.run(stop=lambda: next(asked, None) is None)
    assert bench.saved == []


def test_a_split_that_is_drawn_where_the_loader_is_made_stays_as_it_was(tmp_path: Path) -> None:
    model = {"_target_": "user_modules.SplitsInItsLoader"}
    bench = Bench(tmp_path, config={"model": model, "datamodule": None}, metric="val_loss")
    whole = bench.run()
    assert numbers(bench.run(bench.stopped_after(6).path)) == numbers(whole)


def test_a_module_with_two_optimizers_that_it_steps_itself_goes_on_exactly(tmp_path: Path) -> None:
    config = {"model": {**classifier(None), "_target_": "user_modules.StepsItself"}}
    bench = Bench(tmp_path, Budget("steps", 30, 5), config)
    whole = bench.run()
    for n_questions in (4, 14):
        saved = bench.stopped_after(n_questions)
        assert numbers(bench.run(saved.path)) == numbers(whole)


def test_early_stopping_goes_on_counting(tmp_path: Path) -> None:
    stopping = {
        "_target_": "pytorch_lightning.callbacks.EarlyStopping",
        "monitor": "val/loss",
        "patience": 2,
        "min_delta": 100.0,
    }
    bench = Bench(tmp_path, Budget("epochs", 9, 9), {"callbacks": {"stopping": stopping}})
    whole = bench.run()
    assert len(whole.rungs) == 3
    for n_questions in (4, 2 * N_BATCHES):
        assert numbers(bench.run(bench.stopped_after(n_questions).path)) == numbers(whole)


def test_an_epoch_that_another_callback_cuts_short_is_no_rung_after_going_on_either(tmp_path: Path) -> None:
    config = {
        "model": {"_target_": "user_modules.Plain"},
        "datamodule": {"_target_": "user_data.Line"},
        "callbacks": {"stopper": {"_target_": "user_callbacks.StopsInMidEpoch"}},
    }
    bench = Bench(tmp_path, config=config, metric="val_loss")
    saved = bench.stopped_after(21)
    assert (saved.rung, saved.steps) == (1, 12)
    assert [rung.index for rung in bench.run(saved.path).rungs] == [1]


def test_a_model_checkpoint_of_the_user_works_beside_ours(tmp_path: Path) -> None:
    checkpoint = {"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "filename": "kept", "monitor": "val/loss"}
    bench = Bench(tmp_path, config={"callbacks": {"checkpoint": checkpoint}})
    saved = bench.stopped_after(2 * N_BATCHES)
    resumed = bench.run(saved.path)
    assert numbers(resumed) == numbers(Bench(tmp_path / "whole").run())
    assert list((tmp_path / "trial-0" / "checkpoints").glob("kept*.ckpt"))
