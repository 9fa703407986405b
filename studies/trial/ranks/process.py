"""What one rank of a trial does from its first to its last line."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from optuna.exceptions import TrialPruned
from torch import distributed

from studies.process.leaving import descendants, end
from studies.process.signals import SIGNALS, follow_parent
from studies.secrets.texts import MaskedStream
from studies.text.printable import brief
from studies.trial.callbacks import Rung
from studies.trial.failures import classify, is_stop, traced
from studies.trial.job import Job
from studies.trial.package import loaded
from studies.trial.ranks.group import Group
from studies.trial.ranks.link import Done, Failed, HowFailed, RankLink
from studies.trial.training import Training, Watchers

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

LOST_PEER_TEXTS = (
    "closed by peer",
    "reset by peer",
    "broken pipe",
    "communicator was aborted",
    "remote process exited",
)
UNUSED_PARAMETERS = "Expected to have finished reduction in the prior iteration"
REMEDY_FOR_UNUSED = "parameters without a gradient need trainer.strategy=ddp_find_unused_parameters_true"


@dataclass(frozen=True, slots=True)
class Seat:
    """A rank's place among the others: where they meet, and the threads that are its own."""

    rank: int
    size: int
    threads: int
    meeting_point: Path


def run_rank(job: Job, seat: Seat, connection: Connection) -> None:
    """Train `job` as one of several, and tell the worker how it ended. Ends at once when the worker is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a signal to all processes is the worker's to pass on
    follow_parent(lambda _reason: _end_without_worker(seat))
    sys.stdout, sys.stderr = MaskedStream(1), MaskedStream(2)
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s rank {seat.rank} %(name)s: %(message)s")
    link = RankLink(connection)
    group = Group(rank=seat.rank, size=seat.size, meeting_point=seat.meeting_point, asked=link.asked)
    try:
        _take(seat)
        training = _train(job, group, link)
    except BaseException as error:  # noqa: BLE001 - the worker judges what it means
        link.end(_failed(error))
        _leave_at_once()
    link.end(Done(training))
    group.leave()


class Alarm:
    """Tells the worker of an exception before anything else is done about it: what is done about it may wait for ranks
    that never come."""

    def __init__(self, link: RankLink, failed: Callable[[BaseException], None]) -> None:
        self._link = link
        self._failed = failed

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Tell the worker, unless it was the worker that wanted it: all ranks leave together then. The loggers end
        their runs first: once the worker knows, it ends this process."""
        if not is_stop(exception):
            self._failed(exception)
            self._link.end(_failed(exception))


def _take(seat: Seat) -> None:
    """Be this rank, for Lightning and for torch."""
    os.environ |= {
        "LOCAL_RANK": str(seat.rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(seat.size),
        "OMP_NUM_THREADS": str(seat.threads),  # given, Lightning leaves the number of threads alone
    }
    for package in loaded():
        package.find("utilities.rank_zero.rank_zero_only").rank = seat.rank
    torch.set_num_threads(seat.threads)


def _train(job: Job, group: Group, link: RankLink) -> Training:
    def agreed(watcher: str, argument: Any) -> bool:
        """What the worker's `watcher` says to rank 0, on all ranks."""
        says = link.call(watcher, argument) if group.rank == 0 else False
        return bool(group.share("verdict", says)[0][0])

    def resumed(rungs: tuple[Rung, ...]) -> None:
        group.share("resumed")  # all of them can go on
        if group.rank == 0:
            link.call("resumed", rungs)

    watchers = Watchers(
        report=partial(agreed, "report"),
        interrupted=group.interrupted,
        saved=partial(link.call, "saved"),  # rank 0's alone
        resumed=resumed,
        keeps=partial(agreed, "keeps"),
    )
    run = job.build(watchers, ranks=group)
    run.trainer.callbacks.insert(0, run.package.callback(Alarm)(link, run.failed))
    group.join(run.trainer.strategy.root_device)
    return run.fit(job.checkpoint)


def _failed(error: BaseException) -> Failed:
    failure, message = classify(error)
    if UNUSED_PARAMETERS in message:
        message = brief(f"{REMEDY_FOR_UNUSED} ({message})")
    how: HowFailed = "failed"
    if isinstance(error, TrialPruned):
        how = "pruned"
    elif is_stop(error):
        how = "interrupted"
    elif _is_lost_peer(error):
        how = "lost_peer"
    return Failed(how, failure, message, traced(error))


def _is_lost_peer(error: BaseException) -> bool:
    """Whether `error` only says that another rank no longer answers."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in LOST_PEER_TEXTS)


def _end_without_worker(seat: Seat) -> NoReturn:
    shutil.rmtree(seat.meeting_point.parent, ignore_errors=True)  # which the worker would have done
    os._exit(1)


def _leave_at_once() -> NoReturn:
    """End without a farewell to the other ranks, which may never answer it."""
    end(descendants(os.getpid()))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
