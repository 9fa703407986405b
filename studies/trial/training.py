"""The result of a training, and its listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from studies.trial.building.links import Plain
from studies.trial.checkpoints.saver import SavedCheckpoint
from studies.trial.rungs.rungs import Rung
from studies.trial.testing import TestScores


def decline(_news: object) -> bool:
    """Return False: continue the training, and keep nothing."""
    return False


def tell_nobody(_news: object) -> None:
    """Do nothing."""


def never() -> str | None:
    """Return None: nobody interrupts."""
    return None


def counting_rung(rungs: Sequence[Rung], *, counts: str, maximize: bool) -> Rung:
    """Return the rung whose value counts: the last one, or the best."""
    sign = 1 if maximize else -1
    return max(rungs, key=lambda rung: sign * rung.value) if counts == "best" else rungs[-1]


@dataclass(frozen=True, slots=True)
class Training:
    """The result of a training. After a resume it includes everything up to the checkpoint."""

    rungs: tuple[Rung, ...]
    stopped: bool
    diverged: str | None  # how
    out_of_time: bool
    steps: int  # of the optimizer
    samples_seen: int | None
    seconds: float  # of `fit`
    device: str
    threads: int
    peak_memory_mb: float | None  # of the GPU, or else of the process; None if unknown for this training alone
    n_parameters: int = 0
    trajectory: str = ""  # see `trajectory_of`
    found: Mapping[str, float] = field(default_factory=dict)  # results of finders, by attribute
    note: str | None = None  # why the value is not that of the final weights
    fell_short: str | None = None  # the batches that a loader announced and gave
    test: TestScores = field(
        default_factory=TestScores
    )  # empty unless the job asks for it and the training came to its end
    logger_failures: Mapping[str, str] = field(default_factory=dict)  # the message of each failed logger
    linked: Mapping[str, Plain] = field(default_factory=dict)  # the values of links

    def state(self) -> str:
        """Return how it ended, in one word."""
        if self.diverged or self.stopped:
            return "diverged" if self.diverged else "pruned"
        return "complete" if self.rungs else "error"

    def value(self, *, counts: str, maximize: bool) -> float | None:
        """Return the value at the counting rung, None without a rung."""
        return counting_rung(self.rungs, counts=counts, maximize=maximize).value if self.rungs else None


@dataclass(frozen=True, slots=True)
class Watchers:
    """The listeners of a training."""

    report: Callable[[Rung], bool] = decline  # is told each rung, and says whether to stop
    interrupted: Callable[[], str | None] = never  # is asked after each batch for a reason to stop at once
    saved: Callable[[SavedCheckpoint], None] = tell_nobody  # is told of each checkpoint
    resumed: Callable[[tuple[Rung, ...]], None] = tell_nobody  # is told the rungs of the checkpoint on a resume
    keeps: Callable[[Training], bool] = decline  # says whether to save the last state
