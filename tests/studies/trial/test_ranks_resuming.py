"""Two processes that train one trial together save together, and go on as if they had never stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState
from trainings import TRAINER, train

from studies import schema
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.schema import Failure
from studies.trial.checkpoints.files import new_checkpoint, sha256_of, trial_folder
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.failures import TrainingFailed
from studies.trial.job import Job
from studies.trial.objective import run_trial
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Training, Watchers

pytestmark = pytest.mark.usefixtures("beside_data")
DIGITS = {
    "_target_": "lightning_modules.Digits",
    "_convert_": "all",
    "batch_size": 32,
    "augmentation": {"_target_": "lightning_modules.Augmentation", "rotation": 10.0, "noise": 0.1},
}
NETWORK = {"input_shape": [1, 8, 8], "n_classes": 10, "width": 16, "n_layers": 2, "dropout": 0.3}
PLATEAU = {"_target_": "lightning_modules.schedule.ReduceOnPlateau", "rate": 0.3, "patience": 0}
CLASSIFIER = {
    "_target_": "lightning_modules.Classifier",
    "_convert_": "all",
    "network": {"_target_": "lightning_modules.MLP", **NETWORK},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
}
FOLLOWS_TRAINING = {**CLASSIFIER, "schedule": {**PLATEAU, "monitor": "train/loss"}}
PLAIN = {"_target_": "user_ranks.OnOneRank", "n_samples": 40, "batch_size": 4, "dropout": 0.3}
N_BATCHES = 20  # of each rank in an epoch of the digits


@dataclass
class News:
    """What the worker was told."""

    saved: list[SavedCheckpoint] = field(default_factory=list)
    resumed: list[Rung] = field(default_factory=list)

    def watchers(self, interrupted: Callable[[], str | None] = lambda: None, *, keeps: bool = False) -> Watchers:
        return Watchers(
            interrupted=interrupted,
            saved=self.saved.append,
            resumed=self.resumed.extend,
            keeps=lambda _training: keeps,
        )


def a_job(tmp_path: Path, budget: Budget, config: dict[str, Any], *, metric: str, every_s: float | None = None) -> Job:
    saving = SavingRule(tmp_path / "t0", "study", every_s)
    return Job({"trainer": TRAINER, **config}, metric, budget, seed=3, folder=tmp_path / "t0", saving=saving)


def numbers(training: Training) -> tuple[Any, ...]:
    return training.rungs, training.steps, training.samples_seen


def losses(tmp_path: Path) -> dict[int, float]:
    """The training loss at the beginning of each epoch but the first, as last noted."""
    lines = [line.split() for line in (tmp_path / "losses").read_text().splitlines()]
    return {int(epoch): float(loss) for epoch, loss in lines}


@pytest.mark.parametrize(
    ("budget", "n_accumulated"),
    [(Budget("epochs", 4, 4), 1), (Budget("epochs", 4, 4), 3), (Budget("samples", 5000, 5), 1)],
    ids=["epochs", "accumulated", "samples"],
)
def test_a_trial_that_was_interrupted_goes_on_exactly(tmp_path: Path, budget: Budget, n_accumulated: int) -> None:
    """In mid-epoch: what the ranks had drawn, seen and not yet exchanged is all there again."""
    model = FOLLOWS_TRAINING if budget.unit == "epochs" else CLASSIFIER
    trainer = {**TRAINER, "accumulate_grad_batches": n_accumulated}
    notes = {"_target_": "user_ranks.NotesTrainingLoss", "path": str(tmp_path / "losses")}
    config = {"model": model, "datamodule": DIGITS, "trainer": trainer, "callbacks": {"notes": notes}}
    job = a_job(tmp_path, budget, config, metric="val/loss")
    whole = train(job)
    losses_of_whole = losses(tmp_path)
    mark = tmp_path / "mark"
    marks = {"_target_": "user_ranks.MarksABatch", "path": str(mark), "at": N_BATCHES + 3}
    slowed = replace(job, config={**config, "callbacks": {"notes": notes, "marks": marks}})
    news = News()
    with pytest.raises(Interrupted, match="SIGUSR1"):
        train(slowed, news.watchers(lambda: "SIGUSR1" if mark.exists() else None))
    (saved,) = news.saved
    gradients = torch.load(saved.path, weights_only=True)["studies"]["gradients"]
    assert saved.exact is not bool(gradients)
    assert saved.rung >= 1
    assert saved.steps < whole.steps
    gone_on = train(replace(job, checkpoint=saved.path), news.watchers())
    assert (gone_on.steps, gone_on.samples_seen) == (whole.steps, whole.samples_seen)
    values, expected = ([rung.value for rung in training.rungs] for training in (gone_on, whole))
    assert values == (pytest.approx(expected, rel=1e-4) if gradients else expected)
    assert tuple(news.resumed) == whole.rungs[: saved.rung]
    assert losses(tmp_path) == pytest.approx(losses_of_whole, rel=1e-5)


def test_a_trial_whose_rank_dies_goes_on_from_the_last_rung(tmp_path: Path) -> None:
    """A DataLoader of the user's is shared out to the ranks anew in each epoch."""
    budget = Budget("epochs", 4, 4)
    whole = train(a_job(tmp_path, budget, {"model": PLAIN}, metric="val_loss"))
    dies = {**PLAIN, "behaviour": "kill", "at": 12}
    news = News()
    with pytest.raises(TrainingFailed, match=r"rank 1 of 2 died \(SIGKILL\)"):
        train(a_job(tmp_path, budget, {"model": dies}, metric="val_loss", every_s=1e-9), news.watchers())
    assert [(saved.rung, saved.steps, saved.exact) for saved in news.saved] == [(1, 5, True), (2, 10, True)]
    job = a_job(tmp_path, budget, {"model": PLAIN}, metric="val_loss")
    assert numbers(train(replace(job, checkpoint=news.saved[-1].path), news.watchers())) == numbers(whole)
    assert [rung.index for rung in news.resumed] == [1, 2]


