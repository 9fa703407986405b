"""The process that tries a first batch may end in any way, and the command goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studies.config.settings import StudySettings
from studies.launch.context import LaunchContext
from studies.launch.preflight.check import check_in_time
from studies.launch.preflight.findings import Plan
from studies.launch.preflight.first_batch import try_first_batch
from studies.process.signals import StopSignals

MakeSettings = Callable[..., StudySettings]
POINT = {"lr": 0.01}
ENDS = ("model._target_=user_state.Leaves", "+model.how=end", "launcher=local")
COPY_S = 30  # for so long a copy of the process holds its pipe open


@pytest.fixture
def settings(make_settings: MakeSettings) -> StudySettings:
    return make_settings(*ENDS, study="plain")


def test_one_that_ends_and_leaves_a_copy_is_not_waited_for(settings: StudySettings, tmp_path: Path) -> None:
    begun = time.monotonic()
    found = try_first_batch(LaunchContext(settings, StopSignals(), print), log=tmp_path / "log")
    assert [problem.complaint for problem in found.problems] == ["ended the process of its first batch (exit code 4)"]
    assert time.monotonic() - begun < COPY_S


def test_one_of_a_check_is_not_waited_for_either(settings: StudySettings, tmp_path: Path) -> None:
    begun, plan = time.monotonic(), Plan(settings, corners=(POINT,), typical=(POINT,), until=None)
    checked = check_in_time(plan, log=tmp_path / "log", tell=print)
    assert [problem.complaint for problem in checked.problems] == [
        "ended the process of its first batches (exit code 4)"
    ]
    assert time.monotonic() - begun < COPY_S
