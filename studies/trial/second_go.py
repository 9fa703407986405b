"""Trains a trial, and where memory is short, once more at half the batch: the same seed, from zero, the same budget."""

from __future__ import annotations

from collections.abc import Callable

from studies.config.settings import OutOfMemorySettings
from studies.schema import Failure
from studies.trial.failures import TrainingFailed, classify, free_memory, traced
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.job import Job
from studies.trial.training import Training

REFUSAL = "MisconfigurationException"  # how Lightning refuses to accumulate for a module that steps by itself


def train_within_memory(
    job_of: Callable[[HalfBatch | None], Job],
    train: Callable[[Job], Training],
    *,
    settings: OutOfMemorySettings,
    tell: Callable[[HalfBatch, str], None],
) -> Training:
    """`train` the job at the full batch, and where that runs out of memory, the one at half, if `settings` ask for it.

    `tell(half, message)` is called before the second go. Raises what the last go raises; where there can be none, the
    first one's out-of-memory, with the reason in its message.
    """
    job = job_of(None)
    try:
        return train(job)
    except Exception as error:
        failure, message = classify(error)
        if settings.retry == "none" or failure is not Failure.OUT_OF_MEMORY:
            raise
        half = half_of(job.config, settings.batch_size)
        if half is None:
            reason = f"{message}; not tried at half the batch: {settings.batch_size} is odd"
            raise TrainingFailed(failure, reason, traced(error)) from None
    free_memory()  # not before: an exception that is being handled holds the frames, and those the module
    tell(half, message)
    try:
        return train(job_of(half))
    except Exception as error:
        refusal = classify(error)[1]
        if not refusal.startswith(REFUSAL):
            raise
        reason = f"{message}; not tried at half the batch: {refusal}"
        raise TrainingFailed(failure, reason, traced(error)) from None
