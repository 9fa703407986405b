"""Tells where the value of the best trial is not that of the weights that it handed on, or of no training here."""

from __future__ import annotations

from studies import schema
from studies.analysis.choice import Choice
from studies.config.settings import StudySettings
from studies.records.objectives import rungs_of
from studies.reporting.best_yaml import is_told_by_hand


def handed_on(choice: Choice, settings: StudySettings) -> list[str]:
    """Return a sentence for each reason why the weights of the chosen trial are not those that its value is of."""
    trial = choice.trial
    if is_told_by_hand(trial):
        return [f"Trial {trial.number} was told by hand and has no training seed, so there is no best.yaml of it."]
    told = trial.user_attrs.get(schema.WEIGHTS_DIFFER)
    notes = []
    if isinstance(told, str):
        notes.append(f"The value of trial {trial.number} is not that of the weights that it handed on: {told}.")
    rungs = rungs_of(trial)
    last = rungs[max(rungs)] if rungs else None
    if settings.objective.value == "best" and last is not None and choice.n == 1 and last != choice.value:
        notes.append(
            f"The value of trial {trial.number} is that of its best rung (objective.value=best); a trial hands on its "
            f"last weights, whose {settings.objective.metric} is {last:.4f}."
        )
    return notes
