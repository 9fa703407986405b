"""`python -m studies.list [storage.url=…]`: the studies of a storage, how far they are, and their best values.

The rounds of a selection stand below the study whose best they compare; no single value of theirs is a best one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.command import command

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def list_studies(config: DictConfig) -> int:
    """Print one line a study."""
    from optuna import load_study
    from rich.console import Console
    from rich.table import Table

    from studies import schema
    from studies.admission import existing_storage
    from studies.analysis.choice import best_of
    from studies.schema import failure_of, is_imported

    storage = existing_storage(config)
    table = Table(title=None)
    for column in ("study", "slots", "trials", "metric", "best trial"):
        table.add_column(column, overflow="fold")
    for study in _in_order([load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()]):
        round_of = study.user_attrs.get(schema.STUDY_SELECT)
        trials = study.get_trials(deepcopy=False)
        metric = study.user_attrs.get(schema.STUDY_METRIC, {}).get("name", "–")
        is_own = len(study.directions) == 1 or schema.STUDY_FINGERPRINT in study.user_attrs
        best = best_of(trials, maximize=study.directions[0].name == "MAXIMIZE") if is_own else None
        shown = f"{best.value:.4g} (trial {best.number})" if best is not None and round_of is None else "–"
        run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
        counts = Counter(
            "imported" if is_imported(trial) else str(failure_of(trial) or trial.state.name.lower()) for trial in run
        )
        states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
        table.add_row(
            f"  {study.study_name}" if round_of is not None else study.study_name,
            _slots(study.user_attrs.get(schema.STUDY_N_TRIALS), trials),
            states,
            metric,
            shown,
        )
    Console().print(table if table.row_count else "no studies in this storage")
    return 0


def _in_order(studies: Sequence[Study]) -> list[Study]:
    """The studies in the order in which they were made, each followed by the rounds of its selections."""
    from studies.schema import searched_study

    names = {study.study_name for study in studies}
    rounds = [study for study in studies if searched_study(study.user_attrs) in names]
    ordered = []
    for study in studies:
        if study not in rounds:
            ordered += [study, *(r for r in rounds if searched_study(r.user_attrs) == study.study_name)]
    return ordered


def _slots(n_trials: object, trials: Sequence[FrozenTrial]) -> str:
    """How many of the study's slots have been begun; unknown where another tool made the study."""
    from optuna.trial import TrialState

    from studies.storage.slots import FINISHED, read_slots

    if not isinstance(n_trials, int):
        return "–"
    last = [slot.last.state for slot in read_slots(trials, n_trials)]
    failed = last.count(TrialState.FAIL)
    return f"{sum(map(last.count, FINISHED))} of {n_trials}" + (f", {failed} failed" if failed else "")


main = command(list_studies)

if __name__ == "__main__":
    main()
