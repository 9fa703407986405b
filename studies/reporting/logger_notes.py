"""Notes on loggers that failed while trials went on without them."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from studies import schema
from studies.text.wording import counted


def logger_notes(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return a sentence for each logger that failed in one of `trials`, with the first failure's message."""
    failures: dict[str, list[str]] = {}
    for trial in trials:
        recorded = trial.user_attrs.get(schema.LOGGER_FAILURES)
        for name, message in recorded.items() if isinstance(recorded, dict) else ():
            failures.setdefault(str(name), []).append(str(message))
    return [_note(name, messages) for name, messages in failures.items()]


def _note(name: str, messages: Sequence[str]) -> str:
    n = counted(len(messages), "trial", "trials")
    return f"loggers.{name} failed in {n}, and the trainings went on without it ({messages[0]})"
