"""A question to a search: write the designed study that answers it, say what it costs, and return its config.

The design of a question never changes under way. It is taken from its file, else from the storage, and only without
both it is made from the search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.storages import BaseStorage, InMemoryStorage
from rich.console import Console

from studies.cli.question_yaml import FILE, OWN, RUN, QuestionStudy, question_yaml
from studies.cli.reports import view_of
from studies.cli.uncomposed import COMPOSITION_ERRORS
from studies.cli.validation import CHECKS, validate_and_open
from studies.config.composing.configs import compose, compose_file
from studies.config.parsing.output_folder import refusals_told
from studies.config.parsing.settings import parse_settings
from studies.config.question import KEY, check_names, parse_names
from studies.config.resolvers import leaves
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem, Problems
from studies.records.stored import refuse_earlier_schema
from studies.reporting.question_design import grid_lines, power_line, question_design, training_cost
from studies.reporting.view import StudyView
from studies.reporting.writer import Writer
from studies.selection.run import selection_of
from studies.storage.identity import find_study
from studies.storage.questions import question_name, stored_question
from studies.storage.slots import rules_of
from studies.text.quoting import command_line
from studies.text.wording import crossed, listed, nearby

COMPARED = 3  # keys that differ from the file and are named
UNNAMEABLE = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True)
class AskedSearch:
    """A search and the parameters that a question names."""

    config: DictConfig  # without the question
    settings: StudySettings
    storage: BaseStorage
    names: tuple[str, ...]  # in the order of the search space, for one grid has one name
    view: StudyView

    @property
    def question_name(self) -> str:
        """The name of the designed study."""
        return question_name(self.settings.study_name, self.names)

    @property
    def file(self) -> Path:
        """The file of the designed study."""
        return self.settings.output_dir / FILE


def designed_config(config: DictConfig, console: Console) -> DictConfig:
    """Return the config of the designed study that answers the question of `config`. Write its file, and tell its cost.

    Raises `BadInput` for a question that no grid can answer.
    """
    search, usual = _asked_search(config), compose()
    file = search.file
    with refusals_told(file.parent):
        told = [] if _brought_back(search) else _write(search, usual)
    designed = _composed(file)
    for key in RUN:
        if designed[key] == usual[key]:
            designed[key] = search.config[key]
    told += _with_stored_replicates(designed, search)
    settings = parse_settings(designed, checks=CHECKS)
    console.print(f"question to study {search.settings.study_name}: {crossed(search.names)}")
    lines = [*grid_lines(settings.space, replicates=settings.replicates), *told]
    lines += [*_differences(search.config, designed), _cost_line(search, settings), f"file: {nearby(file)}"]
    for line in lines:
        console.print(f"  {line}")
    return designed


def _asked_search(config: DictConfig) -> AskedSearch:
    """Return the search that `config` asks a question about. Raises `BadInput`."""
    names = parse_names(OmegaConf.to_container(config, resolve=False)[KEY])  # type: ignore[index,call-overload]
    without = OmegaConf.merge(config, {KEY: None})
    assert isinstance(without, DictConfig)
    settings, storage = validate_and_open(without)
    listed_roles = {str(name): str(entry.get("role", "nuisance")) for name, entry in without.search_space.items()}
    _refuse(settings, without)
    check_names(names, settings.space, listed_roles)
    names = tuple(name for name in settings.space.names if name in names)
    study, settings = find_study(settings, storage)
    if study is None:
        study = optuna.create_study(directions=settings.objective.directions, storage=InMemoryStorage())
    else:
        refuse_earlier_schema(study)
    selection = selection_of(settings, study.get_trials(deepcopy=False), storage)
    view = view_of(study, settings, rules=rules_of(settings), selection=selection)
    return AskedSearch(without, settings, storage, names, view)


def _refuse(settings: StudySettings, config: DictConfig) -> None:
    """Raise `BadInput` for a study that no question can be asked about."""
    problems = Problems()
    if settings.is_designed:
        remedy = "read its report, which compares its cells, or name a search"
        problems.add(KEY, f"is asked of {settings.study_name}, a grid", remedy)
    if config.get("hypothesis"):
        remedy = "leave question out: the design of a hypothesis is its own"
        problems.add(KEY, f"is asked of {settings.study_name}, which has a hypothesis", remedy)
    if settings.resume == "fork":
        problems.add("resume", "is fork, and a question is asked of a stored study", "leave it out")
    problems.raise_if_any()


def _brought_back(search: AskedSearch) -> bool:
    """Return whether the file of this very question is there. That of another question is kept under its own name."""
    file, earlier = search.file, _named(search.file, search.question_name)
    held = str(_composed(file).study_name) if file.is_file() else None
    if held == search.question_name:
        return True
    if held is not None:
        file.replace(_named(file, held))
    if earlier.is_file():
        earlier.replace(file)
        return True
    return False


def _named(file: Path, study_name: str) -> Path:
    return file.with_name(f"{UNNAMEABLE.sub('_', study_name)}.yaml")


def _write(search: AskedSearch, usual: DictConfig) -> list[str]:
    """Write the file of the design in the storage, or else of a new one. Return what is told of it."""
    view, stored = search.view, stored_question(search.settings, search.names, search.storage)
    if stored is not None:
        space, replicates, told = stored.space, stored.replicates, ["design: that of the stored study"]
    else:
        design = question_design(view, search.names)
        space, replicates = design.space, design.replicates.n
        told = [f"pinned to {design.pinned_to}", power_line(design)]
    if len(view.objectives) > 1:
        told.append(f"of {len(view.objectives)} objectives the first, {view.metric}, chose the pins and is analysed")
    search_name = search.settings.study_name
    head = [
        f"A question to study {search_name}: {crossed(search.names)}. Run the designed study that answers it with",
        f"  {command_line('run', nearby(search.file))}",
        *(f"{line[:1].upper()}{line[1:]}." for line in told),
        "A parameter with one level is pinned. After its first trial a changed study needs another name.",
    ]
    study = QuestionStudy(search.question_name, _output_dir(search), space, replicates, head)
    Writer(search.file.parent, patterns=(FILE,)).write({FILE: question_yaml(study, search.config, usual)}, {})
    return told


def _output_dir(search: AskedSearch) -> str:
    """Return the folder of the designed study: beside that of the search if this has its name, else in it."""
    folder = search.settings.output_dir
    own = folder.name == search.settings.study_name
    return str(folder.with_name(search.question_name) if own else folder / search.question_name)


def _composed(file: Path) -> DictConfig:
    """Return the config of the designed study in `file`, which is now that of the command. Raises `BadInput`."""
    try:
        return compose_file(file)
    except COMPOSITION_ERRORS as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        complaint = f"is written in {nearby(file)}, which does not compose ({why})"
        raise BadInput([Problem(KEY, complaint, "correct the file, or remove it for a new one")]) from None


def _with_stored_replicates(designed: DictConfig, search: AskedSearch) -> list[str]:
    """Set the replicates that the stored study has, if these are more: it goes on with them. Return what is told."""
    stored = stored_question(search.settings, search.names, search.storage)
    if stored is None or stored.replicates <= designed.replicates:
        return []
    told = f"note: {nearby(search.file)} has replicates={designed.replicates}, the stored study {stored.replicates}"
    designed.replicates = stored.replicates
    return [f"{told}: it goes on with {stored.replicates}"]


def _differences(config: DictConfig, designed: DictConfig) -> Iterator[str]:
    """Yield a note if the config of the search has other values than the file, which decides."""
    now, held = (dict(leaves(OmegaConf.to_container(one, resolve=False))) for one in (config, designed))
    keys = [key for key in sorted({*now, *held}) if key.partition(".")[0] not in OWN and now.get(key) != held.get(key)]
    if keys:
        named = listed([f"{key}={held.get(key)}" for key in keys[:COMPARED]]) + (", …" if len(keys) > COMPARED else "")
        yield f"note: the file decides, which differs from this command ({named}): edit it, or remove it for a new one"


def _cost_line(search: AskedSearch, settings: StudySettings) -> str:
    """Return what is left of the designed study, by the trainings of the search."""
    cost = training_cost(search.view, workers=settings.workers)
    names = {study.study_name for study in search.storage.get_all_studies()}
    n_done = 0
    if settings.study_name in names:
        study: Study = optuna.load_study(study_name=settings.study_name, storage=search.storage)
        n_done = rules_of(settings).n_finished(study.get_trials(deepcopy=False))
    if n_done == settings.n_trials:
        return "cost: none, for all trainings are finished"
    left = f" ({n_done} more are finished)" if n_done else ""
    return f"cost: {cost.of(settings.n_trials - n_done)}{left}"
