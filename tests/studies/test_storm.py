"""Workers killed at random moments: nothing is lost, doubled or left running."""

from __future__ import annotations

from pathlib import Path

import pytest
from storm import Storm, check_exact


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
