"""Procedures that users bring, good and bad: no base class, a method `run` is enough."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Bowl:
    """A bowl whose bottom is at `x` = 2, reached in halving steps. `behaviour` says how it misbehaves at `x` > `above`;
    it raises or dies at its second rung, while `marker` (a file that counts the tries) has fewer lines than `times`."""

    def __init__(
        self,
        x: float,
        behaviour: str = "good",
        above: float = 0.0,
        marker: str | None = None,
        times: int = 10**9,
        sleep_s: float = 0.0,
    ) -> None:
        if behaviour == "refuse" and x > above:
            raise ValueError(f"x is {x}")
        self.x = x
        self.sleep_s = sleep_s
        self.behaviour = behaviour if x > above else "good"
        self.marker = marker
        self.times = times

    def run(
        self, *, seed: int, n_rungs: int, report: Callable[[int, float], bool], interrupted: Callable[[], str | None]
    ) -> Mapping[str, Any] | None:
        draws = {"python": random.random(), "numpy": float(np.random.random()), "torch": float(torch.rand(()))}
        if self.behaviour == "silent":
            return {}
        for rung in range(1, n_rungs + 1):
            for _ in range(round(self.sleep_s * 100)):
                time.sleep(0.01)
                if interrupted() is not None:
                    return None
            value = (self.x - 2) ** 2 + 0.5**rung
            if rung == 2:
                self._misbehave()
            if report(
                rung + (rung > 1 and self.behaviour == "skip"), value if not self._broken(rung) else float("inf")
            ):
                return {"stopped_at": rung}
        returned: dict[str, Mapping[str, Any] | Any] = {
            "object": {"x": self},
            "text": "bottom",
            "long": {"text": "x" * 70_000},
            "not_a_number": {"x": np.nan},
        }
        return returned.get(self.behaviour, {"seed": seed, "x": self.x, "draws": draws})

    def _broken(self, rung: int) -> bool:
        return self.behaviour == "diverge" and rung == 2

    def _misbehave(self) -> None:
        if not _counts(self.marker, self.times):
            return
        if self.behaviour == "raise":
            raise RuntimeError("no bottom")
        if self.behaviour == "kill":
            os.kill(os.getpid(), 9)


def _counts(marker: str | None, times: int) -> bool:
    if marker is None:
        return True
    path = Path(marker)
    with path.open("a") as file:
        file.write("try\n")
    return len(path.read_text().splitlines()) <= times


class NoProcedure:
    """Has no method `run`."""


class Draws:
    """Its value is drawn from its own seed; `kind` is a part that may take the seed instead."""

    def __init__(self, x: float, seed: int = 1, kind: Mapping[str, Any] | None = None) -> None:
        self.x = x
        self.seed = seed if kind is None else kind["seed"]

    def run(
        self, *, seed: int, n_rungs: int, report: Callable[[int, float], bool], interrupted: Callable[[], str | None]
    ) -> Mapping[str, Any]:
        for rung in range(1, n_rungs + 1):
            report(rung, self.x + random.Random(self.seed).random())
        return {"given": self.seed, "trained": seed}


class Valley:
    """A valley of three parameters, which its seed makes rough: of what is kept as test data."""

    def __init__(self, x: float, width: int, kind: str) -> None:
        self.height = (x - 1.5) ** 2 + 0.1 * abs(width - 4) + {"flat": 0.0, "steep": 0.4, "deep": -0.3}[kind]

    def run(
        self, *, seed: int, n_rungs: int, report: Callable[[int, float], bool], interrupted: Callable[[], str | None]
    ) -> Mapping[str, Any]:
        roughness = random.Random(seed).gauss(0.0, 0.1)
        for rung in range(1, n_rungs + 1):
            if report(rung, self.height + roughness + 1.0 / rung):
                break
        return {"roughness": round(roughness, 3)}
