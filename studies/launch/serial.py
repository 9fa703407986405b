"""One worker in this very process: for debuggers, tests and storages that live in memory."""

from __future__ import annotations

from collections.abc import Callable

from optuna.storages import BaseStorage

from studies.errors import Problem
from studies.launch.context import LaunchContext
from studies.launch.interruption import told_at_once
from studies.launch.preflight.batches import find_problems
from studies.process.deadline import Deadline
from studies.process.leaving import children_ended
from studies.trial.objective import run_trial
from studies.worker import WorkerContext, work


class SerialLauncher:
    """The same contract as `LocalLauncher`, without processes."""

    def __init__(self, context: LaunchContext, storage: BaseStorage) -> None:
        self._context = context
        self._storage = storage
        self.logs = context.settings.output_dir / "logs"

    def preflight(self) -> list[Problem]:
        """Try a first batch and return its problems."""
        with children_ended(self._context.tell):
            return find_problems(self._context.settings, tell=self._context.tell)

    def describe(self) -> list[str]:
        """Return a line for the worker."""
        each = self._context.settings.devices_per_trial
        return [f"worker 0: this process{f', which starts {each} processes a trial (DDP)' if each > 1 else ''}"]

    def run(self, deadline: Deadline, *, on_tick: Callable[[], int]) -> None:
        """Run trials until the study is finished. `on_tick` is called once, at the end."""
        (place,) = self.describe()
        with told_at_once(self._context.signals, self._context.tell), children_ended(self._context.tell):
            context = WorkerContext(self._context.settings, place, deadline, self._context.signals)
            work(self._storage, context=context, run_trial=run_trial)
        on_tick()
