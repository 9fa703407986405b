"""Paths out of a storage, a checkpoint or a file of a person: they count in the study's own output folder alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import FrozenTrial, TrialState, create_trial
from trainings import StopsAfter, run

from studies import schema
from studies.cli.retraining import make_folder
from studies.cli.validation import validate_and_open
from studies.config.composing.configs import compose
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.selection.chosen import selected
from studies.selection.steps import Selection, next_step, reader
from studies.storage.checkpoints import checkpoint_of, checkpoints_of
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.checkpoints.files import (
    claim_own,
    new_checkpoint,
    own_checkpoints,
    sha256_of,
    trial_folder,
    trials_folder,
)
from studies.trial.checkpoints.state_file import write
from studies.trial.loggers.kinds import own_run
from studies.trial.loggers.tracked_run import TrackedRun

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]


def loser_of(trials: list[FrozenTrial], settings: StudySettings) -> FrozenTrial:
    best = checkpoints_of(settings).best(trials)
    return next(trial for trial in trials if trial not in best)


def planted(folder: Path, settings: StudySettings) -> list[Path]:
    """A checkpoint of ours that no trial needs, and one that a callback of the trial wrote, in a trial's folder."""
    orphan = new_checkpoint(folder, study_name=settings.study_name, rung=9, batches=9)
    own = own_checkpoints(folder) / "kept.ckpt"
    claim_own(folder, study_name=settings.study_name)
    own.parent.mkdir(exist_ok=True)
    for path in (orphan, own):
        path.write_text("x")
    return [orphan, own]


def tidied(settings: StudySettings, trials: list[FrozenTrial]) -> None:
    """Both ways of tidying up, `trials` being told to have lasted from long ago until now."""
    for trial in trials:
        trial.datetime_start, trial.datetime_complete = datetime(2000, 1, 1), datetime.now() + timedelta(hours=1)
    checkpoints_of(settings).discard_useless(trials)
    checkpoints_of(settings).sweep(trials)


@pytest.mark.parametrize("linked", [None, "trials", "trials/trial-{}", "trials/trial-{}/checkpoints"])
def test_nothing_behind_a_link_that_leads_out_of_the_output_folder_is_deleted(
    plain: MakeSettings, tmp_path: Path, linked: str | None
) -> None:
    settings = plain("n_trials=2")
    trials = run(settings)
    loser = loser_of(trials, settings).number
    files = planted(trial_folder(settings.output_dir, loser), settings)
    if linked is not None:
        place = settings.output_dir / linked.format(loser)
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    tidied(settings, trials)
    behind = [path for path in files if (tmp_path / "elsewhere").is_dir() and "elsewhere" in str(path.resolve())]
    assert [path for path in files if path.exists()] == behind
    assert len(behind) == {None: 0, "trials/trial-{}/checkpoints": 1}.get(linked, 2)


def retried(settings: StudySettings, released: FrozenTrial, record: dict[str, Any]) -> FrozenTrial:
    """Run the retry of a trial with that record, in a study of its own."""
    other = replace(settings, study_name="forged")
    attributes = {**released.user_attrs, schema.CHECKPOINT: record}
    point: dict[str, Any] = {"params": released.params, "distributions": released.distributions}
    added = create_trial(state=TrialState.FAIL, user_attrs=attributes, **point)
    open_study(other, open_storage(settings.storage.address)).add_trial(added)
    return run(other)[-1]


def as_fifo(path: Path, _whole: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path, _whole: Path) -> None:
    path.mkdir()


def as_link(path: Path, whole: Path) -> None:
    path.symlink_to(whole)


