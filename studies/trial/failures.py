"""Classifies the exceptions of a training for the study."""

from __future__ import annotations

import traceback

import hydra.errors
import torch

from studies.schema import INTERRUPTED, Failure
from studies.text.printable import brief, described, shortened, text_of
from studies.trial.building.package import loaded
from studies.trial.rungs.rungs import Interrupted

OUT_OF_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory", "cublas_status_alloc_failed")
OWN_INTERRUPT = "KeyboardInterrupt: raised by the module itself"
TRACE_LENGTH = 20_000  # characters of a traceback; the rest of a longer one is an exception's own text


class TrainingFailed(Exception):
    """One of the processes of a trial failed or died. The text holds the traceback of that process."""

    def __init__(self, failure: Failure, message: str, trace: str = "") -> None:
        super().__init__(f"{message}\n{trace}".strip())
        self.failure = failure
        self.message = message


def classify(error: BaseException, signal: str | None = None) -> tuple[Failure, str]:
    """Return the failure class of `error` and its message, `Type: text` of the innermost cause.

    `signal` names what stopped the training, if anything did.
    """
    if is_stop(error) or is_stop(_cause(error)):
        return Failure.KILLED, brief(f"{INTERRUPTED} ({signal or text_of(_cause(error))})")
    cause = _cause(error)
    if isinstance(cause, TrainingFailed):
        return cause.failure, brief(cause.message)
    return (Failure.OUT_OF_MEMORY if is_out_of_memory(cause) else Failure.ERROR), described(cause)


def traced(error: BaseException) -> str:
    """Return the traceback of `error`, of a bounded length and without control characters."""
    return shortened("".join(traceback.format_exception(error)).rstrip(), TRACE_LENGTH)


def classify_own(error: BaseException) -> tuple[Failure, str]:
    """Classify as `classify` does, where nobody has asked to stop. A KeyboardInterrupt is then the module's own."""
    return (Failure.ERROR, OWN_INTERRUPT) if is_ctrl_c(error) else classify(error)


def is_stop(error: BaseException) -> bool:
    """Return whether `error` is a request to end the trial, not a failure."""
    return isinstance(error, (Interrupted, KeyboardInterrupt, *(package.sigterm for package in loaded())))


def is_ctrl_c(error: BaseException) -> bool:
    """Return whether `error` is a KeyboardInterrupt, or Lightning's exit because of one."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that the device or the machine has no memory left."""
    if isinstance(error, TrainingFailed):
        return error.failure is Failure.OUT_OF_MEMORY
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in text_of(error).lower() for text in OUT_OF_MEMORY_TEXTS)


def is_lost_device(error: BaseException) -> bool:
    """Return whether the GPU no longer works for this process, as after an illegal access."""
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def _cause(error: BaseException) -> BaseException:
    """Return the error itself, or the one that Hydra wrapped while it instantiated something."""
    while isinstance(error, hydra.errors.HydraException) and error.__cause__ is not None:
        error = error.__cause__
    return error
