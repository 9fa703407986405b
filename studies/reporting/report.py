"""Writes what a study leaves behind, and says where it lies.

An analysis must never lose a report: everything that needs none is written first, and again once it has come to its
end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optuna import Study
from optuna.trial import FrozenTrial
from rich.console import Console

from studies.analysis.choice import Choice, ranked
from studies.analysis.same_runs import distinct, same_runs_note
from studies.analysis.values.table import scientific, value_tables
from studies.config.settings import AnalysisSettings, StudySettings
from studies.records.objectives import by_first
from studies.records.stored import trials_of
from studies.reporting.analysis_files import files_of, pictures_of, remove_analysis, write_analysis
from studies.reporting.any_study import describe, render_any
from studies.reporting.best_yaml import is_told_by_hand, representative, write_best_yaml
from studies.reporting.ending_notes import ending_notes
from studies.reporting.figures.drawing import write_drawing
from studies.reporting.figures.front import front_drawing
from studies.reporting.fitted_section import isolated, write_isolation
from studies.reporting.front import front_in
from studies.reporting.handed_on import handed_on
from studies.reporting.markdown import NO_DIRECTION, NOT_ANALYSED, UNFINISHED, Results, headline, render
from studies.reporting.next_round_files import drawings_of, leave_next_round
from studies.reporting.race_files import remove_race, write_race
from studies.reporting.race_searches import is_race
from studies.reporting.select_csv import write_select_csv
from studies.reporting.selection import champion_of
from studies.reporting.trials_csv import write_trials_csv
from studies.reporting.value_files import remove_value_files, write_value_files
from studies.reporting.value_words import disagreements_of, sentence
from studies.schema import failure_of, is_imported
from studies.selection.steps import Selection
from studies.storage.checkpoints import last_state_of
from studies.storage.described_space import space_of
from studies.storage.device_time import seconds_of_each
from studies.storage.importing import told
from studies.storage.slots import Rules, Slot, originals, read_slots
from studies.text.printable import write_page
from studies.text.wording import counted, nearby, shown

if TYPE_CHECKING:
    from studies.analysis.analyse import Analysis
    from studies.analysis.next_round.round import NextRound
    from studies.analysis.table import TrialsTable

ANNOUNCED = 50  # trials: an analysis of fewer is over before anyone wonders
SELECTED = "select.csv"
ALWAYS = {"all trials": "trials.csv", "report": "report.md"}
SHOWN = (
    "best configuration",
    "best model",
    "front",
    "all trials",
    "selection",
    "table (html)",
    "effects",
    "figures",
    "race",
    "report",
)  # the files that are printed


def write_report(
    study: Study, settings: StudySettings, rules: Rules, *, console: Console, selection: Selection | None = None
) -> None:
    """Write trials.csv, best.yaml, the analysis and report.md into the output folder; print the headline and paths.

    After a `selection` the best is what was selected, and select.csv tells of all that raced.
    Raises `BadInput` where the analysis is asked for what the trials cannot give; all but it is written even then.
    """
    trials = study.get_trials(deepcopy=False)
    folder = settings.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    results = replace(summarise(trials, settings, rules, _always(folder)), imports=told(study))
    results = _with_front(results, trials, settings, rules)
    write_trials_csv(
        folder / "trials.csv",
        trials,
        budget=settings.budget,
        second=settings.objective.second,
        tolerance=settings.objective.tolerance,
        device_seconds=seconds_of_each(trials, settings),
    )
    remove_race(folder)
    race = write_race(_ended(_slots(trials, settings), rules), settings) if is_race(settings) else None
    if race is not None:  # no search is the best one of several problems
        files = {**_always(folder), **race.files}
        results = replace(results, choices=(), values=None, files=files, conclusion=race.conclusion)
    if selection is None and (folder / SELECTED).exists():
        (folder / SELECTED).unlink()
        console.print(
            f"{folder / SELECTED} of an earlier selection is removed; select=NAME writes it again", markup=False
        )
    results = with_selection(results, selection, settings)
    if results.best is not None:
        write_best_yaml(folder / "best.yaml", settings, results.best, selection=selection)
    remove_value_files(folder)
    if results.values is not None:
        written = write_value_files(folder, results.values, title=f"Study {settings.study_name}")
        results = replace(results, files={**results.files, **written})
    report = folder / ALWAYS["report"]
    write_page(report, render(results, settings))
    try:
        if settings.analysis.name == "none":
            remove_analysis(folder)
        else:
            concluded_from = ended_trials(trials, settings, rules)
            analysis = analysis_of(concluded_from, settings, console=console)
            results = analysed(results, analysis, settings, concluded_from)
            write_page(report, render(results, settings))
    finally:
        champion = champion_of(selection) if selection is not None else None
        best = Choice(champion.trial, champion.value) if champion is not None else results.best
        lines = [headline(results, settings), *([f"note: {results.same_runs}"] if results.same_runs else [])]
        lines += handed_on(results.best, settings) if results.best is not None and champion is None else []
        lines += (
            [sentence(results.values.main, how=True), *disagreements_of(results.values)]
            if results.values is not None
            else []
        )
        _print_summary("\n".join(lines), best, results.files, console=console)
        if race is not None:
            console.print("\n".join(race.sentences), markup=False)


def write_study_report(
    study: Study,
    folder: Path,
    wanted: AnalysisSettings,
    *,
    seed: int,
    metric: str | None = None,
    rounds: Sequence[str] = (),
    console: Console,
) -> None:
    """The same of any Optuna study, without its config: all but best.yaml, into `folder`.

    `metric` is the value's name, by default what the study calls it; of several objectives the first is analysed.
    `rounds` are the studies of a selection among the study's best: that there are some is told, not what they show.
    Raises `BadInput` for unknown parameters, and final values of a much pruned study; all but the analysis is written
    even then. So it does, and nothing is written, for a study of ours that was damaged.
    """
    trials = trials_of(study)
    folder.mkdir(parents=True, exist_ok=True)
    found = describe(study, trials, metric=metric, rounds=rounds)
    is_analysed = wanted.name != "none" and found.has_direction
    unanalysed = UNFINISHED if is_analysed else NOT_ANALYSED if wanted.name == "none" else NO_DIRECTION
    found = replace(found, files=_always(folder), unanalysed=unanalysed)
    write_trials_csv(folder / "trials.csv", trials, budget=found.budget)
    report = folder / ALWAYS["report"]
    write_page(report, render_any(found))
    try:
        if not is_analysed:
            remove_analysis(folder)
        else:
            unit = found.budget.unit if found.budget is not None else None
            analysis = _analysis_of_any(study, wanted, seed=seed, budget_unit=unit, console=console)
            round_ = next_round_of_any(study, analysis)
            more = drawings_of(round_, metric=found.metric)
            written = write_analysis(folder, analysis, metric=found.metric, more=more)
            pictures = pictures_of(written, folder)
            left = leave_next_round(folder, round_, study_name=found.name, metric=found.metric, pictures=pictures)
            files = {**found.files, **files_of(written, folder), **left.files}
            found = replace(found, analysis=analysis, files=files, pictures=left.pictures, next_round=left.section)
            write_page(report, render_any(found))
    finally:
        _print_summary(found.headline, found.best, found.files, console=console)


def summarise(trials: Sequence[FrozenTrial], settings: StudySettings, rules: Rules, files: dict[str, str]) -> Results:
    """What the report tells of `trials` before they are analysed: of all, also if the study asks for fewer by now."""
    slots = _slots(trials, settings)
    ended = _ended(slots, rules)
    imported = list(filter(is_imported, trials))
    choices = choices_of([*ended, *imported], settings)
    if choices and not is_told_by_hand(choices[0].trial):
        files = {"best configuration": str(settings.output_dir / "best.yaml"), **files}
        checkpoint = last_state_of(choices[0].trial, settings)
        files |= {"best model": nearby(checkpoint)} if checkpoint is not None else {}
    return Results(
        choices=choices,
        finished=len(ended),
        imported=len(imported),
        ended=Counter(str(failure_of(trial) or trial.state.name.lower()) for trial in ended),
        retried=sum(len(slot.chain) - 1 for slot in slots),
        failed_for_good=[trial for slot in slots for trial in slot.chain if rules.has_failed(trial)],
        redraws=rules.redraws,
        files=files,
        values=value_tables(ended, settings),
        ending_notes=ending_notes(ended, n_rungs=settings.budget.rungs),
        same_runs=same_runs_note([*ended, *imported]) or "",
        unanalysed=NOT_ANALYSED if settings.analysis.name == "none" else UNFINISHED,
    )


def with_selection(results: Results, selection: Selection | None, settings: StudySettings) -> Results:
    """The results with what the selection came to, whose table is written."""
    if selection is None:
        return results
    written = write_select_csv(settings.output_dir / SELECTED, selection, settings)
    files = {**results.files, "selection": str(written)}
    trained = representative(selection, settings)
    model = last_state_of(trained, selection.fresh_in or settings) if trained is not None else None
    files.pop("best model", None) if trained is not None else None
    files |= {"best model": nearby(model)} if model is not None else {}
    return replace(results, selection=selection, files=files)


def ended_trials(trials: Sequence[FrozenTrial], settings: StudySettings, rules: Rules) -> list[FrozenTrial]:
    """What is concluded from: the trials that decided their slots, and the imported ones; the same run counts once."""
    return distinct([*_ended(_slots(trials, settings), rules), *filter(is_imported, trials)])


def analysis_of(trials: Sequence[FrozenTrial], settings: StudySettings, *, console: Console) -> Analysis:
    """The analysis that `settings` ask for. The import is here, for it takes seconds that nothing else needs.

    A parameter that no trial had (a conditional one, say, or of a study without trials) is left out.
    """
    from studies.analysis.analyse import analyse
    from studies.analysis.table import table_of

    wanted = settings.analysis
    tried = {name for trial in trials for name in trial.params}
    table = table_of(
        trials,
        maximize=settings.objective.direction == "maximize",
        params=None if wanted.params is None else [name for name in wanted.params if name in tried],
        value_policy=wanted.value_policy,
        source=wanted.source,
        powers_of_two=frozenset(p.name for p in settings.space if p.type == "power_of_two"),
        n_objectives=len(settings.objective.directions),
    )
    _announce(table, console)
    law = None if wanted.law is None else [pair for pair in wanted.law if tried.issuperset(pair)]
    return analyse(table, seed=settings.seed, law=law, budget_unit=settings.budget.unit)


def _with_front(results: Results, trials: Sequence[FrozenTrial], settings: StudySettings, rules: Rules) -> Results:
    """The results with the front of two objectives, if there are two; writes its table and its figure."""
    found = front_in(trials, _ended(_slots(trials, settings), rules), settings)
    if found is None:
        return results
    folder = settings.output_dir
    picture = write_drawing(folder, front_drawing(found.front)).relative_to(folder)
    files = {**results.files, "front": str(folder / "pareto.csv")}
    return replace(results, front=found, front_picture=picture, files=files)


def analysed(results: Results, analysis: Analysis, settings: StudySettings, trials: Sequence[FrozenTrial]) -> Results:
    """The results with their analysis and what it says of the next round, whose files are written into the output
    folder. `trials` are those that were analysed."""
    from studies.analysis.next_round.round import next_round

    folder, metric = settings.output_dir, settings.objective.metric
    found = next_round(analysis, by_first(trials), space=settings.space, tolerance=settings.objective.tolerance)
    written = write_analysis(folder, analysis, metric=metric, more=drawings_of(found, metric=metric))
    left = leave_next_round(
        folder,
        found,
        study_name=settings.study_name,
        metric=metric,
        pictures=pictures_of(written, folder),
        settings=settings,
    )
    names = [] if settings.is_designed else [parameter.name for parameter in scientific(settings)]
    own = isolated(
        analysis.whole, names, maximize=settings.objective.direction == "maximize", metric=settings.objective.metric
    )
    files = {**results.files, **files_of(written, folder), **left.files, **write_isolation(folder, own)}
    return replace(
        results, analysis=analysis, files=files, pictures=left.pictures, next_round=left.section, isolated=own
    )


def choices_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> list[Choice]:
    """The study's configurations, best first; the trials of a designed experiment by cell."""
    maximize = settings.objective.direction == "maximize"
    return ranked(
        trials, maximize=maximize, by_point=settings.is_designed, then_maximize=settings.objective.then_maximize
    )


