"""A system short of memory kills any large process of a command: workers, the fork server, the preflight."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from killers import kill_large_ones, server_of, session_of
from optuna.trial import TrialState
from shell import PLAIN, Shell

from studies.reading.settings import read_settings
from studies.storage.opening import open_existing
from studies.storage.slots import read_slots

N_TRIALS = 40
STUDY = (*PLAIN, f"n_trials={N_TRIALS}", "workers=3", "select=race", "model.sleep_s=0.05")
FEWEST_S = 3.0  # between two kills, on average


@pytest.fixture(scope="module")
def load_s() -> float:
    """How long the fork server loads here."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import studies.launch.preload"], check=True)
    return time.monotonic() - begun


def check_exact(url: str) -> None:
    """Each slot has ended well, in the search and in the rounds of the selection, and nothing runs."""
    storage = open_existing(url)
    studies = [optuna.load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()]
    assert not [trial for study in studies for trial in study.trials if trial.state == TrialState.RUNNING]
    (search,) = [study for study in studies if study.study_name == "plain"]
    assert len([trial for trial in search.trials if trial.state == TrialState.COMPLETE]) == N_TRIALS
    slots = read_slots(search.trials, N_TRIALS + 1)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * N_TRIALS


def storm(shell: Shell, url: str, seed: int, load_s: float) -> None:
    process = shell.start("run", *STUDY, f"storage.url='{url}'")
    mean_s = max(FEWEST_S, load_s / 2)
    with (shell.folder / "kills").open("w") as kills:
        kills.write(str(kill_large_ones(process, random.Random(seed), mean_s=mean_s)))
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert "in the config" not in output
    check_exact(url)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_kills_of_any_large_process_cost_nothing_on_sqlite(shell: Shell, load_s: float, seed: int) -> None:
    storm(shell, f"sqlite:///{shell.folder}/s.db", seed, load_s)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(5))
def test_kills_of_any_large_process_cost_nothing_on_postgresql(
    shell: Shell, postgresql_url: str, load_s: float, seed: int
) -> None:
    storm(shell, postgresql_url, seed, load_s)


def kill_servers(process: subprocess.Popen[str], times: int, *, after_s: float) -> None:
    """Kill the fork server so often, each time while it loads: all its processes, or it would go on in one of them."""
    killed: set[int] = set()
    for _ in range(times):
        assert server_of(process, besides=killed) is not None
        time.sleep(after_s)
        servers = {pid for pid, _ in session_of(process) if server_of(process, besides=killed | {process.pid})}
        for pid in servers - killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= servers


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_nine_times_while_it_loads_costs_nothing(shell: Shell, load_s: float) -> None:
    url = f"sqlite:///{shell.folder}/s.db"
    process = shell.start("run", *STUDY, f"storage.url='{url}'")
    kill_servers(process, 9, after_s=load_s / 3)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    check_exact(url)
