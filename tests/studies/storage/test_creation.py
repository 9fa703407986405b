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
from optuna.storages import InMemoryStorage
from shell import PLAIN, Shell

from studies import schema
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import StudyChanged
from studies.storage import creation
from studies.storage.creation import open_study
from studies.storage.lease import worker_id
from studies.storage.opening import open_storage

ROUNDS = 10
NEW = [f"new-{number}" for number in range(ROUNDS)]
FORLORN = [f"forlorn-{number}" for number in range(3)]  # begun by a command that has died


def settings_of(url: str, name: str, budget: int) -> StudySettings:
    where = (f"storage.url='{url}'", f"study_name={name}", "output_dir=/nowhere")
    return parse_settings(compose(["+study=digits", f"budget.amount={budget}", *where]))


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
    study.set_user_attr(schema.STUDY_CREATOR, "another-machine:0:0:1")
    with pytest.raises(StudyChanged, match=r"budget.amount is 4 but 3 in the stored study"):
        open_study(settings_of(url, "theirs", 4), storage)
    assert budget_of(study) == (3, 3)


class HeldUp(InMemoryStorage):
    """Another command describes the study as `theirs`, while the creator has written its second attribute."""

    theirs: Mapping[str, Any] | None = None

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_user_attr(study_id, key, value)
        if self.theirs is not None and key == schema.STUDY_SCHEMA:
            for name, words in {**self.theirs, schema.STUDY_CREATOR: "another-machine:0:0:1"}.items():
                super().set_study_user_attr(study_id, name, words)


def test_a_creator_that_was_held_up_for_too_long_is_refused_by_whoever_took_its_place() -> None:
    storage = HeldUp()
    theirs = open_study(settings_of("sqlite:///any.db", "held", 4), InMemoryStorage())
    storage.theirs = theirs.user_attrs
    with pytest.raises(StudyChanged, match=r"budget.amount is 3 but 4 in the stored study"):
        open_study(settings_of("sqlite:///any.db", "held", 3), storage)
    found = optuna.load_study(study_name="held", storage=storage).user_attrs
    assert {**found, schema.STUDY_CREATOR: theirs.user_attrs[schema.STUDY_CREATOR]} == theirs.user_attrs


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
    for number in range(ROUNDS):
        shared = (*PLAIN, f"study_name=race-{number}", "n_trials=2", "workers=1")
        commands = [shell.start("run", *shared, f"budget.amount={amount}") for amount in (1, 2)]
        outputs = [command.communicate(timeout=200)[0] for command in commands]
        assert sorted(command.returncode for command in commands) == [0, 2], outputs
        (refused,) = [output for command, output in zip(commands, outputs, strict=True) if command.returncode == 2]
        assert "budget.amount is" in refused
        assert "Traceback" not in refused
        (winner,) = [amount for amount, command in zip((1, 2), commands, strict=True) if command.returncode == 0]
        assert {max(trial.intermediate_values) for trial in shell.trials(f"race-{number}")} == {winner}
