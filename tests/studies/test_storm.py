"""Workers killed at random moments: nothing is lost, doubled or left running."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import optuna
import pytest
from shell import Shell, running, worker_of
from storm import Storm, check_exact

from studies import schema
from studies.configs import compose
from studies.settings_reading import read_settings
from studies.storage.opening import open_storage

TRAINING = (
    "+study=digits_grid",
    *("search_space.lr.levels=5", "search_space.batch_size.levels=[16,32,64,256]"),  # 60 cells with three replicates
    *("workers=4", "max_retries=20", "budget.amount=6", "checkpoint.every_s=0.1"),
)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/studies.db"


def test_four_processes_spend_the_budget_exactly_and_run_each_trial_once(tmp_path: Path) -> None:
    storm = Storm(tmp_path, sqlite(tmp_path), n_kills=0, seconds=[0.06], lease_s=60)
    check_exact(storm.run(), storm.settings, storm.notes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kills_lose_and_double_nothing_on_sqlite(tmp_path: Path, seed: int) -> None:
    storm = Storm(tmp_path, sqlite(tmp_path), seed=seed)
    check_exact(storm.run(), storm.settings, storm.notes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kills_lose_and_double_nothing_on_postgresql(tmp_path: Path, postgresql_url: str, seed: int) -> None:
    storm = Storm(tmp_path, postgresql_url, seed=seed)
    check_exact(storm.run(), storm.settings, storm.notes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_lose_and_double_nothing_in_real_training(shell: Shell, tmp_path: Path, seed: int) -> None:
    notes = f"+callbacks.notes={{_target_: user_callbacks.Notes, path: '{tmp_path}/notes'}}"
    process = shell.start("run", *TRAINING, notes, f"seed={seed}")
    shell.wait_for("digits_grid", lambda trials: len(running(trials)) >= 2)
    rng, kills = random.Random(seed), 0
    while process.poll() is None and kills < 15:
        victims = running(shell.trials("digits_grid"))
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker_of(rng.choice(victims)), signal.SIGKILL)
                kills += 1
        time.sleep(rng.uniform(0.3, 1.5))
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert kills == 15
    study = optuna.load_study(study_name="digits_grid", storage=open_storage(sqlite(tmp_path / "outputs")))
    check_exact(study, read_settings(compose(TRAINING)), tmp_path / "notes")
    assert any(schema.RESUMED_FROM in trial.user_attrs for trial in study.trials)
