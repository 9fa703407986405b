"""Trains a trial once more at half the batch where memory is short: same seed, same budget, from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from studies.config.settings import OutOfMemorySettings
from studies.schema import Failure
from studies.trial.failures import TrainingFailed, classify, free_memory, traced
from studies.trial.half_batch import HalfBatch, half_of
from studies.trial.training import Training

REFUSAL = "MisconfigurationException"  # how Lightning refuses to accumulate for a module that steps by itself


def train_within_memory(
    config: Mapping[str, Any],
    train: Callable[[HalfBatch | None], Training],
    *,
    rule: OutOfMemorySettings,
    halves: Callable[[HalfBatch, str], None],
) -> Training:
    """Train at the full batch of `config`. After out-of-memory train at half of it, if `rule` allows it.

    `halves(half, message)` is called before the second training. Raises the exception of the last training. Where there
    is no second one, raises the out-of-memory failure with the reason in its message.
    """
    try:
        return train(None)
    except Exception as error:
        failure, message = classify(error)
        if rule.retry == "none" or failure is not Failure.OUT_OF_MEMORY:
            raise
        half = half_of(config, rule.batch_size)
        if half is None:
            reason = f"{message}; not tried at half the batch: {rule.batch_size} is odd"
            raise TrainingFailed(failure, reason, traced(error)) from None
    free_memory()  # not inside the handler: the exception keeps the module alive
    halves(half, message)
    try:
        return train(half)
    except Exception as error:
        refusal = classify(error)[1]
        if not refusal.startswith(REFUSAL):
            raise
        reason = f"{message}; not tried at half the batch: {refusal}"
        raise TrainingFailed(failure, reason, traced(error)) from None
