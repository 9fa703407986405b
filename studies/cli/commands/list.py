"""`studies.list`: a row for each study, each followed by the rounds of its selections.

A row has the study's slots, the ends of its trials, its metric, and its best value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from omegaconf import DictConfig
from optuna import Study, load_study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.choice import ranked
from studies.cli.console import print_table
from studies.cli.validation import refuse_bad_name, storage_to_read
from studies.records.eligible import excluded
from studies.records.stored import attributes_of, damage_of, later_schema_of, trials_of
from studies.reporting.goal import stored_goals
from studies.schema import failure_of, is_imported, searched_study, was_interrupted
from studies.storage.described_study import repeats_points
from studies.storage.outage import is_of_a_row, reason
from studies.storage.slots import FINISHED, read_slots
from studies.text.printable import printable
from studies.text.wording import NONE

COLUMNS = ("study", "slots", "trials", "metric", "best")
UNBROKEN = ("study", "slots", "metric")


def list_storage(config: DictConfig) -> int:
    """List the studies in the storage of `config`. Return the exit code."""
    refuse_bad_name(config)
    print_studies(storage_to_read(config))
    return 0


def print_studies(storage: BaseStorage) -> None:
    """Print a row for each study of `storage`."""
    studies = _in_order([load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()])
    searched = {searched_study(study.user_attrs) for study in studies}
    rows = [_study_row(study, is_raced=study.study_name in searched) for study in studies]
    if rows:
        print_table(COLUMNS, [tuple(printable(cell, one_line=True) for cell in row) for row in rows], unbroken=UNBROKEN)
    else:
        print("no studies in this storage")


def _in_order(studies: Sequence[Study]) -> list[Study]:
    """Return the studies in the order of their creation, each followed by the rounds of its selections."""
    names = {study.study_name for study in studies}
    rounds = [study for study in studies if searched_study(study.user_attrs) in names]
    ordered = []
    for study in studies:
        if study not in rounds:
            ordered += [study, *(r for r in rounds if searched_study(r.user_attrs) == study.study_name)]
    return [*ordered, *(study for study in rounds if study not in ordered)]  # rounds of rounds, or of themselves


def _study_row(study: Study, *, is_raced: bool) -> tuple[str, ...]:
    """Return a text for each of `COLUMNS`. A damaged study, such as one that Optuna cannot read, gets its damage.

    `is_raced` says that a selection among the study's best followed.
    """
    try:
        return _row(study, is_raced=is_raced)
    except Exception as error:
        if not is_of_a_row(error):
            raise
        return study.study_name, NONE, f"damaged: {reason(error)}", NONE, NONE


def _row(study: Study, *, is_raced: bool) -> tuple[str, ...]:
    attributes = attributes_of(study)
    name = f"  {study.study_name}" if schema.STUDY_SELECT in attributes else study.study_name
    unread = later_schema_of(study) or damage_of(study)
    if unread is not None:
        return name, NONE, unread, NONE, NONE
    trials = trials_of(study)
    slots = _slots(attributes.get(schema.STUDY_N_TRIALS), trials)
    return name, slots, _endings(trials), _metrics(study), _best(study, trials, is_raced=is_raced)


def _slots(n_trials: object, trials: Sequence[FrozenTrial]) -> str:
    """Return how many slots of the study are finished. Unknown for a study of another tool."""
    if not isinstance(n_trials, int):
        return NONE
    last = [slot.last for slot in read_slots(trials, n_trials)]
    failed = sum(trial.state == TrialState.FAIL and not was_interrupted(trial) for trial in last)
    finished = sum(trial.state in FINISHED for trial in last)
    return f"{finished} of {n_trials}" + (f", {failed} failed" if failed else "")


def _endings(trials: Sequence[FrozenTrial]) -> str:
    """Count how trials ended, and the complete ones that cannot be the best."""
    run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
    counts = Counter(map(_ending, run))
    lost = str(excluded(run))
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
    return f"{told} ({lost})" if lost else told


def _ending(trial: FrozenTrial) -> str:
    """Return in a word how a trial ended."""
    if is_imported(trial) or was_interrupted(trial):
        return "imported" if is_imported(trial) else "interrupted"
    return str(failure_of(trial) or trial.state.name.lower())


def _metrics(study: Study) -> str:
    """Return each metric with its direction. A dash if none has a name."""
    goals = stored_goals(study)
    if all(name == NONE for name, _ in goals):
        return NONE
    return ", ".join(f"{name} ({direction})" for name, direction in goals)


def _best(study: Study, trials: Sequence[FrozenTrial], *, is_raced: bool) -> str:
    """Return the best value and its trial. For a round that estimates one winner, return the winner's mean."""
    attributes = attributes_of(study)
    if any(d.name == "NOT_SET" for d in study.directions) or (len(study.directions) > 1 and not attributes):
        return NONE
    maximize, *then_maximize = (direction.name == "MAXIMIZE" for direction in study.directions)
    choices = ranked(
        trials, maximize=maximize, by_point=repeats_points(study), then_maximize=next(iter(then_maximize), None)
    )
    round_ = schema.read_round(attributes)
    if not choices:
        return NONE
    best = choices[0]
    if round_ is not None:
        if round_.stage != "estimate" or len(choices) > 1:
            return NONE
        rests_on = "one training" if best.n == 1 else f"mean of {best.n} fresh seeds"
        return f"{best.value:.4g} (trial {round_.trials[0]}, {rests_on})"
    seeds = f", mean of {best.n} seeds" if best.n > 1 else ""
    return f"{best.value:.4g} (trial {best.trial.number}{seeds})" + (" before its selection" if is_raced else "")
