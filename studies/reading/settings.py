"""Reads the composed config into `StudySettings`: validated once, with all problems told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from studies.budget import Budget, Unit
from studies.errors import Problems
from studies.reading.analysis import read_analysis
from studies.reading.belief import read_belief
from studies.reading.direction import with_usual_direction
from studies.reading.links import read_links, with_targets
from studies.reading.objective import check_objective, read_objective
from studies.reading.output_folder import read_output_dir
from studies.reading.section import Section
from studies.reading.select import check_select, read_select
from studies.reading.space import read_space
from studies.reading.storage import read_storage
from studies.reading.training_seed import space_values, with_stand_in
from studies.reading.vars import check_vars
from studies.resolvers import REMEDY, load_resolvers
from studies.secrets import remember_those_of
from studies.settings import (
    CONTEXT_KEYS,
    FIXED_KEYS,
    TEMPLATE_KEYS,
    TRAINING_SEED,
    CheckpointSettings,
    CheckSettings,
    LauncherName,
    Named,
    OutOfMemorySettings,
    PrunerName,
    SamplerName,
    StudySettings,
)
from studies.space import Point, SearchSpace, is_active

COMMAND_KEYS = ("trial", "config", "dashboard")
KEYS = (
    *TEMPLATE_KEYS,
    *COMMAND_KEYS,
    *(
        "n_trials",
        "replicates",
        "timeout_s",
        "stop_at",
        "device_seconds",
        "workers",
        "max_trial_s",
        "max_retries",
        "max_failures",
        "resume",
        "import_from",
        "enqueue",
    ),
    *("search_space", "sampler", "pruner", "select", "storage", "launcher", "analysis", "checkpoint", "out_of_memory"),
    *("belief", "check", "links"),
)
IN_MEMORY = ("memory", "sqlite://", "sqlite:///:memory:")  # storages that one process cannot share with another
TRAINER_KEYS_OF_OURS = {
    "max_epochs": "use budget.unit=epochs and budget.amount",
    "max_steps": "use budget.unit=steps and budget.amount",
    "max_time": "use budget.unit=seconds and budget.amount, or max_trial_s",
    "callbacks": "put callbacks under the top-level key callbacks",
    "logger": "put loggers under the top-level key loggers",
    "check_val_every_n_epoch": "a trial is validated at each rung: use budget.rungs",
    "val_check_interval": "a trial is validated at each rung: use budget.rungs",
    "fast_dev_run": "use python -m studies.check",
}
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")


Check = Callable[[StudySettings, Problems], None]


def read_settings(config: DictConfig, *, checks: Sequence[Check] = ()) -> StudySettings:
    """Read and check the composed `config`; `checks` are those of the floors above.

    Raises `BadInput` that lists every problem.
    """
    problems = Problems()
    load_resolvers(config)
    given = config
    config = with_usual_direction(with_targets(with_stand_in(config, problems)))
    values = _plain(config, problems)
    top = Section(values, prefix="", problems=problems)
    top.only(KEYS)
    _check_trainer(top.section("trainer"), _devices_per_trial(values))
    template = OmegaConf.masked_copy(config, [key for key in TEMPLATE_KEYS if key in config])
    for key in {*CONTEXT_KEYS} & {*values} - {TRAINING_SEED}:  # they may refer to keys that no trial has
        OmegaConf.update(template, key, values[key], merge=False)
    remember_those_of(template)
    fixed = OmegaConf.masked_copy(config, [key for key in (*FIXED_KEYS, TRAINING_SEED) if key in config])
    _check_template(values, problems)
    space = read_space(values.get("search_space"), config=fixed, problems=problems)
    space = (
        _without_nuisance(space, problems)
        if top.word("mode", ("tuned", "fixed"), default="tuned") == "fixed"
        else space
    )
    sampler = _read_named(top.section("sampler"), SamplerName)
    replicates = top.whole("replicates", low=1)
    settings = StudySettings(
        study_name=top.text("study_name"),
        n_trials=_read_n_trials(top, space, sampler, replicates),
        replicates=replicates,
        seed=top.whole("seed", low=0, default=0),
        timeout_s=top.optional_number("timeout_s", above=0),
        stop_at=top.optional_number("stop_at", above=-math.inf),
        device_seconds=top.optional_number("device_seconds", above=0),
        max_trial_s=top.optional_number("max_trial_s", above=0),
        max_retries=top.whole("max_retries", low=0),
        max_failures=top.whole("max_failures", low=1),
        workers=None if values.get("workers") == "auto" else top.whole("workers", low=1),
        resume=top.word("resume", ("continue", "fork"), default="continue"),
        import_from=top.text("import_from") if top.has("import_from") else None,
        objective=read_objective(top.section("objective")),
        budget=_read_budget(top.section("budget")),
        space=space,
        enqueue=_read_enqueue(values.get("enqueue"), space, problems),
        sampler=sampler,
        pruner=_read_named(top.section("pruner"), PrunerName),
        launcher=_read_named(top.section("launcher"), LauncherName),
        analysis=read_analysis(top.section("analysis"), space),
        storage=read_storage(top.section("storage")),
        checkpoint=_read_checkpoint(top.section("checkpoint")),
        out_of_memory=_read_out_of_memory(top.section("out_of_memory"), values, problems),
        output_dir=read_output_dir(
            top.text("output_dir", default="outputs"), study_name=str(values.get("study_name")), problems=problems
        ),
        template=template,
        belief=read_belief(top.section("belief"), space),
        select=read_select(top.section("select")),
        check=_read_check(top.section("check")),
        links=read_links(given, space, problems),
    )
    for check in (_check_together, check_objective, check_select, check_vars, *checks):
        check(settings, problems)
    problems.raise_if_any()
    return settings


def _plain(config: DictConfig, problems: Problems) -> dict[str, Any]:
    """The config as plain values; interpolations that fail are noted, one problem each."""
    values: dict[str, Any] = {}
    for missing in _missing(OmegaConf.to_container(config, resolve=False), ""):
        problems.add(missing, "is missing", "give it a value")
    for key in config:
        name = str(key)
        if not isinstance(key, str):
            problems.add(name, "is a key and no text", f"remove it, or write it in quotes: '{name}'")
            continue
        if OmegaConf.is_missing(config, name):
            continue
        try:
            node = config[name]
            values[name] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            if name == "search_space":
                values[name] = space_values(config)
        except OmegaConfBaseException as error:
            complaint = str(error).splitlines()[0]
            remedy = "correct the interpolation"
            if isinstance(error, UnsupportedInterpolationType):
                remedy = f"correct its name, or {REMEDY}"
            problems.add(error.full_key or name, f"cannot be resolved ({complaint})", remedy)
    return values


def _missing(node: Any, path: str) -> Iterator[str]:
    """The dotted keys that are still ???."""
    if node == "???":
        yield path
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _missing(child, f"{path}.{key}" if path else str(key))


def _check_template(values: Mapping[str, Any], problems: Problems) -> None:
    model = values.get("model")
    unresolved = any(problem.key.partition(".")[0] == "model" for problem in problems.found)
    if not unresolved and (not isinstance(model, Mapping) or "_target_" not in model):
        problems.add(
            "model", "has no _target_", "name a model (model=mlp), or give the _target_ of your LightningModule"
        )
    for group in ("callbacks", "loggers"):
        members = Section(values.get(group), prefix=group, problems=problems)
        for name, member in members.values.items():
            if member is not None and (not isinstance(member, Mapping) or "_target_" not in member):
                problems.add(f"{group}.{name}", "has no _target_", "give the dotted name of its class as _target_")


def _without_nuisance(space: SearchSpace, problems: Problems) -> SearchSpace:
    """The scientific parameters alone: all others keep their values in the config."""
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


def _check_trainer(trainer: Section, devices_per_trial: int) -> None:
    for key, remedy in TRAINER_KEYS_OF_OURS.items():
        if trainer.has(key):
            trainer.problems.add(trainer.key(key), "is set by the framework", remedy)
    devices = trainer.values.get("devices", 1)
    if not (devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)):
        remedy = "give 1: workers use one device each; launcher.devices_per_trial=N trains each trial on N of them"
        trainer.problems.add(trainer.key("devices"), f"is {devices!r}", remedy)
    if trainer.has("num_nodes") and trainer.values["num_nodes"] != 1:
        trainer.problems.add(trainer.key("num_nodes"), f"is {trainer.values['num_nodes']!r}", "give 1, or remove it")
    strategy = trainer.values.get("strategy") or "auto"
    if devices_per_trial > 1 and strategy not in STRATEGIES:
        trainer.problems.unknown(trainer.key("strategy"), f"is {strategy!r}", STRATEGIES)
    if devices_per_trial <= 1 and strategy != "auto":
        remedy = "give auto, or remove it; launcher.devices_per_trial=N trains each trial on N devices by DDP"
        trainer.problems.add(trainer.key("strategy"), f"is {strategy!r} for trials on one device", remedy)


def _read_named(section: Section, words: Any) -> Named:
    name = section.word("name", get_args(words))
    return Named(name, {str(key): value for key, value in section.values.items() if key != "name"})


def _read_budget(section: Section) -> Budget:
    section.only(("unit", "amount", "rungs"))
    unit: Unit = section.word("unit", get_args(Unit))
    amount = section.number("amount", above=0) if unit == "seconds" else section.whole("amount", low=1)
    rungs = section.optional_whole("rungs", low=1)
    if unit == "epochs":
        if rungs not in (None, amount):
            section.problems.add(section.key("rungs"), f"is {rungs}", "leave it null: each epoch is a rung")
        return Budget(unit, int(amount), int(amount))
    rungs = rungs or 10
    if unit == "steps" and rungs > amount:
        section.problems.add(section.key("rungs"), f"is {rungs} for {amount} steps", "give no more rungs than steps")
    return Budget(unit, amount if unit == "seconds" else int(amount), rungs)


def _read_checkpoint(section: Section) -> CheckpointSettings:
    section.only(("every_s", "keep_best"))
    return CheckpointSettings(
        every_s=section.optional_number("every_s", above=0), keep_best=section.whole("keep_best", low=0)
    )


def _read_check(section: Section) -> CheckSettings:
    section.only(("max_s",))
    return CheckSettings(section.optional_number("max_s", above=0) if section.values else CheckSettings().max_s)


def _read_out_of_memory(section: Section, values: Mapping[str, Any], problems: Problems) -> OutOfMemorySettings:
    section.only(("retry", "batch_size"))
    retry = section.word("retry", ("none", "halve_batch"), default="none")
    path = section.text("batch_size", default="datamodule.batch_size")
    node: Any = values
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    if retry == "halve_batch" and not isinstance(node, int):
        remedy = "name the config key that holds the batch size"
        problems.add(section.key("batch_size"), f"is {path}, where the config has no whole number", remedy)
    return OutOfMemorySettings(retry, path)


def _read_n_trials(top: Section, space: SearchSpace, sampler: Named, replicates: int) -> int:
    given = top.optional_whole("n_trials", low=1)
    if sampler.name != "grid":
        if given is None and "n_trials" in top.values:
            top.problems.add("n_trials", "is null", "give the study's total number of trials")
        return given or 1
    without = [parameter.name for parameter in space if not parameter.levels]
    for name in without:
        remedy = "give a number of levels or a list of values"
        top.problems.add(f"search_space.{name}.levels", "is missing and sampler is grid", remedy)
    size = max(1, len(space.grid()) * replicates) if not without else (given or 1)
    unsound = any(problem.key.startswith(("search_space", "n_trials", "replicates")) for problem in top.problems.found)
    if given not in (None, size) and not unsound:
        remedy = f"leave n_trials=null (or give {size}), or change the levels"
        top.problems.add("n_trials", f"is {given} but the grid has {size} cells × replicates", remedy)
    return size


def _read_enqueue(given: Any, space: SearchSpace, problems: Problems) -> tuple[Point, ...]:
    points: list[Point] = []
    if given is not None and not isinstance(given, list):
        problems.add("enqueue", f"is {given!r}", "give a list of points, each a mapping of parameter names to values")
        return ()
    for i, entry in enumerate(given or []):
        point = Section(entry, prefix=f"enqueue.{i}", problems=problems)
        point.only(space.names)
        kept: Point = {}
        for parameter in space:
            if parameter.name not in point.values:
                continue
            value = parameter.own(point.values[parameter.name])
            key = point.key(parameter.name)
            if not parameter.contains(value):
                problems.add(key, f"is {value!r}, outside the search space", "give a value that the parameter can take")
            elif all(parent in kept for parent in parameter.when) and not is_active(parameter, kept):
                problems.add(key, "is not active under the point's other values", "remove it, or change its condition")
            kept[parameter.name] = value
        points.append(kept)
    return tuple(points)


def _check_together(settings: StudySettings, problems: Problems) -> None:
    """Settings that are right alone and wrong together."""
    if not settings.is_designed and settings.replicates > 1:
        remedy = "set sampler=grid, or replicates=1"
        problems.add("replicates", f"is {settings.replicates} but sampler is {settings.sampler.name}", remedy)
    if settings.is_designed and settings.enqueue:
        problems.add(
            "enqueue", "does nothing for a grid, which runs each cell anyway", "remove it, or change the sampler"
        )
    if settings.is_designed and settings.import_from is not None:
        remedy = "remove it, or change the sampler"
        problems.add("import_from", "does nothing for a grid, which runs each cell with each seed itself", remedy)
    if len(settings.enqueue) > settings.n_trials:
        remedy = "raise n_trials or remove points"
        problems.add("enqueue", f"holds {len(settings.enqueue)} points for {settings.n_trials} trials", remedy)
    if settings.storage.address in IN_MEMORY and settings.launcher.name != "serial":
        remedy = "set launcher=serial, or storage=sqlite"
        complaint = f"is {settings.storage.address} but launcher is {settings.launcher.name}"
        problems.add("storage.url", complaint, remedy)
    if settings.objective.test and settings.devices_per_trial > 1:
        complaint = f"is true, and launcher.devices_per_trial is {settings.devices_per_trial}"
        problems.add("objective.test", complaint, "test the chosen configuration by studies.retrain, or train on one")
    if settings.launcher.name == "serial" and (settings.workers or 1) > 1:
        remedy = "set launcher=local, or workers=1"
        problems.add("workers", f"is {settings.workers} but launcher is serial", remedy)
    for parameter in settings.space:
        for path in {"seed", TRAINING_SEED}.intersection(parameter.paths):
            remedy = "vary another key: every trial's seed follows from seed and its replicate"
            problems.add(f"search_space.{parameter.name}.path", f"is {path}", remedy)
