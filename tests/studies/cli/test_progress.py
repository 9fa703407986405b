from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from studies import schema
from studies.cli.progress import LINE_EVERY_S, Progress, StudyCounts, standing
from studies.errors import StudyStopped
from studies.storage.slots import Rules
from studies.storage.stopping import DeviceTime

N_TRIALS = 8
RULES = Rules(N_TRIALS, max_retries=0, redraws=False)
UNLIMITED = DeviceTime(devices=1, lease_s=60.0, limit_s=None)


def trials(*endings: tuple[TrialState, float | None, dict[str, Any]]) -> list[FrozenTrial]:
    made = []
    for number, (state, value, attributes) in enumerate(endings):
        made.append(create_trial(state=state, value=value, user_attrs=attributes))
        made[-1].number = number
    return made


COMPLETE, PRUNED, FAIL, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING
EVERY_ENDING = [
    (COMPLETE, 0.5, {}),
    (COMPLETE, 0.9, {}),
    (PRUNED, None, {}),
    (PRUNED, None, {schema.FAILURE: "diverged"}),
    (FAIL, None, {schema.FAILURE: "error"}),
    (FAIL, None, {schema.FAILURE: "killed", schema.FAILURE_MESSAGE: "interrupted (SIGTERM)"}),
    (COMPLETE, 0.7, {schema.RETRY_OF: 5, schema.SLOT: 5}),
    (RUNNING, None, {}),
    (FAIL, None, {schema.FAILURE: "killed", schema.FAILURE_MESSAGE: "interrupted (SIGTERM)"}),
]


class Watched:
    """A study whose progress is written to `text`, with a clock that is moved by hand."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.study = optuna.create_study(direction="maximize")
        self.out = StringIO()
        self.now = 100.0
        console = Console(file=self.out, force_terminal=terminal, width=120)
        self.progress = Progress(self.study, RULES, UNLIMITED, console=console, clock=lambda: self.now)

    def finish(self, *values: float) -> None:
        for value in values:
            self.study.tell(self.study.ask(), value)

    def lines(self) -> Iterator[str]:
        yield from self.out.getvalue().splitlines()


def test_standing_counts_each_slot_once_by_how_it_ended() -> None:
    now = standing(trials(*EVERY_ENDING), RULES, maximize=True)
    assert now == StudyCounts(
        n_trials=8, finished=6, complete=3, pruned=1, failed={"diverged": 1, "error": 1}, running=1,
        begun=len(EVERY_ENDING), retried=1, best=now.best,
    )  # fmt: skip
    assert now.best is not None
    assert now.best.number == 1


def test_the_best_follows_the_direction() -> None:
    best = standing(trials(*EVERY_ENDING), RULES, maximize=False).best
    assert best is not None
    assert best.number == 0


def test_a_surplus_trial_counts_nowhere() -> None:
    surplus = [(FAIL, None, {schema.VOID: True})]
    now = standing(trials(*[(COMPLETE, 0.5, {})] * N_TRIALS, *surplus), RULES, maximize=True)
    assert (now.finished, now.failed, now.retried) == (8, {}, 0)


def test_nothing_stands_before_the_first_trial() -> None:
    now = standing([], RULES, maximize=True)
    assert (now.finished, now.running, now.best) == (0, 0, None)


def test_without_a_terminal_a_plain_line_is_written_at_intervals() -> None:
    watched = Watched()
    with watched.progress as progress:
        for _ in range(3):  # the first at once, then nothing until the interval is over
            assert progress.tick() == 0
        watched.finish(0.5, 0.9)
        watched.now += LINE_EVERY_S
        assert progress.tick() == 2
        watched.now += LINE_EVERY_S
        watched.finish(0.7)
    assert list(watched.lines()) == [
        "0/8 finished: 0 complete, 0 pruned, 0 running; best –; – trials/min, – left",
        "2/8 finished: 2 complete, 0 pruned, 0 running; best 0.9 (trial 1); 8.0 trials/min, 45 s left",
        "3/8 finished: 3 complete, 0 pruned, 0 running; best 0.9 (trial 1); 6.0 trials/min, 50 s left",
    ]


def test_failures_and_retries_are_told_where_there_are_any() -> None:
    watched = Watched()
    watched.study.add_trials(trials(*EVERY_ENDING))
    watched.progress.tick()
    (line,) = watched.lines()
    assert line.startswith("6/8 finished: 3 complete, 1 pruned, 1 diverged, 1 error, 1 retried, 1 running; best 0.9")


def test_the_pace_counts_this_run_alone() -> None:
    """A continued study that began with 4 of 8 finished has done none itself yet."""
    watched = Watched()
    watched.finish(0.1, 0.2, 0.3, 0.4)
    later = Progress(watched.study, RULES, UNLIMITED, console=Console(file=watched.out), clock=lambda: watched.now)
    watched.now += 30
    later.tick()
    watched.finish(0.5)
    watched.now += 30
    later.tick()
    first, second = watched.lines()
    assert "– trials/min, – left" in first
    assert "1.0 trials/min, 3 min 00 s left" in second


@pytest.mark.parametrize("error", [StudyStopped("the last 5 trials all failed"), ValueError()])
def test_a_run_that_breaks_off_writes_no_last_line(error: BaseException) -> None:
    watched = Watched()
    with pytest.raises(type(error)), watched.progress:
        raise error
    assert list(watched.lines()) == []


def test_the_same_standing_is_not_told_again_at_the_end() -> None:
    watched = Watched()
    with watched.progress as progress:
        watched.finish(0.5)
        progress.tick()
        watched.now += 1
    assert len(list(watched.lines())) == 1


def test_an_interrupted_run_writes_its_last_line() -> None:
    watched = Watched()
    with pytest.raises(KeyboardInterrupt), watched.progress:
        raise KeyboardInterrupt
    assert len(list(watched.lines())) == 1


def test_in_a_terminal_a_table_is_kept_up_to_date() -> None:
    watched = Watched(terminal=True)
    with watched.progress as progress:
        progress.tick()
        watched.finish(0.5, 0.9)
        watched.now += 60
        assert progress.tick() == 2
    text = watched.out.getvalue()
    for part in (
        "0 of 8 trials finished",
        "2 of 8 trials finished",
        "0.9 (trial 1)",
        "2.0 trials/min",
        "3 min 00 s",
        "time left",
    ):
        assert part in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again


def test_the_terminal_is_given_back_when_the_study_stops() -> None:
    watched = Watched(terminal=True)
    with pytest.raises(StudyStopped), watched.progress:
        raise StudyStopped("enough")
    assert watched.out.getvalue().rstrip().endswith("\x1b[?25h")
