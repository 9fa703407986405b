"""Lightning's own callbacks and hooks in a trial: the value is that of a plain `Trainer.fit` under the same seed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from optuna.trial import TrialState
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from torch import nn
from trainings import TRAINER, files, run

from studies import schema
from studies.analysis.choice import Choice
from studies.analysis.estimate import Estimate
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.errors import StudyStopped
from studies.reporting.sections.best import handed_on
from studies.trial.checkpoints.saver import SavedCheckpoint, SavingRule
from studies.trial.finders import finder_notes
from studies.trial.job import Job
from studies.trial.run import Run
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import Watchers

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*does not have many workers.*",
        "ignore:.*log_every_n_steps.*",
        "ignore:Trying to infer the `batch_size`.*",
        "ignore:Your `IterableDataset` has `__len__` defined.*",
        "ignore:The `LightningModule.*",
    ),
    pytest.mark.usefixtures("user_modules"),
]
MakeSettings = Callable[..., StudySettings]
LIGHTNING = "pytorch_lightning.callbacks"
SWA = {"_target_": f"{LIGHTNING}.StochasticWeightAveraging", "swa_lrs": 0.5, "swa_epoch_start": 2}
EMA = {"_target_": f"{LIGHTNING}.EMAWeightAveraging", "decay": 0.9}
RATE = {"_target_": f"{LIGHTNING}.LearningRateFinder", "num_training_steps": 40}
SIZE = {"_target_": f"{LIGHTNING}.BatchSizeFinder", "max_trials": 1, "init_val": 10, "steps_per_trial": 1}
BUDGETS = [Budget("epochs", 3, 3), Budget("steps", 30, 3), Budget("samples", 300, 3)]


def a_run(
    tmp_path: Path,
    *callbacks: dict[str, Any],
    budget: Budget = BUDGETS[0],
    metric: str = "val_loss",
    trial: int = 0,
    watchers: Watchers | None = None,
    saving: SavingRule | None = None,
    **model: Any,
) -> Run:
    """10 batches of 10 samples an epoch."""
    config = {
        "model": {"_target_": "user_modules.Plain", "lr": 0.02, **model},
        "trainer": TRAINER,
        "callbacks": {str(i): node for i, node in enumerate(callbacks)},
    }
    folder = tmp_path / "study" / "trials" / f"trial-{trial}"
    return Job(config, metric, budget, 1, folder, saving=saving).build(watchers)


def plain_fit(tmp_path: Path, *callbacks: dict[str, Any], model: str = "user_modules.Plain") -> pl.LightningModule:
    """What Lightning alone makes of three epochs."""
    pl.seed_everything(1, workers=True, verbose=False)
    module = instantiate({"_target_": model, "lr": 0.02})
    made = [instantiate(node) for node in callbacks]
    switches = {
        "enable_checkpointing": any(isinstance(one, Checkpoint) for one in made),
        "enable_progress_bar": any(isinstance(one, ProgressBar) for one in made),
    }
    trainer = pl.Trainer(**(TRAINER | switches), logger=False, max_epochs=3, callbacks=made, default_root_dir=tmp_path)
    trainer.fit(module)
    return module  # type: ignore[no-any-return]


def loss_of(module: Any) -> float:
    """The module's loss on its own data, as a validation of ten equal batches gives it."""
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    module.eval()
    with torch.no_grad():
        return float(nn.functional.mse_loss(module.line(x), 2 * x + 1))


@pytest.mark.parametrize(
    "callback",
    [
        RATE,
        SIZE,
        SWA,
        EMA,
        EMA | {"update_every_n_steps": 0, "update_starting_at_epoch": 1},
        {"_target_": f"{LIGHTNING}.Timer", "duration": "00:01:00:00"},
        {"_target_": f"{LIGHTNING}.ModelSummary"},
        {"_target_": f"{LIGHTNING}.TQDMProgressBar", "refresh_rate": 0},
        {"_target_": f"{LIGHTNING}.ModelCheckpoint", "monitor": "val_loss", "save_last": True},
        {"_target_": f"{LIGHTNING}.ModelPruning", "pruning_fn": "l1_unstructured", "amount": 0.5},
        {"_target_": f"{LIGHTNING}.EarlyStopping", "monitor": "val_loss", "patience": 1, "min_delta": 9.0},
        {"_target_": f"{LIGHTNING}.GradientAccumulationScheduler", "scheduling": {1: 2}},
        {"_target_": f"{LIGHTNING}.SpikeDetection"},
    ],
    ids=lambda node: node["_target_"].rpartition(".")[2],
)
def test_the_value_is_that_of_the_weights_that_lightning_alone_hands_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, callback: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = loss_of(plain_fit(tmp_path / "plain", callback))
    made = a_run(tmp_path, callback)
    training = made.fit()
    assert training.rungs[-1].value == pytest.approx(expected, rel=1e-5)
    assert loss_of(made.module) == pytest.approx(expected, rel=1e-6)
    assert training.samples_seen == 100 * len(training.rungs)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.unit)
