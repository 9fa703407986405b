"""Notes on trials without a value, on values of an earlier rung than the last, and on loggers that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.schema import Failure, failure_of, is_imported, was_interrupted
from studies.text.wording import counted

UNTOLD = "no message"


def ending_notes(trials: Sequence[FrozenTrial], *, n_rungs: int) -> list[str]:
    """Return a sentence for each kind of ending without a full result. The budget has `n_rungs` rungs."""
    own = [trial for trial in trials if not is_imported(trial) and not was_interrupted(trial)]
    return [*_failures(own), *_early(own, n_rungs), *_left_changed(own)]


def logger_notes(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return a sentence for each logger that failed in one of `trials`, with the first failure's message."""
    failures: dict[str, list[str]] = {}
    for trial in trials:
        recorded = trial.user_attrs.get(schema.LOGGER_FAILURES)
        for name, message in recorded.items() if isinstance(recorded, dict) else ():
            failures.setdefault(str(name), []).append(str(message))
    return [
        f"loggers.{name} failed in {counted(len(messages), 'trial', 'trials')}, and the trainings went on without it "
        f"({messages[0]})"
        for name, messages in failures.items()
    ]


def _failures(trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Yield the most frequent message of each failure."""
    reasons: dict[Failure, Counter[str]] = {}
    for trial in trials:
        failure = failure_of(trial)
        if failure is not None and schema.VOID not in trial.user_attrs:
            message = str(trial.user_attrs.get(schema.FAILURE_MESSAGE, UNTOLD)).partition("\n")[0]
            reasons.setdefault(failure, Counter())[message] += 1
    for failure, messages in reasons.items():
        (message, n), *others = messages.most_common()
        often = f", {n} of them so" if others else ""
        yield f"{counted(messages.total(), 'trial', 'trials')} ended as {failure}: {message}{often}"


def _early(trials: Sequence[FrozenTrial], n_rungs: int) -> Iterator[str]:
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    n = sum(0 < _last_rung(trial) < n_rungs for trial in complete)
    if n:
        have = "has its value" if n == 1 else "have their values"
        yield (
            f"{counted(n, 'complete trial', 'complete trials')} {have} from an earlier rung than the last: a callback "
            "ended the training there, or the metric was not logged later"
        )


def _left_changed(trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Note process-wide changes of trials that could not be undone."""
    left = Counter(
        str(trial.user_attrs[schema.LEFT_CHANGED]) for trial in trials if schema.LEFT_CHANGED in trial.user_attrs
    )
    if left:
        yield (
            f"{counted(left.total(), 'trial', 'trials')} changed for a whole process what cannot be put back for sure "
            f"({left.most_common(1)[0][0]}): the next trial of the worker begins in a new process, but only with "
            "launcher=local"
        )


def _last_rung(trial: FrozenTrial) -> int:
    """Return the last rung with a value, or 0."""
    told = trial.user_attrs.get(schema.RUNGS) or ()
    return max([*trial.intermediate_values, *(int(index) for index, _ in told)], default=0)
