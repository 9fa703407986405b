"""Parses the composed config into `StudySettings`: validated once, with all problems in one error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from studies.config.parsing.analysis import parse_analysis
from studies.config.parsing.direction import with_usual_direction
from studies.config.parsing.hypothesis import parse_hypothesis
from studies.config.parsing.limits import LARGEST_SEED, MOST_SECONDS, MOST_SEEDS, MOST_TRIALS, MOST_WORKERS, shown
from studies.config.parsing.links import parse_links, with_targets
from studies.config.parsing.objective import check_objective, parse_objective
from studies.config.parsing.output_folder import parse_output_dir
from studies.config.parsing.renamed import present_names
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.select import check_select, parse_select
from studies.config.parsing.space import parse_space
from studies.config.parsing.storage import parse_storage
from studies.config.parsing.template import check_template, check_trainer, check_vars
from studies.config.parsing.training import (
    parse_budget,
    parse_check,
    parse_checkpoint,
    parse_out_of_memory,
    space_values,
    with_stand_in,
)
from studies.config.parsing.trials import parse_enqueue, parse_n_trials
from studies.config.resolvers import REMEDY, load_resolvers, texts
from studies.config.settings import (
    CONTEXT_KEYS,
    FIXED_KEYS,
    TEMPLATE_KEYS,
    TRAINING_SEED,
    LauncherName,
    Named,
    PrunerName,
    SamplerName,
    StudySettings,
)
from studies.config.space import SearchSpace, plain_values
from studies.errors import Problem, Problems
from studies.secrets.masking import remember_those_of

COMMAND_KEYS = ("trial", "config", "dashboard")
KEYS = (
    *TEMPLATE_KEYS,
    *COMMAND_KEYS,
    *("n_trials", "replicates", "timeout_s", "stop_at", "device_seconds", "workers", "max_trial_s", "max_retries"),
    *("max_failures", "resume", "import_from", "enqueue"),
    *("search_space", "sampler", "pruner", "select", "storage", "launcher", "analysis", "checkpoint", "out_of_memory"),
    *("hypothesis", "check", "links", "question"),
)
IN_MEMORY = ("memory", "sqlite://", "sqlite:///:memory:")  # storages that processes cannot share
Check = Callable[[StudySettings, Problems], None]


def parse_settings(config: DictConfig, *, checks: Sequence[Check] = ()) -> StudySettings:
    """Parse and check the composed `config`. `checks` are those of the floors above.

    Raises `BadInput` with every problem.
    """
    problems = Problems()
    load_resolvers(config)
    given = config
    config = with_usual_direction(with_targets(with_stand_in(config, problems)))
    values = _plain(config, problems)
    unresolved = list(problems.found)
    top = ConfigSection(values, prefix="", problems=problems)
    top.only(KEYS)
    check_trainer(top.section("trainer"), _devices_per_trial(values))
    template = OmegaConf.masked_copy(config, [key for key in TEMPLATE_KEYS if key in config])
    for key in {*CONTEXT_KEYS} & {*values} - {TRAINING_SEED}:  # they may refer to keys outside of a trial's config
        OmegaConf.update(template, key, values[key], merge=False)
    remember_those_of(template)
    fixed = OmegaConf.masked_copy(config, [key for key in (*FIXED_KEYS, TRAINING_SEED) if key in config])
    check_template(values, problems)
    space = parse_space(values.get("search_space"), config=fixed, problems=problems)
    if top.word("mode", ("tuned", "fixed"), default="tuned") == "fixed":
        space = _without_nuisance(space, problems)
    sampler = _parse_named(top.section("sampler"), SamplerName)
    replicates = top.whole("replicates", low=1, high=MOST_SEEDS)
    settings = StudySettings(
        study_name=top.name("study_name"),
        n_trials=parse_n_trials(top, space, sampler, replicates),
        replicates=replicates,
        seed=top.whole("seed", low=0, high=LARGEST_SEED, default=0),
        timeout_s=top.optional_number("timeout_s", above=0, high=MOST_SECONDS),
        stop_at=top.optional_number("stop_at", above=-math.inf),
        device_seconds=top.optional_number("device_seconds", above=0, high=MOST_SECONDS),
        max_trial_s=top.optional_number("max_trial_s", above=0, high=MOST_SECONDS),
        max_retries=top.whole("max_retries", low=0, high=MOST_TRIALS),
        max_failures=top.whole("max_failures", low=1, high=MOST_TRIALS),
        workers=None if values.get("workers") == "auto" else top.whole("workers", low=1, high=MOST_WORKERS),
        resume=top.word("resume", ("continue", "fork"), default="continue"),
        import_from=top.text("import_from") if top.has("import_from") else None,
        objective=parse_objective(top.section("objective")),
        budget=parse_budget(top.section("budget")),
        space=space,
        enqueue=parse_enqueue(values.get("enqueue"), space, problems),
        sampler=sampler,
        pruner=_parse_named(top.section("pruner"), PrunerName),
        launcher=_parse_named(top.section("launcher"), LauncherName),
        analysis=parse_analysis(top.section("analysis"), space),
        storage=parse_storage(top.section("storage")),
        checkpoint=parse_checkpoint(top.section("checkpoint")),
        out_of_memory=parse_out_of_memory(top.section("out_of_memory"), values, problems),
        output_dir=parse_output_dir(
            top.text("output_dir", default="outputs"), study_name=str(values.get("study_name")), problems=problems
        ),
        template=template,
        hypothesis=parse_hypothesis(top.section("hypothesis"), space),
        select=parse_select(top.section("select")),
        check=parse_check(top.section("check")),
        links=parse_links(given, space, problems),
    )
    _check_together(settings, problems)
    if values.get("question") is not None:
        remedy = f"leave it out, or name the file that studies.run wrote, {settings.output_dir}/question.yaml"
        problems.add("question", f"is {shown(values['question'])}, and only studies.run answers one", remedy)
    check_objective(settings.objective, settings.budget, problems, stop_at=settings.stop_at)
    check_select(settings, problems)
    check_vars(template, space, problems)
    for check in checks:
        check(settings, problems)
    problems.found = [
        problem for problem in problems.found if problem in unresolved or not _follows(problem, unresolved)
    ]
    problems.raise_if_any()
    return settings


def _plain(config: DictConfig, problems: Problems) -> dict[str, Any]:
    """Return the config as plain values. Each interpolation that fails is a problem."""
    values: dict[str, Any] = {}
    for path, text in texts(OmegaConf.to_container(config, resolve=False)):
        if text == "???":
            problems.add(path, "is missing", "give it a value")
    for key in config:
        name = str(key)
        if not isinstance(key, str):
            problems.add(name, "is a key and no text", f"remove it, or write it in quotes: '{name}'")
            continue
        if OmegaConf.is_missing(config, name):
            continue
        try:
            values[name] = plain_values(config[name])
            if name == "search_space":
                values[name] = space_values(config)
        except OmegaConfBaseException as error:
            complaint = str(error).splitlines()[0]
            remedy = f"correct the interpolation{present_names(complaint)}"
            if isinstance(error, UnsupportedInterpolationType):
                remedy = f"correct its name, or {REMEDY}"
            problems.add(error.full_key or name, f"cannot be resolved ({complaint})", remedy)
    return values


def _follows(problem: Problem, unresolved: Sequence[Problem]) -> bool:
    """Return whether a value may only seem missing because its whole section could not be resolved."""
    section = problem.key.partition(".")[0]
    return any(section == re.split(r"[.\[]", other.key)[0] for other in unresolved)


def _without_nuisance(space: SearchSpace, problems: Problems) -> SearchSpace:
    """Return the scientific parameters alone. All others keep their values in the config."""
    kept = tuple(parameter for parameter in space if parameter.role == "scientific")
    if not kept:
        remedy = "give the parameter in question role: scientific, or set mode=tuned"
        problems.add("mode", "is fixed, and no parameter is scientific", remedy)
        return space
    for parameter in kept:
        for parent in parameter.when:
            if space[parent].role == "nuisance":
                remedy = f"give {parent} role: scientific too, or set mode=tuned"
                problems.add(
                    "mode", f"is fixed, and {parameter.name} depends on the nuisance parameter {parent}", remedy
                )
    return SearchSpace(kept)


def _devices_per_trial(values: Mapping[str, Any]) -> int:
    launcher = values.get("launcher")
    given = launcher.get("devices_per_trial", 1) if isinstance(launcher, Mapping) else 1
    return given if isinstance(given, int) else 1


def _parse_named(section: ConfigSection, words: Any) -> Named:
    name = section.word("name", get_args(words))
    return Named(name, {str(key): value for key, value in section.values.items() if key != "name"})


def _check_together(settings: StudySettings, problems: Problems) -> None:
    """Add problems for settings that are right alone and wrong together."""
    if not settings.is_designed and settings.replicates > 1:
        remedy = "set sampler=grid, or replicates=1"
        problems.add("replicates", f"is {settings.replicates} but sampler is {settings.sampler.name}", remedy)
    if settings.is_designed and settings.enqueue:
        remedy = "remove it, or change the sampler"
        problems.add("enqueue", "does nothing for a grid, which runs each cell anyway", remedy)
    if settings.is_designed and settings.import_from is not None:
        remedy = "remove it, or change the sampler"
        problems.add("import_from", "does nothing for a grid, which runs each cell with each seed itself", remedy)
    compares_values = settings.is_designed and any(parameter.role == "scientific" for parameter in settings.space)
    if settings.analysis.margin is not None and not compares_values:
        complaint = f"is {settings.analysis.margin:g}, but no table compares the values of a parameter"
        remedy = "remove it, or set sampler=grid and give a parameter role: scientific"
        problems.add("analysis.margin", complaint, remedy)
    if len(settings.enqueue) > settings.n_trials:
        remedy = "raise n_trials or remove points"
        problems.add("enqueue", f"holds {len(settings.enqueue)} points for {settings.n_trials} trials", remedy)
    if settings.storage.address in IN_MEMORY and settings.launcher.name != "serial":
        remedy = "set launcher=serial, or storage=sqlite"
        problems.add("storage.url", f"is {settings.storage.address} but launcher is {settings.launcher.name}", remedy)
    if settings.objective.test and settings.devices_per_trial > 1:
        complaint = f"is true, and launcher.devices_per_trial is {settings.devices_per_trial}"
        problems.add("objective.test", complaint, "test the chosen configuration by studies.retrain, or train on one")
    if settings.launcher.name == "serial" and (settings.workers or 1) > 1:
        problems.add("workers", f"is {settings.workers} but launcher is serial", "set launcher=local, or workers=1")
    for parameter in settings.space:
        for path in {"seed", TRAINING_SEED}.intersection(parameter.paths):
            remedy = "vary another key: every trial's seed follows from seed and its replicate"
            problems.add(f"search_space.{parameter.name}.path", f"is {path}", remedy)
