"""How trials ended, and all of them in `trials.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from studies import schema
from studies.records.eligible import excluded
from studies.reporting.ending_notes import ending_notes
from studies.reporting.finding import Block, File, Finding, Table, bullets, paragraphs
from studies.reporting.trials_csv import trials_csv
from studies.reporting.view import StudyView
from studies.schema import failure_of
from studies.text.wording import counted

FILES = ("trials.csv",)
MAX_MESSAGES = 5  # of points that failed at every try


def compute(view: StudyView) -> Finding:
    """Return the counts of each ending, with notes on trials without a full result."""
    ended = Counter(str(failure_of(trial) or trial.state.name.lower()) for trial in view.ended)
    rows = tuple((name, str(count)) for name, count in ended.items())
    retried = sum(len(slot.chain) - 1 for slot in view.slots)
    notes = ending_notes(view.ended, n_rungs=view.budget.rungs) if view.settings and view.budget else []
    imports = f"{view.imports}. They fill no slots. Models, analysis and the choice of the best count them."
    retries = f"{counted(retried, 'retry', 'retries')} after an error, an interruption or a lost worker."
    return Finding(
        "How trials ended",
        "caution" if notes else "info",
        blocks=(
            Table(("ending", "trials"), rows),
            *paragraphs(imports if view.imports else "", retries if retried else "", *_cannot_be_best(view)),
            *bullets(notes),
            *_failed_for_good(view),
            File("all trials", FILES[0], _every_trial(view)),
        ),
    )


def _every_trial(view: StudyView) -> str:
    objective = view.settings.objective if view.settings is not None else None
    return trials_csv(
        view.trials,
        budget=view.budget,
        second=objective.second if objective is not None else None,
        tolerance=objective.tolerance if objective is not None else None,
        device_seconds=view.device_seconds,
    )


def _cannot_be_best(view: StudyView) -> Iterator[str]:
    """Yield the counts of complete trials that cannot be the best."""
    lost = excluded(view.ended)
    if lost.infeasible:
        n = counted(lost.infeasible, "complete trial violates", "complete trials violate")
        yield f"{n} a constraint: infeasible, and never the best."
    if lost.infinite:
        n = counted(lost.infinite, "complete trial has", "complete trials have")
        yield f"{n} an infinite value: never the best."


def _failed_for_good(view: StudyView) -> Iterator[Block]:
    if view.rules is None:
        return
    failed = [trial for slot in view.slots for trial in slot.chain if view.rules.has_failed(trial)]
    messages = Counter(str(trial.user_attrs.get(schema.FAILURE_MESSAGE, "no message")) for trial in failed)
    if messages:
        yield from paragraphs("Points that failed at every try:")
        yield from bullets([f"{count} × {message}" for message, count in messages.most_common(MAX_MESSAGES)])
