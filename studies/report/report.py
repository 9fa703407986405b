"""Writes what a study leaves behind, and says where it lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from studies.analysis.importance import importances
from studies.analysis.table import trials_table
from studies.report.best_yaml import write_best_yaml
from studies.report.markdown import Results, headline, render, shown
from studies.report.trials_csv import write_trials_csv
from studies.schema import failure_of
from studies.settings import StudySettings
from studies.storage.claim import Rules, read_slots


def write_report(study: Study, settings: StudySettings, rules: Rules, *, console: Console) -> None:
    """Write trials.csv, best.yaml and report.md into the output folder, and print the headline and their paths."""
    trials = study.get_trials(deepcopy=False)
    folder = settings.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    files = {"all trials": str(folder / "trials.csv"), "report": str(folder / "report.md")}
    results = summarise(trials, settings, rules, files)
    write_trials_csv(folder / "trials.csv", trials, budget=settings.budget)
    if results.best is not None:
        write_best_yaml(folder / "best.yaml", settings, results.best)
    (folder / "report.md").write_text(render(results, settings))
    _print(results, settings, console)


def summarise(trials: Sequence[FrozenTrial], settings: StudySettings, rules: Rules, files: dict[str, str]) -> Results:
    """What the report tells of `trials`."""
    slots = read_slots(trials, settings.n_trials)
    ended = [slot.last for slot in slots if rules.is_finished(slot)]
    best = best_of(ended, maximize=settings.objective.direction == "maximize")
    if best is not None:
        files = {"best configuration": str(settings.output_dir / "best.yaml"), **files}
    table = trials_table(ended)
    return Results(
        best=best,
        finished=len(ended),
        ended=Counter(str(failure_of(trial) or trial.state.name.lower()) for trial in ended),
        retried=sum(len(slot.chain) - 1 for slot in slots),
        failed_for_good=[trial for trial in ended if trial.state == TrialState.FAIL],
        table=table,
        importances=importances(table, seed=settings.seed),
        files=files,
    )


def best_of(trials: Sequence[FrozenTrial], *, maximize: bool) -> FrozenTrial | None:
    """The completed trial with the best value; the earliest of equals."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    sign = -1.0 if maximize else 1.0
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def _print(results: Results, settings: StudySettings, console: Console) -> None:
    console.print(headline(results, settings))
    if results.best is not None:
        console.print("  " + ", ".join(f"{name}={shown(value)}" for name, value in results.best.params.items()))
    for name, path in results.files.items():
        console.print(f"  {name}: {path}")
