"""What a study does with its trials' checkpoints: goes on from them, tells so, keeps the best, deletes the rest."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from trainings import StopsAfter, files, run

from studies import schema
from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.schema import failure_of
from studies.secrets.texts import know
from studies.storage.checkpoints import checkpoint_of, checkpoints_of
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.checkpoints.files import new_checkpoint, sha256_of
from studies.trial.checkpoints.state_file import NotPlain, plain, without_secret_arguments, write
from studies.trial.objective import run_trial
from studies.trial.point_config import PointConfig
from studies.trial.retraining import train_and_test
from studies.worker import WorkerContext, work

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeSettings:
    """One trial of four epochs of ten batches, of which `StopsAfter(27)` leaves the last one and three batches."""
    fixed = ("launcher=serial", "trainer.accelerator=cpu", "search_space=lr_batch_size", "~search_space.batch_size")
    training = ("n_trials=1", "budget.amount=4", "model.network.dropout=0.2")
    return lambda *overrides: make_settings(*fixed, *training, *overrides)


@pytest.fixture
def plain_study(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", *overrides, study="plain")


def kept(trials: list[FrozenTrial]) -> list[Path]:
    return sorted(path for trial in trials if (path := checkpoint_of(trial)) is not None and path.exists())


def whole_value(digits: MakeSettings, *overrides: str) -> FrozenTrial:
    (trial,) = run(digits("study_name=whole", *overrides))
    return trial


def test_a_released_trial_is_gone_on_with_and_its_record_tells_so(digits: MakeSettings) -> None:
    whole = whole_value(digits)
    (released,) = run(digits(), signals=StopsAfter(27))
    assert released.user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGUSR1)"
    record = released.user_attrs[schema.CHECKPOINT]
    assert (record["rung"], record["steps"], record["exact"]) == (2, 27, True)
    assert record["sha256"] == sha256_of(Path(record["path"]))
    assert record["host"]
    _, retry = run(digits())
    assert retry.user_attrs[schema.RESUMED_FROM] == {"trial": 0, "rung": 2, "steps": 27, "exact": True}
    assert schema.RESTARTED not in retry.user_attrs
    assert (retry.state, retry.value) == (TrialState.COMPLETE, whole.value)
    assert retry.intermediate_values == whole.intermediate_values
    for key in (schema.STEPS, schema.SAMPLES_SEEN, schema.CONVERGENCE):
        assert retry.user_attrs[key] == whole.user_attrs[key]


def test_a_training_that_may_not_stop_yet_is_not_taken_for_one_at_its_end(digits: MakeSettings) -> None:
    """Early stopping has asked for the end after the first of at least four epochs; the signal comes in the third."""
    stop = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/accuracy, stopping_threshold: 0.0}"
    patient = ("+trainer.min_epochs=4", f"+callbacks.stop={stop}", "+callbacks.stop.mode=max")
    (released,) = run(digits(*patient), signals=StopsAfter(27))
    assert released.user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGUSR1)"
    assert released.user_attrs[schema.CHECKPOINT]["steps"] == 27
    _, retry = run(digits(*patient))
    assert (retry.state, retry.user_attrs[schema.STEPS]) == (TrialState.COMPLETE, 40)


def test_a_trial_that_dies_before_it_has_saved_anything_leaves_the_checkpoint_that_it_went_on_from(
    digits: MakeSettings, tmp_path: Path
) -> None:
    whole = whole_value(digits)
    run(digits(), signals=StopsAfter(27))
    once = f"+callbacks.once={{_target_: user_callbacks.RaisesOnce, marker: {tmp_path}/raised}}"
    first, second, third = run(digits(once))
    assert failure_of(second) == schema.Failure.ERROR
    assert second.user_attrs[schema.CHECKPOINT] == first.user_attrs[schema.CHECKPOINT]
    assert third.user_attrs[schema.RESUMED_FROM]["trial"] == 1
    assert (third.value, third.intermediate_values) == (whole.value, whole.intermediate_values)


def add_released(settings: StudySettings, study_name: str, trial: FrozenTrial) -> None:
    """A new study whose first trial has the record and the file of `trial`, as it is when its worker has died."""
    record = dict(trial.user_attrs[schema.CHECKPOINT])
    if (path := Path(record["path"])).is_file():
        own = new_checkpoint(path.parent, study_name=study_name, rung=record["rung"], batches=record["steps"])
        record["path"] = str(shutil.copyfile(path, own))
    study = open_study(replace(settings, study_name=study_name), open_storage(settings.storage.address))
    attributes = {**trial.user_attrs, schema.CHECKPOINT: record, schema.FAILURE: "killed"}
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.FAIL, params=trial.params, distributions=trial.distributions, user_attrs=attributes
        )
    )


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "reason"), [(flip, "is damaged"), (truncate, "is damaged"), (Path.unlink, "cannot be read on")]
)
def test_a_checkpoint_that_cannot_be_read_means_from_zero_and_is_told(
    digits: MakeSettings, damage: Callable[[Path], None], reason: str
) -> None:
    whole = whole_value(digits)
    (released,) = run(digits(), signals=StopsAfter(27))
    damage(Path(released.user_attrs[schema.CHECKPOINT]["path"]))
    _, retry = run(digits())
    assert retry.user_attrs[schema.RESTARTED].startswith(f"the checkpoint of trial 0 {reason}")
    assert schema.RESUMED_FROM not in retry.user_attrs
    assert (retry.state, retry.value) == (TrialState.COMPLETE, whole.value)
    assert retry.user_attrs[schema.STEPS] == whole.user_attrs[schema.STEPS]


def test_a_checkpoint_that_does_not_fit_the_module_any_more_means_from_zero_and_is_told(digits: MakeSettings) -> None:
    changed = "model.network.n_layers=2"
    whole = whole_value(digits, changed)
    run(digits(), signals=StopsAfter(27))
    _, retry = run(digits(changed))
    assert "does not fit (RuntimeError: Error(s) in loading state_dict" in retry.user_attrs[schema.RESTARTED]
    assert (retry.state, retry.value) == (TrialState.COMPLETE, whole.value)


def test_a_file_that_runs_code_when_unpickled_is_never_unpickled(digits: MakeSettings, tmp_path: Path) -> None:
    settings = digits()
    (released,) = run(settings, signals=StopsAfter(27))
    evil = new_checkpoint(settings.output_dir / "trials" / "trial-0", study_name="forged", rung=1, batches=10)
    torch.save(Evil(str(tmp_path / "ran")), evil)
    forged = {"path": str(evil), "sha256": sha256_of(evil)}
    released.user_attrs[schema.CHECKPOINT] |= forged
    add_released(settings, "forged", released)
    *_, retry = run(digits("study_name=forged"))
    assert "does not fit (UnpicklingError" in retry.user_attrs[schema.RESTARTED]
    assert retry.state == TrialState.COMPLETE
    assert not (tmp_path / "ran").exists()


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_no_trial_shorter_than_every_s_saves_anything_but_the_best(digits: MakeSettings) -> None:
    settings = digits("n_trials=4", "checkpoint.keep_best=0")
    assert all(schema.CHECKPOINT not in trial.user_attrs for trial in run(settings))
    assert files(settings) == []


@pytest.mark.parametrize("k", [1, 2])
def test_the_best_trials_keep_their_last_state_and_all_others_go(digits: MakeSettings, k: int) -> None:
    settings = digits("n_trials=6", "budget.amount=3", f"checkpoint.keep_best={k}", "checkpoint.every_s=1e-9")
    trials = run(settings)
    best = checkpoints_of(settings).best(trials)
    assert len(best) == k
    assert files(settings) == kept(trials) == sorted(checkpoint_of(trial) for trial in best)
    for trial in best:
        state = torch.load(checkpoint_of(trial), weights_only=True)
        assert state["global_step"] == trial.user_attrs[schema.STEPS]
        assert trial.user_attrs[schema.CHECKPOINT]["rung"] == 3
        assert checkpoints_of(settings).last_state_of(trial) == checkpoint_of(trial)


def test_the_last_state_is_found_where_its_folder_was_moved_to(digits: MakeSettings) -> None:
    settings = digits("n_trials=1", "budget.amount=1", "checkpoint.keep_best=1")
    (trial,) = run(settings)
    moved = settings.output_dir.with_name("moved")
    settings.output_dir.rename(moved)
    assert checkpoints_of(settings).last_state_of(trial) is None
    assert (
        checkpoints_of(replace(settings, output_dir=moved)).last_state_of(trial)
        == moved / "trials" / "trial-0" / checkpoint_of(trial).name
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ("pruner=threshold", "pruner.upper=-1.0", "pruner.n_warmup_steps=2"),
        ("model.behaviour=not_a_number", "model.at=25"),
        ("model.behaviour=raise", "model.at=25", "sampler=grid", "n_trials=null", "max_retries=1"),
    ],
    ids=["pruned", "diverged", "failed for good"],
)
def test_losers_leave_no_file(plain_study: MakeSettings, overrides: tuple[str, ...]) -> None:
    settings = plain_study("budget.amount=4", "checkpoint.every_s=1e-9", "max_failures=99", *overrides)
    trials = run(settings)
    assert all(schema.CHECKPOINT in trial.user_attrs for trial in trials)
    assert all(trial.state != TrialState.COMPLETE for trial in trials)
    assert files(settings) == []


def test_an_error_is_retried_from_the_last_rung(plain_study: MakeSettings, tmp_path: Path) -> None:
    broken = ("model.behaviour=raise", "model.at=25", f"model.marker={tmp_path}/tries", "model.times=2")
    trials = run(plain_study("n_trials=1", "budget.amount=4", "checkpoint.every_s=1e-9", *broken))
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]
    whole = run(plain_study("n_trials=1", "budget.amount=4", "study_name=whole"))
    assert [trial.user_attrs.get(schema.RESUMED_FROM) for trial in trials] == [
        None,
        {"trial": 0, "rung": 2, "steps": 20, "exact": True},
        {"trial": 1, "rung": 2, "steps": 20, "exact": True},
    ]
    assert trials[-1].value == whole[0].value


EARLY = "monitor: val/loss, patience: 1, min_delta: 99"


@pytest.mark.parametrize(
    "overrides",
    [
        (f"+callbacks.stops={{_target_: pytorch_lightning.callbacks.EarlyStopping, {EARLY}}}",),
        ("budget.unit=samples", "budget.amount=3000"),
    ],
    ids=["stopped early", "samples"],
)
def test_a_last_state_that_was_saved_but_never_told_leads_to_the_same_result(
    digits: MakeSettings, overrides: tuple[str, ...]
) -> None:
    """A worker may die between the two; neither Lightning's epochs nor its steps then say that nothing is left."""
    settings = digits(*overrides)
    (whole,) = run(settings)
    add_released(settings, "died", whole)
    *_, retry = run(digits("study_name=died", *overrides))
    assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == 0
    assert (retry.value, retry.intermediate_values) == (whole.value, whole.intermediate_values)
    assert retry.user_attrs[schema.STEPS] == whole.user_attrs[schema.STEPS]