@pytest.mark.parametrize("finder", [RATE, SIZE], ids=["rate", "size"])
def test_a_finders_steps_and_files_are_not_the_trials(tmp_path: Path, finder: dict[str, Any], budget: Budget) -> None:
    training = a_run(tmp_path, finder, budget=budget).fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 100), (2, 200), (3, 300)]
    assert training.steps == 30
    assert list(training.found) == (["lr"] if finder is RATE else ["batch_size"])
    assert training.found.get("lr") != 0.02
    assert list(tmp_path.rglob("*.ckpt")) == []
    assert not (tmp_path / "study" / "trials" / "trial-0").exists()


def test_a_finder_that_sees_too_few_losses_has_found_nothing(tmp_path: Path) -> None:
    made = a_run(tmp_path, RATE | {"num_training_steps": 5})
    assert made.fit().found == {}
    assert made.module.lr == 0.02


def test_a_budget_in_samples_counts_the_batches_that_a_finder_chose(tmp_path: Path) -> None:
    """The schedule's length was laid out for batches of 10; the finder leaves 2."""
    smaller = SIZE | {"init_val": 2, "max_trials": 1}
    training = a_run(tmp_path, smaller, budget=BUDGETS[2]).fit()
    assert training.found == {"batch_size": 2}
    assert (training.rungs[-1].samples_seen, training.steps) == (300, 150)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.unit)
def test_averaged_weights_are_judged_once_and_reported_once(tmp_path: Path, budget: Budget) -> None:
    told: list[Rung] = []
    watchers = Watchers(report=lambda rung: bool(told.append(rung)))
    made = a_run(tmp_path, SWA, {"_target_": "user_hooks.Judged"}, budget=budget, watchers=watchers)
    training = made.fit()
    assert [rung.index for rung in told] == [1, 2, 3]
    assert tuple(told) == training.rungs
    assert training.rungs[-1].value == pytest.approx(loss_of(made.module), rel=1e-5)
    from user_hooks import Judged

    assert Judged.kept.pop()


def test_the_epoch_that_renews_batch_norm_is_no_rung_of_its_own(tmp_path: Path) -> None:
    made = a_run(tmp_path, SWA, _target_="user_hooks.WithBatchNorm")
    training = made.fit()
    assert [rung.index for rung in training.rungs] == [1, 2, 3]
    assert training.rungs[-1].value == pytest.approx(loss_of(made.module), rel=1e-4)


def test_weights_that_the_module_changes_at_its_end_are_judged(tmp_path: Path) -> None:
    made = a_run(tmp_path, _target_="user_hooks.HalvesItsWeightsAtTheEnd")
    assert made.fit().rungs[-1].value == pytest.approx(loss_of(made.module), rel=1e-5)


def test_a_search_for_a_rate_in_mid_training_is_not_counted(tmp_path: Path) -> None:
    later = RATE | {"_target_": "user_hooks.FindsLater"}
    expected = loss_of(plain_fit(tmp_path / "plain", later))
    training = a_run(tmp_path, later).fit()
    assert [rung.samples_seen for rung in training.rungs] == [100, 200, 300]
    assert (training.steps, training.rungs[-1].value) == (30, pytest.approx(expected, rel=1e-5))


def test_a_value_that_cannot_be_judged_again_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = a_run(tmp_path, SWA, metric="train_loss", _target_="user_modules.Plain")
    training = made.fit()
    assert training.note is not None
    assert "the weights were changed after the last rung" in caplog.text


