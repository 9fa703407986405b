"""A study is described once, whoever else makes it at the same moment."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import pytest
from composing import composed
from optuna.storages import InMemoryStorage
from shell import PLAIN, Shell

from studies import schema
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import StudyChanged
from studies.storage import creation
from studies.storage.creation import open_study
from studies.storage.lease import worker_id
from studies.storage.opening import open_storage

ROUNDS = 10
ELSEWHERE = "another-machine:0:0:1"
NEW = [f"new-{number}" for number in range(ROUNDS)]
FORLORN = [f"forlorn-{number}" for number in range(3)]  # begun by a command that has died


def settings_of(url: str, name: str, budget: int) -> StudySettings:
    where = (f"storage.url='{url}'", f"study_name={name}", "output_dir=/nowhere")
    return parse_settings(composed("+study=digits", f"budget.amount={budget}", *where))


def budget_of(study: optuna.Study) -> tuple[object, object]:
    """The budget in each of two attributes that are written one after the other."""
    attributes = study.user_attrs
    return attributes[schema.STUDY_BUDGET]["amount"], json.loads(attributes[schema.STUDY_IDENTITY])["budget.amount"]


def begin(url: str, budget: int, barrier: Barrier, answers: Queue[tuple[str, int, bool]]) -> None:
    storage = open_storage(url)
    settings = settings_of(url, "any", budget)
    for name in NEW + FORLORN:
        settings = replace(settings, study_name=name)
        barrier.wait()
        try:
            open_study(settings, storage)
        except StudyChanged:
            answers.put((name, budget, False))
        else:
            answers.put((name, budget, True))
        barrier.wait()


def test_of_two_commands_that_begin_a_study_differently_one_is_refused(tmp_path: Path) -> None:
    url, context = f"sqlite:///{tmp_path}/s.db", multiprocessing.get_context("forkserver")
    storage = open_storage(url)
    for name in FORLORN:
        optuna.create_study(study_name=name, storage=storage).set_user_attr(schema.STUDY_CREATOR, dead_creator())
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=begin, args=(url, budget, barrier, answers)) for budget in (3, 4)]
    for process in processes:
        process.start()
    told = [answers.get(timeout=120) for _ in range(2 * len(NEW + FORLORN))]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for name in NEW + FORLORN:
        (winner,) = [budget for of, budget, is_in in told if of == name and is_in]
        study = optuna.load_study(study_name=name, storage=storage)
        assert budget_of(study) == (winner, winner)


def dead_creator() -> str:
    """The name of a process of this machine that has ended."""
    process = multiprocessing.get_context("forkserver").Process(target=int)
    process.start()
    process.join()
    return f"{worker_id().rpartition(':')[0]}:{process.pid}"


def test_a_creator_that_died_before_the_fingerprint_is_replaced(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    storage = open_storage(url)
    half = optuna.create_study(study_name="half", storage=storage)
    half.set_user_attr(schema.STUDY_CREATOR, dead_creator())
    half.set_user_attr(schema.STUDY_BUDGET, {"unit": "epochs", "amount": 9, "rungs": 9})
    study = open_study(settings_of(url, "half", 3), storage)
    assert budget_of(study) == (3, 3)
    assert study.user_attrs[schema.STUDY_CREATOR] == worker_id()


def test_a_study_that_a_living_command_has_described_is_not_described_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    storage = open_storage(url)
    study = open_study(settings_of(url, "theirs", 3), storage)
    for key in (schema.STUDY_CREATOR, schema.STUDY_DESCRIBER):
        study.set_user_attr(key, ELSEWHERE)
    with pytest.raises(StudyChanged, match=r"budget.amount is 4 but 3 in the stored study"):
        open_study(settings_of(url, "theirs", 4), storage)
    assert budget_of(study) == (3, 3)


class HeldUp(InMemoryStorage):
    """Another command describes the study as `theirs`, once this one has written the attribute `at`."""

    theirs: Mapping[str, Any] | None = None
    at = schema.STUDY_SCHEMA
    has_trials = False

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_user_attr(study_id, key, value)
        if self.theirs is not None and key == self.at:
            theirs, self.theirs = self.theirs, None
            for name, words in theirs.items():
                super().set_study_user_attr(study_id, name, words)
            if self.has_trials:
                self.create_new_trial(study_id)


def described_elsewhere(budget: int) -> dict[str, Any]:
    """The attributes of a study that another machine has described."""
    attributes = open_study(settings_of("sqlite:///any.db", "held", budget), InMemoryStorage()).user_attrs
    return {**attributes, schema.STUDY_CREATOR: ELSEWHERE, schema.STUDY_DESCRIBER: ELSEWHERE}


def test_a_creator_that_was_held_up_for_too_long_is_refused_by_whoever_took_its_place() -> None:
    storage = HeldUp()
    storage.theirs = theirs = described_elsewhere(4)
    with pytest.raises(StudyChanged, match=r"budget.amount is 3 but 4 in the stored study"):
        open_study(settings_of("sqlite:///any.db", "held", 3), storage)
    assert optuna.load_study(study_name="held", storage=storage).user_attrs == theirs


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for, without the waiting."""
    waited: list[float] = []
    monkeypatch.setattr(creation, "CREATOR_S", 0.5)
    return waited


