"""The rank processes of a trial, seen from its worker: started for the trial, followed, and ended with it.

Context: ranks that wait for each other hang when one of them dies, and only a process outside sees it. Choice: the
worker trains nothing itself. It starts one process a device for each trial, answers rank 0, and ends them all at the
first failure. So no rank opens the storage, and no trial inherits anything from the previous one. Cost: a fork server a
worker, and some tenths of a second a trial (some seconds with CUDA).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from studies.process.signals import SIGNALS, ctrl_c_blocked
from studies.schema import Failure
from studies.secrets.texts import known, run_knowing
from studies.trial.failures import TrainingFailed
from studies.trial.job import Job
from studies.trial.ranks.group import RankSetup
from studies.trial.ranks.messages import Answer, Call, Failed, Stop
from studies.trial.ranks.rank import run_rank
from studies.trial.rungs.rungs import Interrupted
from studies.trial.training import Training, Watchers

TICK_S = 0.2
GRACE_S = 10.0  # for ranks asked to stop; a longer batch or validation is cut off
SETTLE_S = 5.0  # after a rank has lost another, until the lost one's failure is known
UNKNOWN = 255  # the exit code of a process without its fork server; it may be alive
LEAVE_S = 30.0  # between the ends of the first rank and the last


@dataclass(slots=True)
class _RankProcess:
    rank: int
    process: ForkServerProcess
    pipe: Connection
    ended: Training | Failed | None = None
    is_silent: bool = False  # its end of the pipe is closed
    is_gone: bool = False


def train_in_ranks(job: Job, *, n_ranks: int, watchers: Watchers) -> Training:
    """Train `job` in `n_ranks` processes, which share this process's number of threads.

    Raises `TrainingFailed` for a rank that fails or dies, `Interrupted`, the module's own exception among `job.prunes`,
    and any exception of the watchers. No rank outlives the call.
    """
    with TemporaryDirectory(prefix="ranks-", ignore_cleanup_errors=True) as folder:
        processes = _RankProcesses(job, n_ranks=n_ranks, meeting_point=Path(folder, "meeting-point"))
        try:
            processes.start()
            return processes.follow(watchers)
        finally:
            processes.end()


class _RankProcesses:
    """The processes of one trial."""

    def __init__(self, job: Job, *, n_ranks: int, meeting_point: Path) -> None:
        self._job = job
        self._n_ranks = n_ranks
        self._meeting_point = meeting_point
        self._processes: list[_RankProcess] = []
        self._reason: str | None = None

    def start(self) -> None:
        """Start all ranks."""
        context: ForkServerContext = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["studies.trial.ranks.preload"])
        for rank in range(self._n_ranks):
            self._processes.append(self._start(context, rank))

    def follow(self, watchers: Watchers) -> Training:
        """Answer the ranks until all have ended. Return the training of rank 0."""
        stop_by = lost_since = done_since = float("inf")
        while True:
            self._listen(watchers)
            now = time.monotonic()
            reason = watchers.interrupted()
            if reason is not None and self._reason is None:
                self._reason, stop_by = reason, now + GRACE_S
                self._send(self._processes[0], Stop(reason))
            words = [child.ended for child in self._processes]
            self._raise_for(words)
            if self._reason is not None and now > stop_by:
                raise Interrupted(self._reason)
            lost = [word for word in words if isinstance(word, Failed)]
            lost_since = min(lost_since, now) if lost else lost_since
            if lost and self._reason is None and now - lost_since > SETTLE_S:
                raise TrainingFailed(lost[0].failure, lost[0].message, lost[0].trace)
            done = [word for word in words if isinstance(word, Training)]
            if len(done) == self._n_ranks:
                self._wait_for_exits()
                return done[0]
            done_since = min(done_since, now) if done else done_since
            if done and now - done_since > LEAVE_S:
                late = ", ".join(str(child.rank) for child in self._processes if child.ended is None)
                raise TrainingFailed(
                    Failure.ERROR, f"rank {late} was still training {LEAVE_S:g} s after another rank had ended"
                )

    def _start(self, context: ForkServerContext, rank: int) -> _RankProcess:
        ours, theirs = context.Pipe()
        threads = max(1, torch.get_num_threads() // self._n_ranks)
        rank_setup = RankSetup(rank, self._n_ranks, threads, self._meeting_point)
        arguments = (self._job, rank_setup, theirs)
        process = context.Process(target=run_knowing, args=(known(), run_rank, arguments), name=f"rank-{rank}")
        try:
            with ctrl_c_blocked(*SIGNALS):  # in the fork server too: only the worker reacts to signals
                process.start()
        except (EOFError, OSError) as error:  # the fork server was killed; the next trial starts a new one
            ours.close()
            raise TrainingFailed(Failure.KILLED, f"rank {rank} of {self._n_ranks} could not be started") from error
        finally:
            theirs.close()
        return _RankProcess(rank, process, ours)

    def _listen(self, watchers: Watchers) -> None:
        """Take in the messages of the ranks and answer them. Wait for a while if there are none."""
        pipes: list[Any] = [child.pipe for child in self._processes if not child.is_silent]
        alive: list[Any] = [child.process.sentinel for child in self._processes if not child.is_gone]
        ready = multiprocessing.connection.wait([*pipes, *alive], timeout=TICK_S)
        for child in self._processes:
            if child.pipe in ready:
                self._take_in(child, watchers)
            elif child.process.sentinel in ready:
                child.is_gone = True  # all its messages have been read

    def _take_in(self, child: _RankProcess, watchers: Watchers) -> None:
        try:
            message = child.pipe.recv()
        except (EOFError, OSError):
            child.is_silent = True
            return
        if isinstance(message, Call):
            self._send(child, Answer(getattr(watchers, message.name)(message.argument)))
        else:
            child.ended = message

    def _send(self, child: _RankProcess, message: Answer | Stop) -> None:
        try:
            child.pipe.send(message)
        except OSError:  # it has just died: its sentinel tells
            child.is_silent = True

    def _raise_for(self, words: list[Training | Failed | None]) -> None:
        """Raise the failure in the last messages of the ranks, or in a death without a message."""
        for word in words:
            if isinstance(word, Failed) and word.how == "failed":
                raise TrainingFailed(word.failure, word.message, word.trace)
            if isinstance(word, Failed) and word.how == "pruned":
                raise self._job.prunes[0](word.message)
        dead = [child for child in self._processes if child.is_gone and child.ended is None]
        stopped = [word for word in words if isinstance(word, Failed) and word.how == "interrupted"]
        if self._reason is not None and (dead or len(stopped) == self._n_ranks):
            raise Interrupted(self._reason)
        if dead:
            how = _death(dead[0].process.exitcode)
            raise TrainingFailed(Failure.KILLED, f"rank {dead[0].rank} of {self._n_ranks} died ({how})")

    def _wait_for_exits(self) -> None:
        deadline = time.monotonic() + GRACE_S
        for child in self._processes:
            child.process.join(max(0.0, deadline - time.monotonic()))

    def end(self) -> None:
        """Kill the ranks that still live: their worker has everything it needs from them."""
        for child in self._processes:
            if child.process.exitcode in (None, UNKNOWN):
                with contextlib.suppress(ProcessLookupError):
                    assert child.process.pid is not None
                    os.kill(child.process.pid, signal.SIGKILL)
        for child in self._processes:
            child.process.join()
            child.pipe.close()


def _death(code: int | None) -> str:
    """Return an exit code in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    known = {int(number): number.name for number in signal.Signals}
    return known.get(-code, f"signal {-code}")
