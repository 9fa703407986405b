"""A system short of memory kills any large process of a command: workers, the fork server, the preflight."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time

import optuna
import pytest
from killers import kill_large_ones, kill_servers
from optuna.trial import TrialState
from shell import PLAIN, Shell

from studies.storage.opening import open_existing
from studies.storage.slots import read_slots

N_TRIALS = 40
STUDY = (*PLAIN, f"n_trials={N_TRIALS}", "workers=3", "select=race", "model.sleep_s=0.05")
FEWEST_S = 3.0  # between two kills, on average


@pytest.fixture(scope="module")
def load_s() -> float:
    """How long the fork server loads here."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import studies.launch.processes.preload"], check=True)
    return time.monotonic() - begun


def check_exact(url: str) -> None:
    """Each slot has ended well, in the search and in the rounds of the selection, and nothing runs."""
    storage = open_existing(url)
    studies = [optuna.load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()]
    assert not [trial for study in studies for trial in study.trials if trial.state == TrialState.RUNNING]
    (search,) = [study for study in studies if study.study_name == "plain"]
    assert len([trial for trial in search.trials if trial.state == TrialState.COMPLETE]) == N_TRIALS
    slots = read_slots(search.trials, N_TRIALS)
    assert [slot.last.state for slot in slots] == [TrialState.COMPLETE] * N_TRIALS
    counted = {trial.number for slot in slots for trial in slot.chain}
    surplus = [trial for trial in search.trials if trial.number not in counted]
    assert not [trial for trial in surplus if trial.params or trial.intermediate_values]  # claimed, and never trained


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


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("only_largest", [True, False])
def test_a_server_that_is_killed_nine_times_while_it_loads_costs_nothing(
    shell: Shell, load_s: float, only_largest: bool
) -> None:
    url = f"sqlite:///{shell.folder}/s.db"
    process = shell.start("run", *STUDY, f"storage.url='{url}'")
    kill_servers(process, times=9, after_s=load_s / 3, only_largest=only_largest)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    check_exact(url)


@pytest.mark.slow
def test_a_server_that_is_always_killed_is_given_up_in_one_line(shell: Shell, load_s: float) -> None:
    process = shell.start("run", *STUDY)
    kill_servers(process, times=100, after_s=load_s / 4, only_largest=False)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1, output
    assert "error: no worker process could be started in 10 tries" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_worker_that_leaves_with_exit_code_0_while_trials_are_missing_has_died(shell: Shell) -> None:
    arguments = (*PLAIN, "n_trials=6", "workers=1", "model.behaviour=exit_0", "model.at=3", "max_failures=2")
    output = shell.run("run", *arguments, code=1)
    assert "worker 0 died (exit code 0; see " in output
    assert "0 of 6 trials finished" in output
    assert re.search(r"error: (the last 2 trials .* all ended in killed|workers died 3 times)", output)
