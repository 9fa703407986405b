"""How trials ended, and all of them in `trials.csv`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from studies import schema
from studies.config.budget import Budget
from studies.config.settings import SecondObjective
from studies.records.eligible import excluded, is_feasible
from studies.records.objectives import convergence, rungs_of, second_of
from studies.reporting.ending_notes import ending_notes
from studies.reporting.finding import Block, File, Finding, Table, bullets, paragraphs
from studies.reporting.view import StudyView
from studies.schema import attempt_of, failure_of
from studies.storage.slots import read_slots
from studies.text.wording import counted

FILES = ("trials.csv",)
MAX_MESSAGES = 5  # of points that failed at every try
COLUMNS = (
    *("number", "slot", "state", "failure", "failure_message", "value"),
    *("seconds", "device_seconds", "steps", "rungs"),
)
FEASIBLE = "feasible"
PLACE = "place"  # the column of a trial's device slot
RECORDED = (schema.SAMPLES_SEEN, schema.CONVERGENCE, "epochs_to_convergence", schema.REPLICATE, schema.SEED)
ORIGIN = (
    *(schema.SOURCE, schema.ATTEMPT, schema.RETRY_OF, schema.IMPORTED_FROM, schema.RESUMED_FROM, schema.RESTARTED),
    *(schema.DEVICE, schema.PROCESSOR, PLACE, schema.WORKER, schema.PEAK_MEMORY_MB, schema.BATCH_HALVED),
)
AS_RECORDED = (
    *(schema.REPLICATE, schema.SEED, schema.SOURCE, schema.RETRY_OF, schema.RESTARTED),
    *(schema.DEVICE, schema.PROCESSOR, schema.WORKER, schema.PEAK_MEMORY_MB),
)


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
        tolerance=objective.small if objective is not None else None,
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


def trials_csv(
    trials: Sequence[FrozenTrial],
    *,
    budget: Budget | None = None,
    second: SecondObjective | None = None,
    tolerance: float | None = None,
    device_seconds: Mapping[int, float] | None = None,
) -> str:
    """Return every trial as a row of CSV.

    Columns beside the fixed ones:

    - `params_NAME`: a parameter, empty for an inactive one.
    - `result_NAME`: a returned value of a procedure, except lists and mappings.
    - `linked_PATH`: a value that `links` read off the data.
    - `second_METRIC`: the value of a `second` objective.
    - `feasible`: whether the trial satisfies its constraints. Only in studies with constraints.

    Epochs need a `budget`. Convergence goes by `tolerance`, or else by the trials' own records. `device_seconds` maps
    the number of a trial to its time.
    """
    extra = [f"second_{second.metric}"] if second is not None else []
    has_constraints = any(trial.constraints for trial in trials)
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    results = list(dict.fromkeys(name for trial in trials for name in (*_linked(trial), *_results(trial))))
    slots = {slot.chain[0].number: slot.index for slot in read_slots(trials)}
    params = [f"params_{name}" for name in names]
    feasible = [FEASIBLE] if has_constraints else []
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*COLUMNS, *extra, *feasible, *RECORDED, *ORIGIN, *params, *results])
    writer.writeheader()
    for trial in trials:
        point = {f"params_{name}": trial.params.get(name) for name in names}
        values = {"value": trial.values[0] if trial.values else None, extra[0]: second_of(trial)} if extra else {}
        rung = converged_at(trial, tolerance)
        held = {"device_seconds": (device_seconds or {}).get(trial.number)}
        kept = {FEASIBLE: is_feasible(trial)} if has_constraints else {}
        found = {**_linked(trial), **_results(trial)}
        writer.writerow({**_row(trial, slots, budget, rung), **held, **values, **kept, **point, **found})
    return text.getvalue()


def converged_at(trial: FrozenTrial, tolerance: float | None) -> int | None:
    """Return the rung of convergence of a trial. None if it recorded none."""
    recorded: int | None = trial.user_attrs.get(schema.CONVERGENCE)
    if recorded is None or tolerance is None:
        return recorded
    return convergence(rungs_of(trial), tolerance=tolerance) or recorded


def epochs_at(rung: int | None, budget: Budget | None) -> float | None:
    """Return the epochs until a rung. None unless the budget is in epochs, one a rung."""
    return None if rung is None or budget is None or budget.unit != "epochs" else float(rung)


def _row(trial: FrozenTrial, slots: Mapping[int, int], budget: Budget | None, converged: int | None) -> dict[str, Any]:
    recorded = trial.user_attrs
    seen = recorded.get(schema.SAMPLES_SEEN)
    void = schema.VOID in recorded
    return {
        "number": trial.number,
        "slot": None if void else slots.get(trial.number, recorded.get(schema.SLOT)),
        "state": "VOID" if void else trial.state.name,
        "failure": failure_of(trial),
        "failure_message": recorded.get(schema.FAILURE_MESSAGE),
        "value": ";".join(map(repr, trial.values or [])),
        "seconds": recorded.get(schema.SECONDS),
        "steps": recorded.get(schema.STEPS),
        "rungs": len(rungs_of(trial)),
        schema.SAMPLES_SEEN: seen[-1] if isinstance(seen, list) and seen else None,
        schema.CONVERGENCE: converged,
        "epochs_to_convergence": epochs_at(converged, budget),
        schema.ATTEMPT: attempt_of(trial),
        **{key: recorded.get(key) for key in AS_RECORDED},
        PLACE: schema.recorded(recorded, schema.DEVICE_SLOT),
        schema.IMPORTED_FROM: _imported(recorded.get(schema.IMPORTED_FROM)),
        schema.RESUMED_FROM: _resumed(recorded.get(schema.RESUMED_FROM)),
        schema.BATCH_HALVED: _half(recorded.get(schema.BATCH_HALVED)),
    }


def _linked(trial: FrozenTrial) -> dict[str, Any]:
    """Return the values that links read off the trial's data."""
    found = trial.user_attrs.get(schema.LINKED)
    return {f"linked_{path}": value for path, value in found.items()} if isinstance(found, dict) else {}


def _results(trial: FrozenTrial) -> dict[str, Any]:
    """Return the values of a procedure that fit into cells."""
    found = trial.user_attrs.get(schema.RESULT)
    plain = found.items() if isinstance(found, dict) else ()
    return {f"result_{name}": value for name, value in plain if not isinstance(value, list | dict)}


def _resumed(recorded: Any) -> str | None:
    """Return the checkpoint that a trial resumed from, in words."""
    return f"trial {recorded.get('trial')}, rung {recorded.get('rung')}" if isinstance(recorded, dict) else None


def _imported(recorded: Any) -> str | None:
    """Return the origin of an imported trial, in words. A mark of importing names the study alone."""
    if not isinstance(recorded, dict):
        return None
    trial = f", trial {recorded['trial']}" if recorded.get("trial") is not None else ""
    return f"{recorded.get('study')}{trial}"


def _half(recorded: Any) -> str | None:
    """Return "batches a step × samples a batch" of a trial with a halved batch."""
    if not isinstance(recorded, dict):
        return None
    return f"{recorded.get('accumulate_grad_batches')} × {recorded.get('batch_size')}"
