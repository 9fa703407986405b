"""Runs a procedure as a trial: seeds and builds it, follows its rungs, and keeps its result."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from studies.trial.building.instantiate import instantiate
from studies.trial.building.package import package_of_target
from studies.trial.rungs.real_number import real
from studies.trial.rungs.rungs import Interrupted, Rung
from studies.trial.training import decline, never

MAX_RESULT = 60_000  # characters of JSON: MySQL keeps no longer text in an attribute


@dataclass(frozen=True, slots=True)
class ProcedureResult:
    """The result of a procedure. `seconds` are those of `run`. `result` is empty if it returned nothing."""

    rungs: tuple[Rung, ...]
    stopped: bool
    diverged: str | None
    out_of_time: bool
    seconds: float
    result: dict[str, Any] = field(default_factory=dict)


def run_procedure(
    config: Mapping[str, Any],
    *,
    seed: int,
    n_rungs: int,
    max_s: float | None = None,
    report: Callable[[Rung], bool] = decline,
    interrupted: Callable[[], str | None] = never,
) -> ProcedureResult:
    """Build the procedure of the resolved `config` and run it, with every global random generator seeded.

    `report` is told each rung and says whether to stop. Raises `Interrupted` if it was asked to stop before its end,
    ValueError for a result that cannot be kept, and any exception of the procedure.
    """
    package_of_target(config["model"]["_target_"]).seed_everything(seed)
    procedure = instantiate(config["model"])
    follower = _Follower(n_rungs, max_s=max_s, report=report, interrupted=interrupted)
    returned = procedure.run(seed=seed, n_rungs=n_rungs, report=follower, interrupted=interrupted)
    seconds = follower.seconds
    reason = interrupted()
    if reason is not None and not follower.has_ended:
        raise Interrupted(reason)
    return ProcedureResult(
        tuple(follower.rungs), follower.stopped, follower.diverged, follower.out_of_time, seconds, _plain(returned)
    )


class _Follower:
    """Takes the rungs of one procedure, in their order."""

    def __init__(
        self,
        n_rungs: int,
        *,
        max_s: float | None,
        report: Callable[[Rung], bool],
        interrupted: Callable[[], str | None],
    ) -> None:
        self.rungs: list[Rung] = []
        self.stopped = False
        self.diverged: str | None = None
        self.out_of_time = False
        self._n_rungs = n_rungs
        self._max_s = max_s
        self._report = report
        self._interrupted = interrupted
        self._begun = time.perf_counter()

    def __call__(self, rung: int, value: float) -> bool:
        if self.stopped or self.diverged is not None:
            return True
        if rung != len(self.rungs) + 1 or rung > self._n_rungs:
            raise ValueError(f"rung {rung} is reported after rung {len(self.rungs)}: report 1, 2, … {self._n_rungs}")
        value = real(f"the value at rung {rung}", value)
        if not math.isfinite(value):
            self.diverged = f"the value at rung {rung} is {value}"
            return True
        found = Rung(rung, value, 0, self.seconds)
        self.rungs.append(found)
        self.stopped = self._report(found)
        if not self.has_ended and (reason := self._interrupted()) is not None:
            raise Interrupted(reason)
        self.out_of_time = self._max_s is not None and self.seconds >= self._max_s and not self.has_ended
        self.stopped = self.stopped or self.out_of_time
        return self.stopped

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.perf_counter() - self._begun

    @property
    def has_ended(self) -> bool:
        """Return whether there is nothing more to report."""
        return self.stopped or self.diverged is not None or len(self.rungs) == self._n_rungs


def _plain(returned: Any) -> dict[str, Any]:
    """Return the result as plain values. Raises ValueError for a result that the storage cannot keep."""
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise ValueError(f"run returned a {type(returned).__name__}: return a mapping of names to values, or None")
    try:
        text = json.dumps({str(name): value for name, value in returned.items()}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"run returned what JSON cannot hold ({error}): return plain, finite values") from None
    if len(text) > MAX_RESULT:
        raise ValueError(f"run returned {len(text):,} characters of JSON, above {MAX_RESULT:,}: write them to a file")
    plain: dict[str, Any] = json.loads(text)
    return plain