def test_the_sweep_deletes_orphans_and_nothing_that_is_needed_or_not_ours(digits: MakeSettings) -> None:
    settings = digits("n_trials=3", "budget.amount=2")
    trials = run(settings)
    best = checkpoint_of(checkpoints_of(settings).best(trials)[0])
    assert best is not None
    loser = next(t.number for t in trials if t.number != checkpoints_of(settings).best(trials)[0].number)
    folder = settings.output_dir / "trials" / f"trial-{loser}"
    folder.mkdir(exist_ok=True)
    orphans = [folder / best.name, folder / f"{best.name}.tmp"]
    foreign = [folder / "rung-1-batch-1-00000000.ckpt", folder / "notes.txt", folder / "last.ckpt"]
    unknown = [settings.output_dir / "trials" / "trial-99" / best.name, settings.output_dir / "trials" / best.name]
    old = folder / best.name.replace(".ckpt", "-2.ckpt")
    unknown[0].parent.mkdir()
    for path in (*orphans, *foreign, *unknown, old):
        path.write_text("x")
    os.utime(old, (0, 0))
    checkpoints_of(settings).sweep(trials)
    assert not any(path.exists() for path in orphans)
    assert all(path.exists() for path in (best, *foreign, *unknown, old))


def test_the_sweep_knows_a_needed_file_under_another_path_too(digits: MakeSettings, tmp_path: Path) -> None:
    """Two machines may see one shared folder in two places."""
    settings = digits("budget.amount=2")
    (best,) = run(settings)
    (tmp_path / "elsewhere").symlink_to(settings.output_dir)
    checkpoints_of(replace(settings, output_dir=tmp_path / "elsewhere")).sweep([best])
    assert len(kept([best])) == 1


