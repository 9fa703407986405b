"""A question by the commands as a person types them: from the report's line to the designed study's own report."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections import Counter

import pytest
from optuna.trial import TrialState
from shell import InProcess, Shell

SEARCH = ("+study=digits", "n_trials=12", "budget.amount=1", "sampler=random", "pruner=none", "workers=2")
SPACE = (
    "~search_space.width",
    "~search_space.dropout",
    "search_space.lr.levels=3",
    "+search_space.batch_size.levels=2",
)


def cells(shell: Shell, study: str) -> Counter[tuple[object, ...]]:
    done = [trial for trial in shell.trials(study) if trial.state == TrialState.COMPLETE]
    return Counter(tuple(sorted(trial.params.items())) for trial in done)


@pytest.mark.slow
def test_the_line_of_a_report_answers_its_question(shell: Shell) -> None:
    output = shell.run("run", *SEARCH, *SPACE)
    told = re.search(
        r"lr × batch_size: whether they interact is open\. .* (\d+) trainings, about .*: (python .*)", output
    )
    assert told, output
    command = shlex.split(told[2])[3:]
    assert command[-1] == "question=[lr,batch_size]"
    running = shell.start("run", *command)
    shell.wait_for("digits-lr-batch_size", lambda trials: any(t.state == TrialState.COMPLETE for t in trials))
    os.kill(running.pid, signal.SIGINT)
    begun, _ = running.communicate(timeout=120)
    assert "question to study digits: lr × batch_size" in begun
    assert "pinned to trial " in begun
    assert f"cost: {told[1]} trainings, about " in begun
    file = shell.folder / "outputs/digits/question.yaml"
    text = file.read_text()
    shell.run("run", *SEARCH[:1], "n_trials=14", *SEARCH[2:], *SPACE)  # the search goes on, the design does not
    output = shell.run("run", *command)
    assert "more are finished)" in output
    assert file.read_text() == text
    assert "study digits-lr-batch_size is finished" in shell.run("run", "outputs/digits/question.yaml")
    n_cells = 3 * 2
    found = cells(shell, "digits-lr-batch_size")
    assert len(found) == n_cells
    assert set(found.values()) == {int(told[1]) // n_cells}
    report = (shell.folder / "outputs/digits-lr-batch_size/report.md").read_text()
    assert "### Analysis of variance" in report
    assert "lr × batch_size" in report.partition("### Analysis of variance")[2]
    assert "Pairs left open" not in report
    assert "outputs/digits/question.yaml has a search_space of its own" in report  # the next round copies this file


@pytest.mark.slow
def test_a_wrong_question_is_one_error_and_help_shows_a_right_one(in_process: InProcess) -> None:
    output = in_process.run("run", "+study=digits", "question=[lr,batchsize]", code=2)
    assert "question names batchsize, which is no parameter of the search: did you mean batch_size?" in output
    output = in_process.run("run", "+study=digits", "question=[lr]", "n_trils=3", code=2)
    assert "n_trils is not a key" in output
    assert "studies.run answers" not in output
    assert "python -m studies.run mnist 'question=[lr,batch_size]'" in in_process.run("run", "--help")
