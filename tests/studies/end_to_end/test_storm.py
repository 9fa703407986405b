"""Workers killed at random moments: nothing is lost, doubled or left running."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from shell import Shell, running, worker_of
from sleepers import GRID, Sleepers, check_exact

from studies import schema
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.storage.opening import open_storage

N_KILLS = 15
TRAINING = (
    "+study=digits_grid",
    *("search_space.lr.levels=5", "search_space.batch_size.levels=[16,32,64,256]"),  # 60 cells with three replicates
    *("workers=4", "max_retries=20", "max_failures=20", "budget.amount=10", "checkpoint.every_s=0.1"),
)


def storm(group: Sleepers, seed: int) -> None:
    """Four workers and 15 kills; each one that is killed is replaced."""
    rng = random.Random(seed)
    group.start(4)
    group.wait_for(group.notes.exists)
    for _ in range(N_KILLS):
        time.sleep(rng.uniform(0.2, 0.9))
        group.kill_one(rng)
    group.leave()
    group.check_exact()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kills_lose_and_double_nothing_on_sqlite(sleepers: Callable[..., Sleepers], tmp_path: Path, seed: int) -> None:
    storm(sleepers(f"sqlite:///{tmp_path}/s.db", *GRID, lease_s=10), seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kills_lose_and_double_nothing_on_postgresql(
    sleepers: Callable[..., Sleepers], postgresql_url: str, seed: int
) -> None:
    storm(sleepers(postgresql_url, *GRID, lease_s=10), seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["mariadb", "journal"])
def test_kills_lose_and_double_nothing_elsewhere(
    sleepers: Callable[..., Sleepers], request: pytest.FixtureRequest, tmp_path: Path, kind: str, seed: int
) -> None:
    url = request.getfixturevalue("mariadb_url") if kind == "mariadb" else f"journal:{tmp_path}/s.journal"
    storm(sleepers(url, *GRID, lease_s=10), seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_lose_and_double_nothing_in_real_training(shell: Shell, tmp_path: Path, seed: int) -> None:
    notes = f"+callbacks.notes={{_target_: user_callbacks.Notes, path: '{tmp_path}/notes'}}"
    process = shell.start("run", *TRAINING, notes, f"seed={seed}")
    shell.wait_for("digits_grid", lambda trials: len(running(trials)) >= 2)
    rng, kills = random.Random(seed), 0
    while process.poll() is None and kills < N_KILLS:
        victims = running(shell.trials("digits_grid"))
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker_of(rng.choice(victims)), signal.SIGKILL)
                kills += 1
        time.sleep(rng.uniform(0.2, 0.8))
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert kills == N_KILLS
    study = optuna.load_study(
        study_name="digits_grid", storage=open_storage(f"sqlite:///{tmp_path}/outputs/studies.db")
    )
    check_exact(study, parse_settings(compose(TRAINING)), tmp_path / "notes")
    assert any(schema.RESUMED_FROM in trial.user_attrs for trial in study.trials)