def interrupted(tmp_path: Path, callback: dict[str, Any], when: Callable[[Run], bool]) -> list[SavedCheckpoint]:
    """The checkpoints of a training that is asked to stop once `when` was so."""
    saved: list[SavedCheckpoint] = []
    runs: list[Run] = []
    asked: list[str] = []

    def reason() -> str | None:
        if when(runs[0]):
            asked.append("SIGTERM")
        return asked[0] if asked else None

    watchers = Watchers(interrupted=reason, saved=saved.append)
    saving = SavingRule(tmp_path / "kept", "s", None)
    runs.append(a_run(tmp_path, callback, trial=1, watchers=watchers, saving=saving))
    with pytest.raises(Interrupted):
        runs[0].fit()
    return saved


@pytest.mark.parametrize(
    ("callback", "when", "rung"),
    [
        (SWA, lambda run: run.rungs.last_index == 2, 2),
        (EMA, lambda run: run.rungs.last_index == 1, 1),
        (EMA, lambda run: run.rungs.last_index == 1 and run.trainer.validating, 2),
        (RATE, lambda run: run.rungs.last_index == 1, 1),
        (SIZE, lambda run: run.rungs.last_index == 1, 1),
    ],
    ids=["averages", "moving average", "moving average in validation", "rate", "size"],
)
def test_a_training_goes_on_exactly_with_averages_and_with_what_was_found(
    tmp_path: Path, callback: dict[str, Any], when: Callable[[Run], bool], rung: int
) -> None:
    """A validation runs on averaged weights: a checkpoint waits for the weights that the training goes on from."""
    whole = a_run(tmp_path, callback).fit()
    (saved,) = interrupted(tmp_path, callback, when)
    assert (saved.rung, saved.exact) == (rung, True)
    resumed = a_run(tmp_path, callback, trial=2).fit(saved.path)
    assert resumed.rungs == whole.rungs
    assert resumed.found == whole.found


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`.*")
def test_nothing_is_saved_while_a_finder_tries_rates(tmp_path: Path) -> None:
    assert interrupted(tmp_path, RATE, lambda run: run.rungs not in run.trainer.callbacks) == []


def test_checkpoint_callbacks_write_into_a_folder_of_their_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"_target_": f"{LIGHTNING}.ModelCheckpoint", "dirpath": "mine", "filename": "given"}
    for trial in (0, 1):
        a_run(tmp_path, given, trial=trial).fit()
        a_run(tmp_path, trial=trial, _target_="user_hooks.BringsACheckpoint").fit()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckpt"))
    assert found == [
        *(f"mine/study/trial-{trial}/given.ckpt" for trial in (0, 1)),
        *(f"study/trials/trial-{trial}/checkpoints/brought.ckpt" for trial in (0, 1)),
    ]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.unit)
@pytest.mark.parametrize("validates", [True, False])
def test_metrics_of_the_modules_own_epoch_hook_are_seen(tmp_path: Path, budget: Budget, validates: bool) -> None:
    hook = "user_hooks.LogsInItsHook" if validates else "user_hooks.LogsInItsHookAlone"
    training = a_run(tmp_path, budget=budget, metric="epoch_number", _target_=hook).fit()
    assert [rung.value for rung in training.rungs] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("budget", "values"),
    [*((budget, [10.0, 20.0, 30.0]) for budget in BUDGETS), (Budget("steps", 24, 3), [8.0, 16.0, 24.0])],
    ids=str,
)
def test_metrics_of_the_modules_own_validation_hook_are_seen(
    tmp_path: Path, budget: Budget, values: list[float]
) -> None:
    training = a_run(tmp_path, budget=budget, metric="n_steps", _target_="user_hooks.WritesAfterValidation").fit()
    assert [rung.value for rung in training.rungs] == values


def test_metrics_of_the_modules_own_batch_hook_are_seen(tmp_path: Path) -> None:
    made = a_run(tmp_path, budget=BUDGETS[1], metric="n_steps", _target_="user_hooks.LogsAfterItsBatch")
    assert [rung.value for rung in made.fit().rungs] == [10.0, 20.0, 30.0]


def test_a_metric_that_is_not_logged_again_is_not_reported_again(tmp_path: Path) -> None:
    budget = Budget("epochs", 4, 4)
    training = a_run(tmp_path, budget=budget, metric="seldom", _target_="user_hooks.LogsEverySecondEpoch").fit()
    assert [(rung.value, rung.samples_seen) for rung in training.rungs] == [(1.0, 100), (3.0, 300)]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.unit)
@pytest.mark.parametrize("module", ["user_modules.Streamed", "user_hooks.Combined"])
def test_streams_and_combined_loaders_train_under_every_budget(tmp_path: Path, budget: Budget, module: str) -> None:
    made = a_run(tmp_path, budget=budget, _target_=module)
    training = made.fit()
    assert [rung.samples_seen for rung in training.rungs] == [100, 200, 300]
    assert training.steps == 30


def test_streams_train_for_a_budget_in_seconds(tmp_path: Path) -> None:
    training = a_run(tmp_path, budget=Budget("seconds", 0.2, 1), _target_="user_modules.Streamed").fit()
    assert [(rung.index, rung.samples_seen) for rung in training.rungs] == [(1, 10 * training.steps)]


def test_a_loader_that_gives_less_than_it_announces_is_named(make_settings: MakeSettings) -> None:
    short = ("launcher=serial", "model._target_=user_hooks.GivesLessThanAnnounced", "max_retries=0", "max_failures=1")
    with pytest.raises(StudyStopped, match="announced 20 batches and gave 10"):
        run(make_settings(*short, "storage.url=memory", study="plain"))


def test_samples_that_nobody_can_count_are_left_out_or_refused(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    from studies.trial.preflight.preflight import preflight

    blind = ("launcher=serial", "model._target_=user_hooks.TimeFirst", "n_trials=1")
    with caplog.at_level(logging.WARNING):
        (trial,) = run(make_settings(*blind, study="plain"))
    assert trial.user_attrs[schema.SAMPLES_SEEN] == []
    assert caplog.text.count("samples_seen stays empty") == 1
    (problem,) = preflight(make_settings(*blind, "budget.unit=samples", "budget.amount=200", study="plain"))
    assert (problem.key, problem.complaint.split(",")[0]) == ("budget.unit", "is samples")


@pytest.mark.slow
def test_a_compiled_module_is_searched_and_tested(make_settings: MakeSettings) -> None:
    target = ("launcher=serial", "model._target_=user_hooks.compiled", "objective.test=true")
    settings = make_settings(*target, "n_trials=1", study="plain")
    (trial,) = run(settings)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs[schema.TEST]["n"] == 100
    assert trial.user_attrs[schema.N_PARAMETERS] == 2
    state = torch.load(trial.user_attrs[schema.CHECKPOINT]["path"], weights_only=True)
    assert sorted(state["state_dict"]) == ["line.bias", "line.weight", "unused"]


def test_files_of_checkpoint_callbacks_live_as_long_as_their_trial_is_among_the_best(
    make_settings: MakeSettings,
) -> None:
    kept = f"+callbacks.kept={{_target_: {LIGHTNING}.ModelCheckpoint, filename: kept}}"
    settings = make_settings("launcher=serial", kept, "n_trials=4", study="plain")
    trials = run(settings)
    best = min(trials, key=lambda trial: trial.value).number
    own = list(settings.output_dir.rglob("kept*.ckpt"))
    assert own == [settings.output_dir / "trials" / f"trial-{best}" / "checkpoints" / "kept.ckpt"]
    assert len(files(settings)) == 3, "beside them the state of ours, and whose callbacks they are"


def test_the_report_tells_where_the_best_trial_hands_on_other_weights() -> None:
    distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
    trial = optuna.trial.create_trial(
        value=0.25,
        intermediate_values={1: 0.25, 2: 0.5},
        params={"lr": 0.1},
        distributions={"lr": distribution},
        user_attrs={schema.WEIGHTS_DIFFER: "they were changed", schema.SEED: 1},
    )
    as_trained = optuna.trial.create_trial(value=0.5, intermediate_values={1: 0.5}, user_attrs={schema.SEED: 1})
    told = list(handed_on(Choice(trial, Estimate(0.25, n=1)), metric="val_loss", is_best_rung=True))
    assert "not that of the weights that it handed on: they were changed" in told[0]
    assert "last weights, whose val_loss is 0.5000" in told[1]
    assert not list(handed_on(Choice(as_trained, Estimate(0.5, n=1)), metric="val_loss", is_best_rung=True))


def test_a_searched_rate_that_a_finder_overwrites_is_told(make_settings: MakeSettings) -> None:
    finder = f"+callbacks.f={{_target_: {LIGHTNING}.LearningRateFinder}}"

    def notes(*overrides: str) -> list[str]:
        settings = make_settings(*overrides, study="plain")
        return finder_notes(settings.template, settings.space)

    (note,) = notes(finder)
    assert note.startswith("callbacks.f (LearningRateFinder) overwrites model.lr")
    assert notes(finder, "+callbacks.f.update_attr=false") == []
    assert notes() == []