def half_made(storage: InMemoryStorage) -> None:
    """A study whose creator has died before it described it."""
    optuna.create_study(study_name="held", storage=storage).set_user_attr(schema.STUDY_CREATOR, dead_creator())


@pytest.mark.parametrize("has_trials", [False, True])
def test_of_two_that_take_over_the_last_one_to_write_its_name_describes_the_study(
    pauses: list[float], has_trials: bool
) -> None:
    """The other one writes its name right after ours, and is done while we wait. It may have begun trials."""
    storage = HeldUp()
    half_made(storage)
    storage.theirs, storage.at, storage.has_trials = (theirs := described_elsewhere(4)), "creator", has_trials
    with pytest.raises(StudyChanged, match=r"budget.amount is 3 but 4 in the stored study"):
        open_study(settings_of("sqlite:///any.db", "held", 3), storage, pause=pauses.append)
    assert optuna.load_study(study_name="held", storage=storage).user_attrs == theirs
    assert creation.SETTLE_S in pauses


def test_a_name_that_is_written_too_late_leaves_a_study_that_has_begun_to_whom_it_belongs(pauses: list[float]) -> None:
    storage = HeldUp()
    half_made(storage)
    theirs = described_elsewhere(4)
    storage.theirs, storage.at, storage.has_trials = {**theirs, "creator": worker_id()}, "creator", True
    with pytest.raises(StudyChanged, match=r"budget.amount is 3 but 4 in the stored study"):
        open_study(settings_of("sqlite:///any.db", "held", 3), storage, pause=pauses.append)
    assert optuna.load_study(study_name="held", storage=storage).user_attrs == theirs


def test_a_description_by_whoever_was_overruled_is_not_joined(pauses: list[float]) -> None:
    """Its fingerprint is there, but another command has written its name since and describes the study next."""
    storage = InMemoryStorage()
    study = optuna.create_study(study_name="held", storage=storage)
    for key, value in {**described_elsewhere(3), "creator": "a-third-machine:0:0:1"}.items():
        study.set_user_attr(key, value)

    def pause(seconds: float) -> bool:
        for key, value in {**described_elsewhere(4), "creator": ELSEWHERE}.items():
            study.set_user_attr(key, value)
        return bool(pauses.append(seconds))

    with pytest.raises(StudyChanged, match=r"budget.amount is 3 but 4 in the stored study"):
        open_study(settings_of("sqlite:///any.db", "held", 3), storage, pause=pause)
    assert pauses[:1] == [creation.POLL_S]


def test_an_unknown_creator_is_waited_for_so_long_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "CREATOR_S", 0.5)
    url = f"sqlite:///{tmp_path}/s.db"
    storage = open_storage(url)
    optuna.create_study(study_name="half", storage=storage)
    assert budget_of(open_study(settings_of(url, "half", 3), storage)) == (3, 3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_as_two_people_start_one_study_with_different_budgets(shell: Shell) -> None:
    for number in range(20):
        shared = (*PLAIN, f"study_name=race-{number}", "n_trials=2", "workers=1")
        commands = [shell.start("run", *shared, f"budget.amount={amount}") for amount in (1, 2)]
        outputs = [command.communicate(timeout=200)[0] for command in commands]
        assert sorted(command.returncode for command in commands) == [0, 2], outputs
        (refused,) = [output for command, output in zip(commands, outputs, strict=True) if command.returncode == 2]
        assert "budget.amount is" in refused
        assert "Traceback" not in refused
        (winner,) = [amount for amount, command in zip((1, 2), commands, strict=True) if command.returncode == 0]
        assert {max(trial.intermediate_values) for trial in shell.trials(f"race-{number}")} == {winner}