@pytest.mark.parametrize("make", [as_fifo, as_folder, as_link])
def test_what_only_has_the_name_of_a_checkpoint_is_neither_read_nor_deleted(
    plain: MakeSettings, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    settings = plain("n_trials=1", "budget.amount=4")
    (released,) = run(settings, signals=StopsAfter(17))
    path = checkpoint_of(released)
    assert path is not None
    path.rename(tmp_path / "whole.ckpt")
    make(path, tmp_path / "whole.ckpt")
    _, retry = run(settings)
    assert retry.state == TrialState.COMPLETE
    assert "cannot be read on" in retry.user_attrs[schema.RESTARTED]
    checkpoints_of(settings).sweep([released, retry])
    assert os.path.lexists(path)
    assert (tmp_path / "whole.ckpt").exists()


def test_a_record_that_names_any_other_file_is_not_the_best_model(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain("n_trials=1")
    (trial,) = run(settings)
    own = checkpoint_of(trial)
    assert own is not None
    away = tmp_path / own.name
    away.write_bytes(own.read_bytes())
    beside = own.with_name("model.ckpt")
    beside.write_bytes(own.read_bytes())
    assert checkpoints_of(settings).last_state_of(trial) == own
    another = new_checkpoint(own.parent, study_name="another", rung=1, batches=1)
    another.write_bytes(own.read_bytes())
    for forged in (
        str(another),
        "/etc/passwd",
        str(away),
        str(beside),
        f"{own}/../../../../etc/passwd",
        "",
        "\0",
        f"{own}.tmp",
    ):
        trial.user_attrs[schema.CHECKPOINT]["path"] = forged
        assert checkpoints_of(settings).last_state_of(trial) is None


def test_a_storage_that_was_moved_with_its_output_folder_finds_its_checkpoints(
    plain: MakeSettings, tmp_path: Path
) -> None:
    asked = ("n_trials=1", "budget.amount=4")
    settings = plain(*asked)
    (released,) = run(settings, signals=StopsAfter(17))
    settings.output_dir.rename(tmp_path / "scratch")
    (tmp_path / "moved").symlink_to(tmp_path / "scratch")
    _, retry = run(plain(*asked, f"output_dir={tmp_path}/moved"))
    assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == released.number
    assert retry.user_attrs[schema.STEPS] == 40
    (left,) = (tmp_path / "scratch" / "trials").glob("*/*.ckpt")
    found = checkpoints_of(replace(settings, output_dir=tmp_path / "moved")).last_state_of(retry)
    assert found is not None
    assert found.samefile(left)


def test_the_model_of_a_selection_is_found_where_its_folder_was_moved_to(plain: MakeSettings, tmp_path: Path) -> None:
    race = ("select=race", "select.k=2", "select.seeds=3", "select.estimate_seeds=2", "n_trials=2", "budget.amount=1")
    settings = plain(*race)
    storage = open_storage(settings.storage.address)
    trials = run(settings, storage=storage)
    while not isinstance(step := next_step(settings, trials, reader(storage)), Selection):
        assert step is not None
        run(step, storage=storage)
    settings.output_dir.rename(tmp_path / "moved")
    moved = plain(*race, f"output_dir={tmp_path}/moved")
    found = next_step(moved, trials, reader(storage))
    assert isinstance(found, Selection)
    told = selected(moved, found)
    assert told is not None
    assert Path(told["checkpoint"]).is_relative_to(tmp_path / "moved" / "select")
    assert Path(told["checkpoint"]).is_file()


def test_a_trial_whose_folder_is_a_link_writes_nothing_and_the_next_one_takes_its_place(
    plain: MakeSettings, tmp_path: Path
) -> None:
    settings = plain("n_trials=1")
    (tmp_path / "elsewhere").mkdir()
    trials_folder(settings.output_dir).mkdir(parents=True)
    trial_folder(settings.output_dir, 0).symlink_to(tmp_path / "elsewhere")
    failed, retry = run(settings)
    assert "leads to" in failed.user_attrs[schema.FAILURE_MESSAGE]
    assert retry.state == TrialState.COMPLETE
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["trials", "logs", "figures", "select"])
def test_a_folder_of_the_output_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(tmp_path)
    places = (f"output_dir={tmp_path}/out", f"storage.url=sqlite:///{tmp_path}/studies.db")
    with pytest.raises(BadInput, match=rf"output_dir is .*/out, whose folder {name} leads to .*: remove the link"):
        validate_and_open(compose(["+study=digits", *places]))


def test_a_checkpoint_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "a.ckpt.tmp").symlink_to(tmp_path / "victim")
    write({"w": torch.ones(2)}, tmp_path / "a.ckpt")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "a.ckpt").is_symlink()


