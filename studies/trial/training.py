"""What a training gives, and who follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from studies.trial.callbacks import Rung
from studies.trial.keeper import Saved
from studies.trial.links import Plain
from studies.trial.test_part import Scores


def report_nothing(_rung: Rung) -> bool:
    """Go on, whatever the rung shows."""
    return False


def tell_nobody(_news: object) -> None:
    """Nobody wants to know."""


def never() -> str | None:
    """Nobody interrupts."""
    return None


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave, all that went into its checkpoint included where it went on from one.

    `seconds` are those of `fit`; `steps` are optimizer steps. `peak_memory_mb` is that of the GPU, or else of the
    process; None where the system does not tell it for this training alone. `test` is empty unless the job asks for it
    and the training came to its end.
    """

    rungs: tuple[Rung, ...]
    stopped: bool
    diverged: str | None
    out_of_time: bool
    steps: int
    samples_seen: int | None
    seconds: float
    device: str
    threads: int
    peak_memory_mb: float | None
    n_parameters: int = 0
    trajectory: str = ""
    found: Mapping[str, float] = field(default_factory=dict)
    note: str | None = None
    fell_short: str | None = None
    test: Scores = field(default_factory=Scores)
    logger_failures: Mapping[str, str] = field(default_factory=dict)  # what each logger that failed has failed with
    linked: Mapping[str, Plain] = field(default_factory=dict)  # what links have written into its config

    def state(self) -> str:
        """How it ended, in one word."""
        if self.diverged or self.stopped:
            return "diverged" if self.diverged else "pruned"
        return "complete" if self.rungs else "error"

    def value(self, *, counts: str, maximize: bool) -> float | None:
        """The value at the rung that counts: the last one, or the best. None where there is none."""
        if not self.rungs:
            return None
        sign = 1 if maximize else -1
        return max(self.rungs, key=lambda rung: sign * rung.value).value if counts == "best" else self.rungs[-1].value


def keep_nothing(_training: Training) -> bool:
    """The state at the end is of no more use."""
    return False


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who follows a training: is told each rung and says whether to stop; is asked after each batch for a reason to
    give up at once; is told of each checkpoint, and of the rungs reached before where the training goes on from one;
    says of what it gave whether the state at its end is to be kept."""

    report: Callable[[Rung], bool] = report_nothing
    interrupted: Callable[[], str | None] = never
    saved: Callable[[Saved], None] = tell_nobody
    resumed: Callable[[tuple[Rung, ...]], None] = tell_nobody
    keeps: Callable[[Training], bool] = keep_nothing
