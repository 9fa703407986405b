"""The ranks of a trial as a group of processes on one machine that talk to each other.

Context: besides gradients the ranks agree on a few numbers, now and then. Choice: they have a second group on the CPU
(gloo), without a timeout. So no agreement waits for a GPU, and the worker watches for deaths. They meet in a file, not
at a port that another process may take first. Cost: a tenth of a millisecond an agreement. So ranks look at the clock
together about ten times a second, not after every batch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import torch
from torch import distributed
from torch.distributed import FileStore  # type: ignore[attr-defined]

from studies.trial.ranks.agreement import RanksOutOfStep, SyncPoint, TrialRanks

SYNC_POINTS: tuple[str, ...] = get_args(SyncPoint)
WIDTH = 3  # at most so many numbers are shared at once
CHECK_EVERY_S = 0.1  # between common looks at the clock and at requests to stop
MAX_BATCHES = 32  # between two looks at most: batches may become slow
FOR_EVER = timedelta(days=365)
LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class RankSetup:
    """The settings of one rank: its number, their number, its threads, and the file in which all meet."""

    rank: int
    size: int
    threads: int
    meeting_point: Path


class RankGroup(TrialRanks):
    """One rank's view of its group. `asked() -> str | None` is the worker's wish to end the trial, known to rank 0."""

    def __init__(self, setup: RankSetup, *, asked: Callable[[], str | None]) -> None:
        self.rank = setup.rank
        self.size = setup.size
        self._meeting_point = setup.meeting_point
        self._asked = asked
        self._control: distributed.ProcessGroup | None = None
        self._now = self._checked_at = time.perf_counter()
        self._between = self._left = 1

    def join(self, device: torch.device) -> None:
        """Meet the other ranks. Lightning finds the group and makes none of its own."""
        if Path("/sys/class/net", LOOPBACK).exists():
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)  # the host's name may resolve to another one
        on_gpu = device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device)
        distributed.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=FileStore(str(self._meeting_point), self.size),
            rank=self.rank,
            world_size=self.size,
            device_id=device if on_gpu else None,
        )
        self._control = distributed.new_group(backend="gloo", timeout=FOR_EVER)

    def leave(self) -> None:
        """Leave the group after a training that has ended on all ranks."""
        distributed.destroy_process_group()

    def share(self, point: SyncPoint, *numbers: float) -> list[tuple[float, ...]]:
        """Return up to three `numbers` of every rank, by rank. Raises `RanksOutOfStep` where a rank is elsewhere."""
        assert len(numbers) <= WIDTH
        own = torch.tensor([SYNC_POINTS.index(point), *numbers, *[0.0] * (WIDTH - len(numbers))], dtype=torch.float64)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(rows, own, group=self._control)
        given = [row.tolist() for row in rows]
        points = [SYNC_POINTS[int(row[0])] for row in given]
        if len(set(points)) > 1:
            where = ", ".join(f"rank {rank} at {point}" for rank, point in enumerate(points))
            raise RanksOutOfStep(
                f"the ranks are out of step ({where}): on some only, something stops the training or ends an epoch"
            )
        return [tuple(row[1 : 1 + len(numbers)]) for row in given]

    def gather(self, value: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the `value` of every rank, by rank."""
        values: list[dict[str, Any]] = [{} for _ in range(self.size)]
        distributed.all_gather_object(values, value, group=self._control)
        return values

    def average(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the mean over all ranks, on the CPU."""
        mean = tensor.detach().to("cpu", copy=True)
        distributed.all_reduce(mean, group=self._control)
        return mean / self.size

    def read_clock(self) -> None:
        """Take the time of rank 0 for all ranks."""
        self._checked_at = time.perf_counter()
        ((self._now,), *_) = self.share("clock", self._checked_at)

    def interrupted(self) -> str | None:
        """Return the agreed reason to stop, or None. All ranks call it after each batch, and agree every few calls."""
        self._left -= 1
        if self._left > 0:
            return None
        now = time.perf_counter()
        batch_s = (now - self._checked_at) / self._between
        wanted = min(int(CHECK_EVERY_S / batch_s) if batch_s else MAX_BATCHES, 2 * self._between, MAX_BATCHES)
        reason = self._asked()
        rows = self.share("check-in", now, float(reason is not None), max(1, wanted))
        self._now, stops, between = rows[0]
        self._checked_at = now
        self._between = self._left = int(between)
        return (reason or "asked by rank 0") if stops else None

    def now(self) -> float:
        """Return the clock of rank 0 at the last common look."""
        return self._now