def _analysis_of_any(
    study: Study, wanted: AnalysisSettings, *, seed: int, budget_unit: str | None, console: Console
) -> Analysis:
    from studies.analysis.analyse import analyse
    from studies.analysis.table import trials_table

    table = trials_table(study, params=wanted.params, value_policy=wanted.value_policy, source=wanted.source)
    _announce(table, console)
    return analyse(table, seed=seed, law=wanted.law, budget_unit=budget_unit)


def next_round_of_any(study: Study, analysis: Analysis) -> NextRound:
    """What any study says of the next round: with config paths where this framework made it."""
    from studies.analysis.next_round.round import next_round

    return next_round(analysis, trials_of(study), space=space_of(study))


def _announce(table: TrialsTable, console: Console) -> None:
    """Say that an analysis begins, where it takes a while."""
    if len(table.y) >= ANNOUNCED:
        console.print(f"analysing {len(table.y)} trials, {counted(len(table.axes), 'parameter', 'parameters')} …")


def _print_summary(sentence: str, best: Choice | None, files: Mapping[str, str], *, console: Console) -> None:
    """Print a headline, the best configuration's parameters, and where the files are that people open first."""
    lines = [sentence]
    if best is not None:
        lines.append("  " + ", ".join(f"{name}={shown(value)}" for name, value in best.trial.params.items()))
    lines += [f"  {name}: {files[name]}" for name in SHOWN if name in files]
    console.print("\n".join(lines), markup=False)


def _ended(slots: Sequence[Slot], rules: Rules) -> list[FrozenTrial]:
    """The trials that decided their slots."""
    return [slot.last for slot in slots if rules.is_finished(slot)]


def _slots(trials: Sequence[FrozenTrial], settings: StudySettings) -> list[Slot]:
    """All slots that were begun, also where the study asks for fewer by now."""
    return read_slots(trials, max(settings.n_trials, len(originals(trials))))


def _always(folder: Path) -> dict[str, str]:
    return {name: str(folder / file) for name, file in ALWAYS.items()}
