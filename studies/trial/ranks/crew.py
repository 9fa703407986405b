"""The ranks of one trial as its worker sees them: started for the trial, followed, and ended with it.

Context: ranks that wait for each other hang when one of them dies, and only somebody outside sees it. Choice: the
worker trains nothing itself; it starts one process a device for each trial, answers rank 0, and at the first sign of
trouble ends them all. So no rank opens the storage, and no trial inherits anything from the one before. Cost: a fork
server a worker, and some tenths of a second a trial (some seconds where CUDA has to wake up).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from optuna.exceptions import TrialPruned

from studies.process.signals import SIGNALS, ctrl_c_blocked
from studies.schema import Failure
from studies.secrets.texts import known, run_knowing
from studies.trial.callbacks import Interrupted
from studies.trial.failures import TrainingFailed
from studies.trial.job import Job
from studies.trial.ranks.link import Answer, Call, Done, Failed, Stop
from studies.trial.ranks.process import Seat, run_rank
from studies.trial.training import Training, Watchers

TICK_S = 0.2
GRACE_S = 10.0  # for ranks that were asked to stop; a batch or a validation that takes longer is cut off
SETTLE_S = 5.0  # between one rank's loss of another and the news of what became of that one
UNKNOWN = 255  # the exit code of a process whose fork server is gone; it may live
LEAVE_S = 30.0  # between the end of the first rank and that of the last


@dataclass(slots=True)
class _Member:
    rank: int
    process: ForkServerProcess
    pipe: Connection
    ended: Done | Failed | None = None
    is_silent: bool = False  # its end of the pipe is closed
    is_gone: bool = False


def train_in_ranks(job: Job, *, n_ranks: int, watchers: Watchers) -> Training:
    """Train `job` in `n_ranks` processes, which share this process's number of threads.

    Raises `TrainingFailed` where a rank fails or dies, `Interrupted`, `TrialPruned` where the module itself prunes, and
    whatever the watchers raise. No rank outlives the call.
    """
    with Crew(job, n_ranks=n_ranks) as crew:
        return crew.follow(watchers)


class Crew:
    """The processes of one trial; a context manager around their life."""

    def __init__(self, job: Job, *, n_ranks: int) -> None:
        self._job = job
        self._n_ranks = n_ranks
        self._members: list[_Member] = []
        self._folder = Path()
        self._reason: str | None = None

    def __enter__(self) -> Crew:
        context: ForkServerContext = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["studies.trial.ranks.preload"])
        self._folder = Path(tempfile.mkdtemp(prefix="ranks-"))
        try:
            for rank in range(self._n_ranks):
                self._members.append(self._start(context, rank))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def follow(self, watchers: Watchers) -> Training:
        """Answer the ranks until they have ended; what rank 0 brings."""
        stop_by = lost_since = done_since = float("inf")
        while True:
            self._listen(watchers)
            now = time.monotonic()
            reason = watchers.interrupted()
            if reason is not None and self._reason is None:
                self._reason, stop_by = reason, now + GRACE_S
                self._send(self._members[0], Stop(reason))
            words = [member.ended for member in self._members]
            self._raise_for(words)
            if self._reason is not None and now > stop_by:
                raise Interrupted(self._reason)
            lost = [word for word in words if isinstance(word, Failed)]
            lost_since = min(lost_since, now) if lost else lost_since
            if lost and self._reason is None and now - lost_since > SETTLE_S:
                raise TrainingFailed(lost[0].failure, lost[0].message, lost[0].trace)
            done = [word for word in words if isinstance(word, Done)]
            if len(done) == self._n_ranks:
                self._wait_for_exits()
                return done[0].training
            done_since = min(done_since, now) if done else done_since
            if done and now - done_since > LEAVE_S:
                late = ", ".join(str(member.rank) for member in self._members if member.ended is None)
                raise TrainingFailed(Failure.ERROR, f"rank {late} still trained {LEAVE_S:g} s after another had ended")

    def _start(self, context: ForkServerContext, rank: int) -> _Member:
        ours, theirs = context.Pipe()
        threads = max(1, torch.get_num_threads() // self._n_ranks)
        seat = Seat(rank, self._n_ranks, threads, self._folder / "meeting-point")
        arguments = (self._job, seat, theirs)
        process = context.Process(target=run_knowing, args=(known(), run_rank, arguments), name=f"rank-{rank}")
        try:
            with ctrl_c_blocked(*SIGNALS):  # the fork server too: a signal to all processes is the worker's to pass on
                process.start()
        except (EOFError, OSError) as error:  # the fork server was killed; the next trial starts another one
            ours.close()
            raise TrainingFailed(Failure.KILLED, f"rank {rank} of {self._n_ranks} could not be started") from error
        finally:
            theirs.close()
        return _Member(rank, process, ours)

    def _listen(self, watchers: Watchers) -> None:
        """Take in what the ranks say, and answer; wait for a while if they say nothing."""
        pipes: list[Any] = [member.pipe for member in self._members if not member.is_silent]
        alive: list[Any] = [member.process.sentinel for member in self._members if not member.is_gone]
        ready = multiprocessing.connection.wait([*pipes, *alive], timeout=TICK_S)
        for member in self._members:
            if member.pipe in ready:
                self._take_in(member, watchers)
            elif member.process.sentinel in ready:
                member.is_gone = True  # and all that it said has been read

    def _take_in(self, member: _Member, watchers: Watchers) -> None:
        try:
            message = member.pipe.recv()
        except (EOFError, OSError):
            member.is_silent = True
            return
        if isinstance(message, Call):
            self._send(member, Answer(getattr(watchers, message.name)(message.argument)))
        else:
            member.ended = message

    def _send(self, member: _Member, message: Answer | Stop) -> None:
        try:
            member.pipe.send(message)
        except OSError:  # it has just died, which its sentinel tells
            member.is_silent = True

    def _raise_for(self, words: list[Done | Failed | None]) -> None:
        """Raise what the ranks' `words`, or their death without a word, mean for the trial."""
        for word in words:
            if isinstance(word, Failed) and word.how == "failed":
                raise TrainingFailed(word.failure, word.message, word.trace)
            if isinstance(word, Failed) and word.how == "pruned":
                raise TrialPruned(word.message)
        dead = [member for member in self._members if member.is_gone and member.ended is None]
        stopped = [word for word in words if isinstance(word, Failed) and word.how == "interrupted"]
        if self._reason is not None and (dead or len(stopped) == self._n_ranks):
            raise Interrupted(self._reason)
        if dead:
            how = _death(dead[0].process.exitcode)
            raise TrainingFailed(Failure.KILLED, f"rank {dead[0].rank} of {self._n_ranks} died ({how})")

    def _wait_for_exits(self) -> None:
        deadline = time.monotonic() + GRACE_S
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))

    def _end(self) -> None:
        """End every rank that still lives: none has anything to save that the worker has not got."""
        for member in self._members:
            if member.process.exitcode in (None, UNKNOWN):
                with contextlib.suppress(ProcessLookupError):
                    assert member.process.pid is not None
                    os.kill(member.process.pid, signal.SIGKILL)
        for member in self._members:
            member.process.join()
            member.pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _death(code: int | None) -> str:
    """An exit code in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    known = {int(number): number.name for number in signal.Signals}
    return known.get(-code, f"signal {-code}")