def test_the_last_state_is_kept_where_the_worker_says_so(tmp_path: Path) -> None:
    news = News()
    job = a_job(tmp_path, Budget("steps", 7, 1), {"model": PLAIN}, metric="val_loss")
    training = train(job, news.watchers(keeps=True))
    (saved,) = news.saved
    assert (saved.rung, saved.steps) == (1, 7)
    assert torch.load(saved.path, weights_only=True)["global_step"] == 7
    assert numbers(train(replace(job, checkpoint=saved.path))) == numbers(training)
    assert list(saved.path.parent.iterdir()) == [saved.path]


def test_a_file_that_cannot_be_written_holds_no_rank_up(tmp_path: Path) -> None:
    (tmp_path / "t0").write_text("no folder")
    news = News()
    job = a_job(tmp_path, Budget("epochs", 2, 2), {"model": PLAIN}, metric="val_loss", every_s=1e-9)
    assert len(train(job, news.watchers(keeps=True)).rungs) == 2
    assert news.saved == []


def test_a_checkpoint_of_another_number_of_ranks_is_refused(tmp_path: Path) -> None:
    news = News()
    job = a_job(tmp_path, Budget("epochs", 2, 2), {"model": PLAIN}, metric="val_loss", every_s=1e-9)
    job.build(news.watchers()).fit()
    with pytest.raises(TrainingFailed, match="1 ranks wrote the checkpoint, not 2") as caught:
        train(replace(job, checkpoint=news.saved[0].path), news.watchers())
    assert caught.value.failure is Failure.ERROR
    assert news.resumed == []


def test_a_checkpoint_that_does_not_fit_means_from_zero_and_is_told(
    make_settings: Callable[..., StudySettings], tmp_path: Path
) -> None:
    settings = make_settings("launcher=serial", "launcher.devices_per_trial=2", study="plain")
    folder = trial_folder(settings.output_dir, 0)
    folder.mkdir(parents=True)
    path = new_checkpoint(folder, study_name=settings.study_name, rung=1, batches=5)
    torch.save({"state_dict": {}}, path)
    record = {"path": str(path), "sha256": sha256_of(path), "rung": 1, "steps": 5, "exact": True}
    earlier = optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={schema.CHECKPOINT: record})
    study = optuna.create_study()
    outcome = run_trial(study.ask(), settings, seed=3, interrupted=lambda: None, repeated=earlier)
    assert outcome.state == TrialState.COMPLETE
    told = study.trials[0].user_attrs
    assert "does not fit (KeyError" in told[schema.RESTARTED]
    assert schema.RESUMED_FROM not in told