def test_a_checkpoint_callback_deletes_no_file_that_a_checkpoint_names(plain: MakeSettings, tmp_path: Path) -> None:
    """Lightning's callback takes what it has restored for its own, and asks only how the path begins."""
    kept = "{_target_: pytorch_lightning.callbacks.ModelCheckpoint, monitor: val_loss, filename: kept}"
    settings = plain("n_trials=1", "budget.amount=4", f"+callbacks.kept={kept}")
    (released,) = run(settings, signals=StopsAfter(17))
    path, victim = checkpoint_of(released), tmp_path / "victim.ckpt"
    assert path is not None
    victim.write_text("precious")
    path = path.rename(new_checkpoint(path.parent, study_name="forged", rung=1, batches=17))
    state = torch.load(path, weights_only=True)
    (own,) = [entry for entry in state["callbacks"].values() if "best_k_models" in entry]
    own["dirpath"] = str(own_checkpoints(trial_folder(settings.output_dir, 1)))
    own["kth_best_model_path"] = forged = f"{own['dirpath']}/../../../../victim.ckpt"
    own["best_k_models"], own["kth_value"] = {forged: torch.tensor(1e9)}, torch.tensor(1e9)
    Path(own["dirpath"]).mkdir(parents=True)
    torch.save(state, path)
    record = {**released.user_attrs[schema.CHECKPOINT], "sha256": sha256_of(path), "path": str(path)}
    retry = retried(settings, released, record)
    assert retry.user_attrs[schema.RESUMED_FROM]["trial"] == 0
    assert victim.read_text() == "precious"


def test_the_claim_of_a_folder_makes_no_file_elsewhere(tmp_path: Path) -> None:
    folder, victim = tmp_path / "trial-0", tmp_path / "victim"
    claim_own(folder, study_name="plain")
    (claim,) = folder.iterdir()
    claim_own(folder, study_name="plain")  # again, as a retry of a trial does
    claim.unlink()
    claim.symlink_to(victim)
    claim_own(folder, study_name="plain")
    assert not victim.exists()


def test_of_two_studies_whose_callbacks_wrote_into_one_folder_neither_deletes(plain: MakeSettings) -> None:
    settings = plain("n_trials=2")
    trials = run(settings)
    folder = trial_folder(settings.output_dir, loser_of(trials, settings).number)
    _, own = planted(folder, settings)
    claim_own(folder, study_name="another")
    tidied(settings, trials)
    assert own.exists()


def test_what_the_study_wrote_from_which_a_trial_was_imported_is_left_alone(plain: MakeSettings) -> None:
    settings = plain("n_trials=2")
    trials = run(settings)
    _, own = planted(trial_folder(settings.output_dir, loser_of(trials, settings).number), settings)
    for trial in trials:
        trial.user_attrs[schema.IMPORTED_FROM] = {"study": "another", "trial": trial.number}
    tidied(settings, trials)
    assert own.exists()


@pytest.mark.parametrize("trial", ["../../../x", -1, 1.0, True, None, [1], "7", 10**400, {"a": 1}])
def test_a_file_whose_trial_is_no_number_is_one_mistake(tmp_path: Path, trial: Any) -> None:
    with pytest.raises(BadInput) as caught:
        make_folder({"trial": trial}, tmp_path / "study", key="config")
    assert [problem.key for problem in caught.value.problems] == ["trial"]
    assert len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "linked", ["retrain", "retrain/trial-7", "retrain/trial-7/model.part", "retrain/trial-7/checkpoints"]
)
def test_a_retraining_writes_through_no_link(tmp_path: Path, linked: str) -> None:
    study = tmp_path / "study"
    (study / linked).parent.mkdir(parents=True)
    (study / linked).symlink_to(tmp_path)
    with pytest.raises(BadInput, match=r"config has .* beside it, which a link leads to .*: remove the link"):
        make_folder({"trial": 7}, study, key="config")
    (study / linked).unlink()
    assert make_folder({"trial": 7}, study, key="config").is_dir()


def test_a_folder_that_cannot_be_made_is_one_mistake(tmp_path: Path) -> None:
    (tmp_path / "retrain").write_text("no folder")
    with pytest.raises(BadInput, match=r"config needs .*, which cannot be made"):
        make_folder({}, tmp_path, key="config")


def test_no_name_of_a_study_leads_a_logger_out_of_its_folder(tmp_path: Path) -> None:
    node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(tmp_path / "csv")}
    run_ = TrackedRun("../../x", "trial-0")
    given = own_run(node, run_, claims=True)
    assert (tmp_path / "csv" / given["name"] / given["version"]).resolve() == tmp_path / "csv" / "x" / "trial-0"
    other = own_run({**node, "name": "mine"}, run_, claims=False)
    assert ".." not in other["version"].split("/")
