"""Import trials of another study into a new one, exactly once, however many commands open it.

Context: Optuna adds trials one by one. Commands on several machines may open one study at once, and each may die.
Choice: to import, a command leaves a mark, a running trial without training. The first running mark, by
number, imports what is not there yet, and all others wait. Numbers are given out atomically, so every command sees the
earlier marks. A mark without a sign of life is ended like a dead worker's trial, and the next mark continues. Cost:
each mark remains as a void row.

An imported trial fills no slot. Models, pruners, the analysis and the choice of the best see it as any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.schema import fills_a_slot, is_imported
from studies.storage.compatible import Compatible
from studies.storage.lease import Watch, worker_id
from studies.storage.patience import Pause, wait

POLL_S = 0.2


def is_to_import(import_from: str | None, study: Study | None) -> bool:
    """Return whether trials are imported before a study begins. `study` is the stored one, if there is one."""
    return import_from is not None and (study is None or not has_begun(study))


def has_begun(study: Study) -> bool:
    """Return whether it is too late to import: it is done already, or the study began without."""
    if schema.IMPORTED in study.user_attrs:
        return True
    trials = study.get_trials(deepcopy=False)
    return any(map(fills_a_slot, trials)) and not any(schema.IMPORTED_FROM in trial.user_attrs for trial in trials)


def bring_in(found: Compatible, study: Study, storage: BaseStorage, *, lease_s: float, pause: Pause = wait) -> bool:
    """Add the trials of `found` to `study`, or wait while another command does. Return whether all are there.

    False means that `pause` said to give up. Another command, or the next one, then continues.
    """
    watch = Watch(storage, lease_s=lease_s)
    while schema.IMPORTED not in study.user_attrs:
        trials = study.get_trials(deepcopy=False)
        watch.release_stale(study, _marks(trials))
        if not _running(_marks(study.get_trials(deepcopy=False))):
            _try_to_import(found, study, storage, pause)
        if pause(0 if schema.IMPORTED in study.user_attrs else POLL_S):
            return schema.IMPORTED in study.user_attrs
    return True


def told(study: Study) -> str | None:
    """Tell how many trials were imported into `study` and left out. None if it began without."""
    record = study.user_attrs.get(schema.IMPORTED)
    if not isinstance(record, dict):
        return None
    reasons = "; ".join(f"{count}: {reason}" for reason, count in record["left_out"].items())
    total = record["trials"] + sum(record["left_out"].values())
    left_out = f"; left out {reasons}" if reasons else ""
    return f"{record['trials']} of {total} trials of study {record['study']} were imported{left_out}"


def ignored(import_from: str | None, study: Study) -> str | None:
    """Tell that `import_from` does nothing because the study has begun. None if that import is done."""
    if import_from is None or not has_begun(study):
        return None
    record = study.user_attrs.get(schema.IMPORTED)
    if isinstance(record, dict) and record["study"] == import_from:
        return None
    began = f"with trials of {record['study']}" if isinstance(record, dict) else "without imported trials"
    return f"import_from={import_from} does nothing: study {study.study_name} began {began} (resume=fork begins anew)"


def _try_to_import(found: Compatible, study: Study, storage: BaseStorage, wait: Pause) -> None:
    """Leave a mark, and import if it is the first running one."""
    study_id = storage.get_study_id_from_name(study.study_name)
    mark = storage.create_new_trial(study_id, _mark(found.origin))
    try:
        number = storage.get_trial(mark).number
        running = _running(_marks(study.get_trials(deepcopy=False)))
        if running[0] == number and schema.IMPORTED not in study.user_attrs:
            _import(found, study, storage, mark, wait)
    except UpdateFinishedTrialError:
        return  # others took this command for dead, and continue
    finally:
        with contextlib.suppress(UpdateFinishedTrialError):
            storage.set_trial_state_values(mark, TrialState.FAIL)


def _import(found: Compatible, study: Study, storage: BaseStorage, mark: int, wait: Pause) -> None:
    """Add what is not there yet.

    Each step moves the mark's lease on and so shows that this command lives. It fails if another one took over.
    """
    study_id = storage.get_study_id_from_name(study.study_name)
    trials = study.get_trials(deepcopy=False)
    there = {trial.user_attrs[schema.IMPORTED_FROM]["trial"] for trial in trials if is_imported(trial)}
    for n, trial in enumerate(found.trials):
        if trial.user_attrs[schema.IMPORTED_FROM]["trial"] in there:
            continue
        if wait(0):
            return
        storage.set_trial_user_attr(mark, schema.LEASE, n + 1)
        storage.create_new_trial(study_id, trial)
    storage.set_trial_user_attr(mark, schema.LEASE, len(found.trials) + 1)
    record = {"study": found.origin, "trials": len(found.trials), "left_out": dict(found.left_out)}
    study.set_user_attr(schema.IMPORTED, record)


def _mark(origin: str) -> FrozenTrial:
    attributes = {schema.VOID: True, schema.IMPORTED_FROM: {"study": origin, "trial": None}, schema.WORKER: worker_id()}
    return create_trial(state=TrialState.RUNNING, user_attrs=attributes)


def _marks(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if schema.IMPORTED_FROM in t.user_attrs and schema.VOID in t.user_attrs]


def _running(marks: Sequence[FrozenTrial]) -> list[int]:
    """Return the numbers of the running marks, in order."""
    return sorted(mark.number for mark in marks if mark.state == TrialState.RUNNING)
