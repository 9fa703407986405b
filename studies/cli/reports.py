"""The reports of a study: which sections they have, and how a study is viewed for them.

A study of ours with its config, one of ours without, and one of another tool all become a `StudyView`. What follows is
the same for each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from optuna import Study
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from rich.console import Console

from studies import schema
from studies.analysis.table import powers_of_two
from studies.analysis.values.row import DesignedStudy
from studies.config.composing.configs import file_with_space, given_overrides
from studies.config.composing.own_options import BY_PATH, SCHEME
from studies.config.settings import AnalysisSettings, Direction, StudySettings
from studies.records.stored import trials_of
from studies.reporting.goal import goal_sentence, stored_goal_sentence
from studies.reporting.report import ReportSection, write_report
from studies.reporting.sections import best, cells, endings, fitted_values, front, outcome, question
from studies.reporting.sections.effects import section as effects
from studies.reporting.sections.next_round import section as next_round
from studies.reporting.sections.next_round.space_yaml import GROUP, OPTION
from studies.reporting.sections.selection import section as selection
from studies.reporting.sections.training import section as training
from studies.reporting.sections.values import section as values
from studies.reporting.view import Objective, StudyView
from studies.sampler_benchmark import section as benchmark
from studies.sampler_benchmark.runs import is_benchmark
from studies.schema import is_imported
from studies.secrets.texts import masked
from studies.selection.steps import Selection
from studies.storage.described_study import budget_of, metric_of, repeats_points, space_of
from studies.storage.importing import told
from studies.storage.questions import stored_questions
from studies.storage.slots import Rules, read_slots, rules_of
from studies.storage.stopping import stopping_of
from studies.text.quoting import argument, command_line, in_quotes
from studies.text.wording import nearby

SECTIONS = (
    ReportSection(outcome.compute),
    ReportSection(best.compute, best.FILES, needs_config=True),
    ReportSection(selection.compute, selection.FILES, needs_config=True),
    ReportSection(values.compute, values.FILES, needs_config=True),
    ReportSection(front.compute, front.FILES),
    ReportSection(cells.compute),
    ReportSection(endings.compute, endings.FILES),
    ReportSection(benchmark.compute, benchmark.FILES, needs_config=True),
    ReportSection(fitted_values.compute, fitted_values.FILES, needs_config=True, is_slow=True),
    ReportSection(training.compute, training.FILES, is_slow=True),
    ReportSection(effects.compute, effects.FILES, is_slow=True),
    ReportSection(question.compute, is_slow=True),
    ReportSection(next_round.compute, next_round.FILES, is_slow=True),
)
DIRECTIONS: dict[StudyDirection, Direction] = {
    StudyDirection.MAXIMIZE: "maximize",
    StudyDirection.MINIMIZE: "minimize",
}
DROPPED = re.compile(r"[+~]*(study_name|search_space|import_from|resume|output_dir|enqueue|question)\b")
ONCE = re.compile(r"[+~]*(resume|question)\b")  # what the next command shall not repeat
ROUND = re.compile(r"^(.*)-round(\d+)$")


def report_study(
    study: Study,
    settings: StudySettings,
    *,
    console: Console,
    storage: BaseStorage | None = None,
    selection: Selection | None = None,
    rules: Rules | None = None,
) -> None:
    """Write the report of a study whose config is known into its output folder.

    `storage` may hold designed studies of questions to it. Without one, none is known.
    """
    view = view_of(study, settings, rules=rules or rules_of(settings), selection=selection)
    view = replace(view, questions={} if storage is None else stored_questions(settings, storage))
    write_report(view, settings.output_dir, SECTIONS, console=console)


def report_stored(
    study: Study,
    folder: Path,
    wanted: AnalysisSettings,
    *,
    seed: int,
    console: Console,
    rounds: Sequence[str] = (),
) -> None:
    """Write the report of any Optuna study into `folder`, from the storage alone."""
    view = view_of_stored(study, wanted, seed=seed, rounds=rounds)
    write_report(view, folder, SECTIONS, console=console)


def view_of(study: Study, settings: StudySettings, *, rules: Rules, selection: Selection | None = None) -> StudyView:
    """Return the view of a study whose config is known. What the storage holds of it was checked before."""
    trials = study.get_trials(deepcopy=False)
    slots = read_slots(trials)  # all that were begun, even if the study asks for fewer now
    objective, second = settings.objective, settings.objective.second
    objectives = [Objective(objective.metric, objective.direction)]
    objectives += [Objective(second.metric, second.direction)] if second is not None else []
    is_designed, file = settings.is_designed, _space_file()
    named = [argument("study_name", _next_name(settings.study_name))]
    named += [] if is_designed else [argument("import_from", settings.study_name)]
    return StudyView(
        name=settings.study_name,
        trials=trials,
        ended=[slot.last for slot in slots if rules.is_finished(slot)],
        objectives=tuple(objectives),
        goal=goal_sentence(objective),
        wanted=settings.analysis,
        seed=settings.seed,
        imported=[trial for trial in trials if is_imported(trial)],
        imports=told(study) or "",
        slots=slots,
        rules=rules,
        budget=settings.budget,
        space=settings.space,
        powers_of_two=frozenset(p.name for p in settings.space if p.type == "power_of_two"),
        repeats_points=is_designed,
        has_one_best=not is_benchmark(settings.template),
        settings=settings,
        design=design_of(settings),
        selection=selection,
        device_seconds=stopping_of(settings).device_time.of_each(trials),
        next_command="" if file else _next_command(settings.study_name, settings.output_dir, named),
        next_arguments=" ".join(named),
        run_arguments=_run_arguments(settings.study_name),
        space_file=file,
    )


def design_of(settings: StudySettings) -> DesignedStudy | None:
    """Return what the table of a scientific parameter needs. None for a search."""
    if not settings.is_designed:
        return None
    return DesignedStudy(
        space=settings.space,
        config=settings.template,
        metric=settings.objective.metric,
        maximize=settings.objective.maximize,
        tolerance=settings.objective.small,
        replicates=settings.replicates,
        n_trials=settings.n_trials,
        n_rungs=settings.budget.rungs,
        has_epochs=settings.budget.unit == "epochs",
        varies_nuisance=settings.template.get("mode") != "fixed",
        margin=settings.analysis.margin,
    )


def view_of_stored(study: Study, wanted: AnalysisSettings, *, seed: int, rounds: Sequence[str] = ()) -> StudyView:
    """Return the view of any Optuna study, from the storage alone.

    `rounds` name the studies of a selection among its best. Raises `BadInput` where the storage holds a study of ours
    damaged.
    """
    trials = trials_of(study)
    several = study.metric_names or [f"value {i}" for i in range(1, len(study.directions) + 1)]
    names = several if len(several) > 1 else [metric_of(study)]
    return StudyView(
        name=study.study_name,
        trials=trials,
        ended=[trial for trial in trials if not trial.user_attrs.get(schema.VOID)],
        objectives=tuple(
            Objective(name, DIRECTIONS.get(direction)) for name, direction in zip(names, study.directions, strict=True)
        ),
        goal=stored_goal_sentence(study),
        wanted=wanted,
        seed=seed,
        budget=budget_of(study),
        space=space_of(study),
        powers_of_two=powers_of_two(study),
        repeats_points=repeats_points(study),
        rounds=rounds,
    )


def _space_file() -> str:
    found = file_with_space() if HydraConfig.initialized() else None
    return nearby(found) if found is not None else ""


def _next_command(study_name: str, output_dir: Path, named: Sequence[str]) -> str:
    """Return the command. It uses the next search space in the study's output folder.

    Name, space, enqueued points and output folder of this round are left out. `named` are the arguments that name the
    next round and the trials that it imports.
    """
    folders, files, asked = _given(study_name)
    kept = [override for override in asked if not DROPPED.match(override)]
    config_dir = folders[:1] or [str(output_dir)]
    searched = [f"hydra.searchpath=[{in_quotes(f'file://{output_dir.resolve()}')}]"] if folders else []
    return command_line("run", "--config-dir", *config_dir, *files, *kept, f"{GROUP}={OPTION}", *named, *searched)


def _run_arguments(study_name: str) -> tuple[str, ...]:
    """Return the arguments that run the study again."""
    folders, files, asked = _given(study_name)
    named = [word for folder in folders for word in ("--config-dir", folder)]
    return (*named, *files, *(override for override in asked if not ONCE.match(override)))


def _given(study_name: str) -> tuple[list[str], list[str], list[str]]:
    """Return the folders of options, the studies named by their path and the overrides of the running command."""
    if not HydraConfig.initialized():
        return [], [], [f"+study={study_name}"]
    sources = HydraConfig.get().runtime.config_sources
    theirs = [Path(source.path) for source in sources if source.schema == SCHEME]
    folders, files = ([nearby(path) for path in theirs if path.is_dir() == is_folder] for is_folder in (True, False))
    asked = [override for override in given_overrides() if not (files and override.startswith(f"+{BY_PATH}="))]
    return folders, files, list(map(masked, asked))


def _next_name(name: str) -> str:
    match = ROUND.match(name)
    return f"{match[1]}-round{int(match[2]) + 1}" if match else f"{name}-round2"