def test_two_sweeps_at_the_same_moment_get_in_no_one_s_way(digits: MakeSettings) -> None:
    """One lists a folder that the other removes; and one meets a link that leads in a circle."""
    settings = digits("budget.amount=2", "checkpoint.keep_best=0")
    (trial,) = run(settings)
    folder = settings.output_dir / "trials" / f"trial-{trial.number}"
    stem = new_checkpoint(folder, study_name="digits", rung=1, batches=1).name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.tmp").symlink_to(folder / f"{stem}.tmp")
    (folder / stem).write_text("x")
    checkpoints_of(settings).sweep([trial])
    assert [path.name for path in folder.iterdir()] == [f"{stem}.tmp"]
    (folder / f"{stem}.tmp").unlink()
    for _ in range(20):
        for i in range(30):
            (folder / stem.replace(".ckpt", f"-{i}.ckpt")).write_text("x")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: checkpoints_of(settings).sweep([trial]), range(8)))
        assert not folder.exists()
        folder.mkdir()


def test_the_sweep_leaves_running_trials_alone(digits: MakeSettings) -> None:
    settings = digits("budget.amount=2")
    (best,) = run(settings)
    study = optuna.load_study(study_name="digits", storage=open_storage(settings.storage.address))
    running = study.ask()
    path = checkpoint_of(best)
    assert path is not None
    aside = settings.output_dir / "trials" / f"trial-{running.number}" / f"{path.name}.tmp"
    aside.parent.mkdir()
    aside.write_text("being written")
    checkpoints_of(settings).sweep(study.trials)
    assert aside.exists()
    study.tell(running, state=TrialState.FAIL)
    checkpoints_of(settings).sweep(study.trials)
    assert not aside.parent.exists()


