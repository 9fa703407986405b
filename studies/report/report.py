"""Writes what a study leaves behind, and says where it lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from optuna import Study
from optuna.trial import FrozenTrial
from rich.console import Console

from studies.analysis.choice import Choice, ranked
from studies.analysis.importance import importances
from studies.analysis.table import trials_table
from studies.report.best_yaml import write_best_yaml
from studies.report.markdown import Results, headline, render, shown
from studies.report.trials_csv import write_trials_csv
from studies.schema import failure_of
from studies.settings import StudySettings
from studies.storage.claim import Rules, originals, read_slots


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
    """What the report tells of `trials`: of all of them, also where the study asks for fewer by now."""
    slots = read_slots(trials, max(settings.n_trials, len(originals(trials))))
    ended = [slot.last for slot in slots if rules.is_finished(slot)]
    choices = choices_of(ended, settings)
    if choices:
        files = {"best configuration": str(settings.output_dir / "best.yaml"), **files}
    table = trials_table(ended)
    return Results(
        choices=choices,
        finished=len(ended),
        ended=Counter(str(failure_of(trial) or trial.state.name.lower()) for trial in ended),
        retried=sum(len(slot.chain) - 1 for slot in slots),
        failed_for_good=[trial for slot in slots for trial in slot.chain if rules.has_failed(trial)],
        redraws=rules.redraws,
        table=table,
        importances=importances(table, seed=settings.seed),
        files=files,
    )


def choices_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> list[Choice]:
    """The study's configurations, best first; the trials of a designed experiment by cell."""
    maximize = settings.objective.direction == "maximize"
    return ranked(trials, maximize=maximize, by_point=settings.is_designed)


def _print(results: Results, settings: StudySettings, console: Console) -> None:
    console.print(headline(results, settings))
    if results.best is not None:
        console.print("  " + ", ".join(f"{name}={shown(value)}" for name, value in results.best.trial.params.items()))
    for name, path in results.files.items():
        console.print(f"  {name}: {path}")
