"""The rules of keeping workers going, at a backend where a script says how each worker ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest

from studies.errors import StudyError, StudyStopped
from studies.launch import worker_pool
from studies.launch.interruption import of_this_process, told_at_once
from studies.launch.worker_pool import EndReason, WorkerEnd, WorkerPool
from studies.process.shift import Shift
from studies.process.signals import StopSignals

LEFT, DIED, WITHDRAWN = (
    WorkerEnd(EndReason.LEFT),
    WorkerEnd(EndReason.DIED, words="exit code 9"),
    WorkerEnd(EndReason.WITHDRAWN, words="by hand"),
)
SHIFT = Shift(datetime.now())


@dataclass(eq=False)
class Scripted:
    number: int
    ends: WorkerEnd | None
    queued: bool = False
    looks: int = 0

    def is_queued(self) -> bool:
        return self.queued

    def end(self) -> WorkerEnd | None:
        self.looks += 1
        return self.ends


class Stage:
    """Gives each worker that is begun the next ending of the script; None lives until it is ended."""

    def __init__(self, *script: WorkerEnd | None, queued: Sequence[int] = ()) -> None:
        self._script = iter(script)
        self._queued = queued
        self.begun: list[int] = []
        self.ended: list[int] = []

    def start(self, numbers: Sequence[int], *, shift: Shift) -> list[Scripted]:
        self.begun += numbers
        return [Scripted(number, next(self._script), queued=number in self._queued) for number in numbers]

    def wait(self, workers: Sequence[Scripted], *, seconds: float) -> None:
        pass

    def stop(self, workers: Sequence[Scripted], *, grace_s: float) -> None:
        for worker in workers:
            if worker.ends is None:
                worker.ends = LEFT
                self.ended.append(worker.number)


def run(stage: Stage, *, workers: int, max_failures: int = 2, begun: Iterator[int] | None = None) -> list[str]:
    told: list[str] = []
    pool = WorkerPool(StopSignals(), max_failures=max_failures, tell=told.append)
    pool.run(stage, range(workers), shift=SHIFT, on_tick=lambda: next(begun) if begun is not None else 0)
    return told


def test_a_worker_that_dies_is_replaced_under_its_number() -> None:
    stage = Stage(DIED, LEFT)
    assert run(stage, workers=1) == ["worker 0 died (exit code 9); a new one takes its place"]
    assert stage.begun == [0, 0]


def test_a_worker_that_is_renewed_did_not_die() -> None:
    stage = Stage(*[WorkerEnd(EndReason.RENEWED)] * 5, LEFT)
    assert run(stage, workers=1) == []
    assert stage.begun == [0] * 6


def test_deaths_without_a_trial_between_them_stop_the_study() -> None:
    stage = Stage(DIED, DIED, DIED, LEFT)
    with pytest.raises(StudyStopped, match=r"workers died 3 times without beginning a trial \(last exit code 9\)"):
        run(stage, workers=1)
    assert stage.begun == [0, 0, 0]


def test_deaths_with_a_trial_between_them_do_not() -> None:
    stage = Stage(DIED, DIED, DIED, DIED, LEFT)
    run(stage, workers=1, begun=iter(range(20)))
    assert stage.begun == [0] * 5


def test_each_pause_before_a_new_worker_is_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def pause(n_failed: int) -> float:
        asked.append(n_failed)
        return 0.1 * n_failed

    monkeypatch.setattr(worker_pool, "pause_s", pause)
    stage, begun_at = Stage(DIED, DIED, DIED, LEFT), time.monotonic()
    run(stage, workers=1, max_failures=5)
    assert asked == [0, 1, 2]
    assert time.monotonic() - begun_at >= 0.3


def test_ten_starts_in_a_row_are_enough_whatever_failures_are_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "pause_s", lambda n_failed: 0.0)
    stage = Stage(*[DIED] * 20)
    with pytest.raises(StudyStopped, match="workers died 11 times"):  # the first may have come from a trial
        run(stage, workers=1, max_failures=50)


def test_a_signal_to_workers_alone_is_borne_while_other_trials_begin() -> None:
    stopped = WorkerEnd(EndReason.STOPPED, words="asked to stop by a signal")
    stage = Stage(*[stopped] * 30, LEFT)
    told = run(stage, workers=1, begun=iter(range(0, 200, 2)))
    assert told == ["worker 0 was asked to stop by a signal; a new one takes its place"] * 30


def test_a_signal_that_interrupts_each_trial_stops_the_study() -> None:
    stage = Stage(*[WorkerEnd(EndReason.STOPPED, words="asked to stop by a signal")] * 30)
    with pytest.raises(StudyStopped, match="10 workers in a row were asked to stop by a signal, which this command"):
        run(stage, workers=1, begun=iter(range(1, 200)))  # each retry is a trial that is begun
    assert len(stage.begun) == 10


def test_the_first_error_ends_the_others_and_is_raised() -> None:
    stage = Stage(None, WorkerEnd(EndReason.LEFT, StudyError("the disk is full")), None)
    with pytest.raises(StudyError, match="the disk is full"):
        run(stage, workers=3)
    assert stage.ended == [0, 2]


def test_once_one_has_left_those_in_the_queue_are_called_off_and_the_dead_are_not_replaced() -> None:
    stage = Stage(LEFT, DIED, None, queued=[2])
    run(stage, workers=3)
    assert stage.begun == [0, 1, 2]
    assert stage.ended == [2]


def test_workers_that_somebody_called_off_are_not_replaced_and_the_unfinished_study_is_told() -> None:
    stage = Stage(WITHDRAWN, WITHDRAWN)
    with pytest.raises(StudyStopped, match="every worker was called off before the study was finished"):
        run(stage, workers=2)
    assert stage.begun == [0, 1]


def test_one_that_was_called_off_does_no_harm_where_another_finishes() -> None:
    assert run(Stage(WITHDRAWN, LEFT), workers=2) == ["worker 0 was called off (by hand); it is not replaced"]


def test_a_signal_ends_all_without_an_error() -> None:
    stage, signals = Stage(None, None), StopSignals()
    signals.stop("SIGINT")
    told: list[str] = []
    WorkerPool(signals, max_failures=2, tell=told.append).run(stage, range(2), shift=SHIFT, on_tick=lambda: 0)
    assert stage.ended == [0, 1]
    assert told == [
        "interrupted (SIGINT): waiting for 2 workers to save the running trials, at most 20 s; Ctrl-C again ends this "
        "command at once, and the workers save and leave without it"
    ]


def test_a_process_that_trains_itself_tells_of_a_signal_while_it_works() -> None:
    told: list[str] = []
    signals = StopSignals()
    with told_at_once(signals, told.append):
        assert told == []
        signals.stop("SIGUSR1")
        while not told:
            time.sleep(0.01)
    assert told == ["interrupted (SIGUSR1): the running trial ends its batch and saves its state"]
    assert "Ctrl-C again ends this process at once" in of_this_process("SIGINT")
