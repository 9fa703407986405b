"""The progress of a running study: a live table in a terminal, plain lines in a log file or CI."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from studies.analysis.choice import best_of
from studies.analysis.same_runs import same_runs_note
from studies.schema import failure_of, is_imported
from studies.storage.slots import Rules, read_slots
from studies.storage.stopping import DeviceTime
from studies.text.wording import duration

LINE_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class StudyCounts:
    """How far a study is."""

    n_trials: int
    finished: int  # slots
    complete: int
    pruned: int
    failed: dict[str, int]  # slots by failure class
    running: int
    begun: int
    retried: int
    best: FrozenTrial | None


def standing(
    trials: Sequence[FrozenTrial], rules: Rules, *, maximize: bool, then_maximize: bool | None = None
) -> StudyCounts:
    """Count how far a study with these `trials` is."""
    slots = read_slots(trials, rules.n_trials)
    ended = [slot.last for slot in slots if rules.is_finished(slot)]
    failures = Counter(str(failure) for trial in ended if (failure := failure_of(trial)) is not None)
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    imported = [trial for trial in trials if is_imported(trial)]
    return StudyCounts(
        n_trials=rules.n_trials,
        finished=len(ended),
        complete=len(complete),
        pruned=sum(1 for t in ended if t.state == TrialState.PRUNED and failure_of(t) is None),
        failed=dict(failures),
        running=sum(1 for trial in trials if trial.state == TrialState.RUNNING),
        begun=len(trials),
        retried=sum(len(slot.chain) - 1 for slot in slots),
        best=best_of([*complete, *imported], maximize=maximize, then_maximize=then_maximize),
    )


class Progress:
    """Follows a study. It is a context manager around its run."""

    def __init__(
        self,
        study: Study,
        rules: Rules,
        device_time: DeviceTime,
        *,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        maximize, *then = (direction == StudyDirection.MAXIMIZE for direction in study.directions)
        self._maximize, self._then_maximize = maximize, then[0] if then else None
        self._rules = rules
        self._device_time = device_time
        self._console = console
        self._clock = clock
        self.trials: Sequence[FrozenTrial] = ()  # as they were last read
        self._begun = clock()
        self._begun_with = self.standing().finished
        self._used_before = self._device_time.used(self.trials)
        self._last_line = -LINE_EVERY_S
        self._shown: StudyCounts | None = None
        self._tells_same_runs = True
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, KeyboardInterrupt):
                self.tick(final=True)
        finally:
            if self._live is not None:
                self._live.stop()

    def standing(self) -> StudyCounts:
        """Read the trials, and count how far the study is now."""
        self.trials = self._study.get_trials(deepcopy=False)
        return standing(self.trials, self._rules, maximize=self._maximize, then_maximize=self._then_maximize)

    def tick(self, *, final: bool = False) -> int:
        """Show how far the study is, and return how many trials have begun in all its runs."""
        now = self.standing()
        self._tell_same_runs()
        if self._live is not None:
            self._live.update(self._table(now), refresh=True)
        elif (final and now != self._shown) or self._clock() - self._last_line >= LINE_EVERY_S:
            self._last_line, self._shown = self._clock(), now
            self._console.print(self._line(now), soft_wrap=True, highlight=False, markup=False)
        return now.begun

    def _tell_same_runs(self) -> None:
        """Say once that seeds change nothing, as soon as two trials show it."""
        note = same_runs_note(self.trials) if self._tells_same_runs else None
        if note is not None:
            self._tells_same_runs = False
            self._console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)

    def _table(self, now: StudyCounts) -> Table:
        rate, left = self._pace(now)
        rows = {
            self._study.study_name: f"{now.finished} of {now.n_trials} trials finished",
            "complete": str(now.complete),
            "pruned": str(now.pruned),
            "failed": ", ".join(f"{count} {name}" for name, count in now.failed.items()) or "0",
            "retried": str(now.retried),
            "running": str(now.running),
            "best": self._best(now),
            **({"device time": self._used()} if self._device_time.limit_s is not None else {}),
            "rate": f"{rate} trials/min",
            "time left": left,
        }
        table = Table.grid(padding=(0, 2))
        for name, value in rows.items():
            table.add_row(Text(name, style="bold"), Text(value))
        return table

    def _line(self, now: StudyCounts) -> str:
        failed = "".join(f", {count} {name}" for name, count in now.failed.items())
        retried = f", {now.retried} retried" if now.retried else ""
        rate, left = self._pace(now)
        spent = f"; device time {self._used()}" if self._device_time.limit_s is not None else ""
        return (
            f"{now.finished}/{now.n_trials} finished: {now.complete} complete, {now.pruned} pruned{failed}{retried}, "
            f"{now.running} running; best {self._best(now)}; {rate} trials/min, {left} left{spent}"
        )

    def _best(self, now: StudyCounts) -> str:
        return f"{now.best.value:.4g} (trial {now.best.number})" if now.best is not None else "–"

    def _used(self) -> str:
        return f"{duration(self._device_time.used(self.trials))} of {duration(self._device_time.limit_s or 0.0)}"

    def _pace(self, now: StudyCounts) -> tuple[str, str]:
        done = now.finished - self._begun_with
        elapsed = self._clock() - self._begun
        if done <= 0 or elapsed <= 0:
            return "–", "–"
        rate = done / elapsed
        left = (now.n_trials - now.finished) / rate
        if self._device_time.limit_s is not None:
            used = self._device_time.used(self.trials)
            pace = (used - self._used_before) / elapsed  # devices at work
            left = min(left, max(0.0, self._device_time.limit_s - used) / pace) if pace > 0 else left
        return f"{60 * rate:.1f}", duration(left)
