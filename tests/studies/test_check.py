"""A check ends in time, and tells what it found and what it left out."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import PLAIN, Shell

from studies.cli.commands.check import diverged_notes, raise_problems, tried_lines
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem
from studies.launch.preflight.check import check_in_time
from studies.launch.preflight.findings import Checked, Found, Plan
from studies.trial.preflight.dry_run import DryRun

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")
MakeSettings = Callable[..., StudySettings]
POINT = {"lr": 0.01}
HANGS = "model._target_=user_schedules.Hangs"  # for an hour, in its first batch


def plan(settings: StudySettings, n_corners: int = 2, *, seconds: float | None = None) -> Plan:
    until = None if seconds is None else time.monotonic() + seconds
    return Plan(settings, corners=(POINT,) * n_corners, typical=(POINT,), until=until)


def check(settings: StudySettings, folder: Path, *, seconds: float | None = None) -> Checked:
    return check_in_time(plan(settings, seconds=seconds), log=folder / "check.log", tell=print)


def tried(settings: StudySettings, checked: Checked, *, n_corners: int = 2) -> list[str]:
    return tried_lines(checked, plan(settings, n_corners), study_name=settings.study_name, max_s=settings.check.max_s)


def test_all_points_are_tried_where_there_is_time(plain: MakeSettings, tmp_path: Path) -> None:
    checked = check(plain(), tmp_path)
    assert len(checked.dry_runs) == plan(plain()).n_points == 4
    assert checked.seconds == [checked.typical[0].seconds]
    assert tried(plain(), checked) == ["study plain is sound: 4 points tried with real batches"]


@pytest.mark.timeout(60, method="thread")  # a limit by the alarm would cut it off too
def test_a_batch_that_never_ends_is_cut_off(plain: MakeSettings, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    settings = plain(HANGS, "check.max_s=1")
    checked = check(settings, tmp_path, seconds=1.0)
    assert checked == Checked(gpus=checked.gpus)
    assert signal.getsignal(signal.SIGALRM) is handler
    first, second = tried(settings, checked)
    assert first == "study plain: nothing could be tried to its end before check.max_s=1 s were over"
    assert "raise check.max_s" in second


def test_what_was_left_out_is_told(plain: MakeSettings) -> None:
    checked = Checked(dry_runs=[DryRun(POINT, None, 2.5), DryRun(POINT, None)])
    assert tried(plain("check.max_s=30"), checked, n_corners=9) == [
        "study plain is sound as far as it was tried: 2 points tried with real batches",
        "  9 points were left out when check.max_s=30 s were over: a higher value tries more, null tries all",
    ]
    assert checked.seconds == [2.5]  # of the middle, where no other point was timed
    checked.typical.append(DryRun(POINT, None, 7.0))
    assert checked.seconds == [7.0]


def test_a_look_that_was_cut_off_counts_for_nothing() -> None:
    checked = Checked()
    checked.add(Found(kind="middle", dry_run=DryRun(POINT, None, is_whole=False)))
    assert checked == Checked()


def test_a_problem_of_several_points_is_told_once() -> None:
    checked = Checked()
    raise_problems(checked)
    for kind in ("middle", "corner", "corner"):
        checked.add(Found(kind=kind, dry_run=DryRun(POINT, Problem("model", f"fails at the {kind}", "correct it"))))
    with pytest.raises(BadInput) as raised:
        raise_problems(checked)
    assert [str(problem) for problem in raised.value.problems] == [
        "model fails at the middle (and 2 more of 3 points): correct it"
    ]
    checked = Checked(problems=[Problem("a", "is wrong", "correct it"), Problem("b", "is too", "correct it")])
    with pytest.raises(BadInput) as raised:
        raise_problems(checked)
    assert [problem.key for problem in raised.value.problems] == ["a", "b"]


@pytest.mark.slow
def test_a_study_that_diverges_everywhere_is_not_called_sound(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings("launcher=serial", "model.behaviour=not_a_number", study="plain")
    checked = check(settings, tmp_path)
    assert tried(settings, checked) == ["study plain gives no value yet: 4 points tried with real batches"]
    (note,) = diverged_notes(checked)
    assert note.startswith("note: the training diverges in its first batches at 4 of 4 points (")
    assert note.endswith(" at lr=0.01): correct the metric or the module, or search other values")
    checked.dry_runs.append(DryRun(POINT, None))
    assert "at 4 of 5 points" in diverged_notes(checked)[0]
    assert diverged_notes(Checked(dry_runs=[DryRun(POINT, None)])) == []


def test_how_long_a_check_takes_is_a_positive_number_or_null(plain: MakeSettings) -> None:
    assert plain().check.max_s == 60
    assert plain("check.max_s=null").check.max_s is None
    with pytest.raises(BadInput, match=r"check.max_s is 0: give a number greater than 0"):
        plain("check.max_s=0")
    with pytest.raises(BadInput, match=r"check.max_min is not a known key: did you mean max_s"):
        plain("+check.max_min=1")


def test_the_time_is_at_least_a_share_from_the_moment_on_at_which_torch_is_loaded(
    plain: MakeSettings,
) -> None:
    assert Plan(plain(), (), ()).ends() is None
    late = Plan(plain(), (), (), until=time.monotonic() - 100, at_least_s=1000).ends()
    early = Plan(plain(), (), (), until=time.monotonic() + 5000, at_least_s=1000)
    assert late is not None
    assert late > time.monotonic() + 900
    assert early.ends() == early.until


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "serial"])
def test_as_a_person_checks_a_study_that_hangs(shell: Shell, launcher: str) -> None:
    output = shell.run("check", *PLAIN, HANGS, "check.max_s=4", f"launcher={launcher}")
    assert "nothing could be tried to its end before check.max_s=4 s were over" in output
    assert "no training was tried to its end, so the time is unknown" in output


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "serial"])
def test_as_a_person_checks_a_slow_study(shell: Shell, launcher: str) -> None:
    output = shell.run("check", *PLAIN, "model.sleep_s=0.7", "check.max_s=25", f"launcher={launcher}")
    assert re.search(r"is sound as far as it was tried: \d+ points? tried with real batches", output)
    assert re.search(r"\d+ points? (was|were) left out when check.max_s=25 s were over", output)
    assert re.search(r"a trial takes about \d+ s \(.* at \d points? of the space\)", output)


@pytest.mark.slow
def test_a_process_that_is_killed_each_time_is_no_fault_of_the_config(shell: Shell) -> None:
    output = shell.run("check", *PLAIN, "model.behaviour=kill", "launcher=local", code=1)
    killed = r"error: the process that tries the first batches was killed by the system \(out of memory\?\), 10 times"
    assert re.search(killed, output)
    assert "in the config" not in output
