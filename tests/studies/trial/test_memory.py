from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from shell import USERS
from trainings import run

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import StudyStopped
from studies.trial import memory
from studies.trial.memory import PeakMemory, process_peak_mb

MakeSettings = Callable[..., StudySettings]
SCRIPT = Path(__file__).parent / "scripts" / "long_worker.py"
LARGE = Path(__file__).parent / "scripts" / "large_worker.py"
LIGHTNING = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


@LIGHTNING
@pytest.mark.parametrize("behaviour", ["good", "raise"])
def test_a_finished_trial_is_gone_when_the_next_begins(plain: MakeSettings, tmp_path: Path, behaviour: str) -> None:
    from user_memory import Counted, CountedLine  # type: ignore[import-not-found]

    Counted.found.clear()
    CountedLine.found.clear()
    counted = ("model._target_=user_memory.Counted", "+datamodule._target_=user_memory.CountedLine")
    first_two = (f"model.behaviour={behaviour}", f"model.marker={tmp_path}/tries", "model.times=2")
    run(plain("n_trials=3", "budget.amount=1", *counted, *first_two))
    assert len(Counted.found) >= 3
    assert {*Counted.found, *CountedLine.found} == {0}


@LIGHTNING
def test_what_is_loaded_is_kept_out_of_the_collections_between_trials(plain: MakeSettings) -> None:
    """Torch and Lightning are most of a process's objects; to look at them all takes longer than a small trial."""
    run(plain("n_trials=1", "budget.amount=1"))
    assert gc.get_freeze_count() > 100_000


def test_the_peak_is_that_of_the_training_alone() -> None:
    size = 60 * 2**20 // 4
    before = PeakMemory(torch.device("cpu")).mb()
    assert torch.ones(size).sum() == size
    after = PeakMemory(torch.device("cpu")).mb()
    assert before is not None
    assert after is not None
    assert after < before + 50


def test_a_peak_that_cannot_be_begun_anew_is_told_only_where_it_rose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems without /proc know one peak of a process, the one since its start."""
    monkeypatch.setattr(memory, "OWN", tmp_path / "nowhere")
    peak = PeakMemory(torch.device("cpu"))
    assert peak.mb() is None
    more = int(process_peak_mb() * 2**20 / 4) + 50 * 2**20 // 4
    assert torch.ones(more).sum() > 0
    own = peak.mb()
    assert own is not None
    assert own > 0


def test_the_unit_of_a_peak_is_the_systems_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells the same number in two places."""
    known = process_peak_mb()
    monkeypatch.setattr(memory, "OWN", tmp_path / "nowhere")
    assert process_peak_mb() == pytest.approx(max(known, process_peak_mb()), rel=0.01)


@LIGHTNING
def test_a_trial_without_a_peak_of_its_own_leaves_it_empty(
    plain: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "OWN", tmp_path / "nowhere")
    second = "objective.second={metric: peak_memory_mb}"
    trials = run(plain("n_trials=2", "budget.amount=1"))
    assert schema.PEAK_MEMORY_MB not in trials[1].user_attrs
    with pytest.raises(StudyStopped, match="peak_memory_mb of this trial is unknown"):
        run(plain("n_trials=2", "budget.amount=1", "study_name=weighed", second, "max_failures=1"))


@pytest.mark.slow
def test_large_modules_in_cycles_do_not_pile_up(tmp_path: Path) -> None:
    command = [sys.executable, str(LARGE), str(tmp_path), str(USERS), "12"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=290).stdout
    assert float(printed) < 60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_trials_in_one_worker_take_no_more_memory_than_twenty(tmp_path: Path, data_dir: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(data_dir), "1000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settled, last = map(float, printed.split())
    assert last - settled < 50