@contextmanager
def no_file_larger_than(n_bytes: int) -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_trial_whose_checkpoint_cannot_be_written_is_released_all_the_same(
    plain_study: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = plain_study("n_trials=1", "+model.n_weights=500000", "storage.url=memory")
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    with no_file_larger_than(1_000_000):
        work(
            storage,
            context=WorkerContext(settings, "here", Deadline(datetime.now()), StopsAfter(5)),
            run_trial=run_trial,
        )
    (trial,) = study.trials
    assert trial.user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGUSR1)"
    assert schema.CHECKPOINT not in trial.user_attrs
    assert "no checkpoint was saved: " in caplog.text
    assert "File too large" in caplog.text
    assert files(settings) == []


def test_a_state_that_cannot_be_read_back_safely_is_not_saved_and_the_part_is_named(
    digits: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    (trial,) = run(digits("+callbacks.keeps={_target_: user_callbacks.KeepsAnObject}"))
    assert trial.state == TrialState.COMPLETE
    assert schema.CHECKPOINT not in trial.user_attrs
    assert "no checkpoint was saved: its part 'callbacks' holds more than tensors and plain values" in caplog.text


def test_hyperparameters_that_cannot_be_read_back_are_left_out() -> None:
    state = {"state_dict": {"w": torch.ones(2)}, "hyper_parameters": {"network": torch.nn.Linear(1, 1)}}
    assert set(plain(state)) == {"state_dict"}
    assert set(plain({**state, "hyper_parameters": {"width": 3}})) == {"state_dict", "hyper_parameters"}
    with pytest.raises(NotPlain, match="its part 'mine' holds more than tensors and plain values"):
        plain({**state, "mine": Path()})


GIVEN = {"hf_token": "abc-secret", "hosts": [{"password": "p-secret"}], "width": 3, "as": "the environment-secret"}


@pytest.mark.parametrize("make", [dict, OmegaConf.create])
def test_the_secrets_among_hyperparameters_are_masked(make: Callable[[dict[str, Any]], Any]) -> None:
    know(["the environment-secret"])
    state = {"hyper_parameters": make(GIVEN), "datamodule_hyper_parameters": {"api_keys": ("k-secret",)}, "epoch": 1}
    kept = without_secret_arguments(state)
    masked_ones = {"hf_token": "***", "hosts": [{"password": "***"}], "width": 3, "as": "***"}
    assert kept == {"hyper_parameters": masked_ones, "datamodule_hyper_parameters": {"api_keys": ("***",)}, "epoch": 1}
    assert state["hyper_parameters"] == GIVEN
    assert type(kept["hyper_parameters"]) is type(state["hyper_parameters"])


def test_no_checkpoint_of_a_trial_or_of_a_retraining_holds_a_token(plain_study: MakeSettings, tmp_path: Path) -> None:
    logs_in = ("model._target_=user_modules.LogsIn", "+model.hf_token=abc-secret", "+model.width=3")
    settings = plain_study(*logs_in, "n_trials=1", "budget.amount=1")
    (trial,) = run(settings)
    config = PointConfig(settings, trial.params).resolved()
    tested = train_and_test({**config, "training_seed": 0}, budget=settings.budget, folder=tmp_path / "again")
    written = [*files(settings), tested.checkpoint]
    assert len(written) == 2
    for path in written:
        assert torch.load(path, weights_only=True)["hyper_parameters"] == {"hf_token": "***", "width": 3}
        assert b"secret" not in path.read_bytes()


def test_an_interrupted_write_leaves_neither_a_broken_file_nor_a_rest(tmp_path: Path) -> None:
    with no_file_larger_than(10_000), pytest.raises(OSError, match="File too large"):
        write({"w": torch.ones(10_000)}, tmp_path / "a.ckpt")
    assert list(tmp_path.iterdir()) == []
