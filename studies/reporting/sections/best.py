"""The best configuration: its parameters, the basis of its value, and `best.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studies import schema
from studies.analysis.choice import Choice
from studies.records.objectives import rungs_of
from studies.reporting.finding import Block, File, Finding, Paragraph, Reference, Table
from studies.reporting.sections.outcome import BY_THE_CONFIG
from studies.reporting.view import StudyView
from studies.selection.chosen import best_yaml, champion_of, is_told_by_hand, representative
from studies.storage.checkpoints import checkpoints_of
from studies.text.wording import counted, nearby, shown

FILES = ("best.yaml",)


def compute(view: StudyView) -> Finding | None:
    """Return the best configuration: the selected one, or the best of the search. None if there is none."""
    champion = champion_of(view.selection) if view.selection is not None else None
    if view.best is None:
        return None
    trial = champion.trial if champion is not None else view.best.trial
    point = ", ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
    rows = tuple((name, shown(value)) for name, value in trial.params.items())
    notes: tuple[str, ...] = ()
    if champion is None and view.settings is not None:
        is_best_rung = view.settings.objective.value == "best"
        notes = tuple(handed_on(view.best, metric=view.metric, is_best_rung=is_best_rung))
    rests_on = _rests_on(view, view.best) if champion is None else ()
    blocks: list[Block] = [Table(("parameter", "value"), rows), *map(Paragraph, rests_on), *map(Paragraph, notes)]
    headline = (f"Best configuration: {point}.", *notes) if point else notes
    return Finding("Best configuration", "caution" if notes else "info", headline, (*blocks, *_files(view, view.best)))


def _rests_on(view: StudyView, best: Choice) -> Iterator[str]:
    """Yield the basis of the best value."""
    seed = best.trial.user_attrs.get(schema.SEED)
    one = f"one training with seed {seed}" if seed is not None else "told by hand"
    if view.settings is not None:
        trained = one if best.n == 1 else f"the mean of {best.n} trainings with different seeds"
        yield (
            f"Value: {view.metric} at the {view.settings.objective.value} rung, {trained}. As the best of all it is "
            "optimistic: expect somewhat worse on new data, and read the test metric of studies.retrain."
        )
    elif view.repeats_points:
        mean = f"the mean of {best.n} trainings with different seeds" if best.n > 1 else "one training"
        yield (
            f"Value: {mean}. Points are compared by their means over training seeds. {BY_THE_CONFIG} tells all of "
            "them, and the table of a scientific parameter."
        )
    if view.rounds:
        yield (
            f"This is the best of the search alone. A selection among its best followed "
            f"({counted(len(view.rounds), 'round', 'rounds')} in the storage: {', '.join(view.rounds)}). This report "
            f"from the storage alone does not repeat it: {BY_THE_CONFIG} tells what was selected."
        )


def handed_on(best: Choice, *, metric: str, is_best_rung: bool) -> Iterator[str]:
    """Yield the reasons why the saved weights of the chosen trial do not have its value.

    `is_best_rung` says that the value is that of the best rung.
    """
    trial = best.trial
    if is_told_by_hand(trial):
        yield f"Trial {trial.number} was told by hand and has no training seed, so there is no best.yaml of it."
        return
    told = trial.user_attrs.get(schema.WEIGHTS_DIFFER)
    if isinstance(told, str):
        yield f"The value of trial {trial.number} is not that of the weights that it handed on: {told}."
    rungs = rungs_of(trial)
    last = rungs[max(rungs)] if rungs else None
    if is_best_rung and last is not None and best.n == 1 and last != best.value:
        yield (
            f"The value of trial {trial.number} is that of its best rung (objective.value=best). A trial hands on its "
            f"last weights, whose {metric} is {last:.4f}."
        )


def _files(view: StudyView, best: Choice) -> Iterator[File | Reference]:
    """Yield best.yaml, and the path of its model."""
    settings = view.settings
    if settings is None:
        return
    text = best_yaml(settings, best, selection=view.selection)
    if text is not None:
        yield File("best configuration", FILES[0], text)
    trained, checkpoints = best.trial, checkpoints_of(settings)
    if view.selection is not None:
        fresh = representative(view.selection, checkpoints)
        if fresh is not None:
            trained, checkpoints = fresh, view.selection.fresh_in or checkpoints
    state = None if is_told_by_hand(trained) else checkpoints.last_state_of(trained)
    if state is not None:
        yield Reference("best model", Path(nearby(state)))
