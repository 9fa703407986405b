"""The life of one rank of a trial."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import distributed

from studies.process.leaving import descendants, end
from studies.process.signals import SIGNALS, follow_parent
from studies.secrets.texts import MaskedStream
from studies.text.printable import brief
from studies.trial.building.package import loaded
from studies.trial.failures import classify, is_stop, traced
from studies.trial.job import Job
from studies.trial.ranks.group import RankGroup, RankSetup
from studies.trial.ranks.messages import Failed, HowFailed, RankLink
from studies.trial.rungs.rungs import Rung
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


def run_rank(job: Job, rank_setup: RankSetup, connection: Connection) -> None:
    """Train `job` as one rank, and tell the worker how it ended. Ends at once when the worker is gone."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # only the worker reacts to signals
    follow_parent(lambda _reason: _end_without_worker(rank_setup))
    sys.stdout, sys.stderr = MaskedStream(1), MaskedStream(2)
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s %(levelname)s rank {rank_setup.rank} %(name)s: %(message)s"
    )
    pipe = RankLink(connection)
    group = RankGroup(rank_setup, asked=pipe.asked)
    try:
        _take(rank_setup)
        training = _train(job, group, pipe)
    except BaseException as error:  # noqa: BLE001 - the worker judges it
        pipe.end(_failed(error, job.prunes))
        _leave_at_once()
    pipe.end(training)
    group.leave()


class Alarm:
    """Tells the worker of an exception first: everything else may wait for ranks that never come."""

    def __init__(
        self, pipe: RankLink, failed: Callable[[BaseException], None], *, prunes: tuple[type[Exception], ...]
    ) -> None:
        self._pipe = pipe
        self._failed = failed
        self._prunes = prunes

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the runs of the loggers and tell the worker, which then ends this process.

        A stop that the worker asked for is not told: all ranks leave together then.
        """
        if not is_stop(exception):
            self._failed(exception)
            self._pipe.end(_failed(exception, self._prunes))


def _take(rank_setup: RankSetup) -> None:
    """Set the number of this rank and its threads for Lightning and torch."""
    os.environ |= {
        "LOCAL_RANK": str(rank_setup.rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(rank_setup.size),
        "OMP_NUM_THREADS": str(rank_setup.threads),  # set, so Lightning leaves the number of threads alone
    }
    for package in loaded():
        package.find("utilities.rank_zero.rank_zero_only").rank = rank_setup.rank
    torch.set_num_threads(rank_setup.threads)


def _train(job: Job, group: RankGroup, pipe: RankLink) -> Training:
    def agreed(watcher: str, argument: Any) -> bool:
        """Return the answer of the worker's `watcher` to rank 0, on all ranks."""
        says = pipe.call(watcher, argument) if group.rank == 0 else False
        return bool(group.share("verdict", says)[0][0])

    def resumed(rungs: tuple[Rung, ...]) -> None:
        group.share("resumed")  # all of them can resume
        if group.rank == 0:
            pipe.call("resumed", rungs)

    watchers = Watchers(
        report=partial(agreed, "report"),
        interrupted=group.interrupted,
        saved=partial(pipe.call, "saved"),  # called by rank 0 only
        resumed=resumed,
        keeps=partial(agreed, "keeps"),
    )
    run = job.build(watchers, ranks=group)
    run.trainer.callbacks.insert(0, run.package.callback(Alarm)(pipe, run.failed, prunes=job.prunes))
    group.join(run.trainer.strategy.root_device)
    return run.fit(job.checkpoint)


def _failed(error: BaseException, prunes: tuple[type[Exception], ...]) -> Failed:
    failure, message = classify(error)
    if UNUSED_PARAMETERS in message:
        message = brief(f"{REMEDY_FOR_UNUSED} ({message})")
    how: HowFailed = "failed"
    if isinstance(error, prunes):
        how = "pruned"
    elif is_stop(error):
        how = "interrupted"
    elif _is_lost_peer(error):
        how = "lost_peer"
    return Failed(how, failure, message, traced(error))


def _is_lost_peer(error: BaseException) -> bool:
    """Return whether `error` only says that another rank no longer answers."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in LOST_PEER_TEXTS)


def _end_without_worker(rank_setup: RankSetup) -> NoReturn:
    shutil.rmtree(rank_setup.meeting_point.parent, ignore_errors=True)  # in the worker's place
    os._exit(1)


def _leave_at_once() -> NoReturn:
    """End without leaving the group: the other ranks may never answer."""
    end(descendants(os.getpid()))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
