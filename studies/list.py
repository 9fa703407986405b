"""`python -m studies.list [storage.url=…]`: the studies of a storage, how far they are, and their best values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.command import command

if TYPE_CHECKING:
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
    for frozen in storage.get_all_studies():
        study = load_study(study_name=frozen.study_name, storage=storage)
        trials = study.get_trials(deepcopy=False)
        metric = study.user_attrs.get(schema.STUDY_METRIC, {}).get("name", "–")
        single = len(study.directions) == 1
        best = best_of(trials, maximize=study.directions[0].name == "MAXIMIZE") if single else None
        shown = f"{best.value:.4g} (trial {best.number})" if best is not None else "–"
        run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
        counts = Counter(
            "imported" if is_imported(trial) else str(failure_of(trial) or trial.state.name.lower()) for trial in run
        )
        states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
        table.add_row(
            study.study_name, _slots(study.user_attrs.get(schema.STUDY_N_TRIALS), trials), states, metric, shown
        )
    Console().print(table if table.row_count else "no studies in this storage")
    return 0


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
