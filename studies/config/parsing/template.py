"""Checks the parts of a training: model, data, callbacks, loggers, options of the Trainer, and the user's `vars`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.parsing.limits import shown
from studies.config.parsing.section import ConfigSection
from studies.config.resolvers import texts
from studies.config.settings import FIXED_KEYS
from studies.config.space import SearchSpace
from studies.errors import Problems

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


def check_template(values: Mapping[str, Any], problems: Problems) -> None:
    """Add a problem for each model, callback or logger without a `_target_`, and each group that is no mapping."""
    model = values.get("model")
    unresolved = any(problem.key.partition(".")[0] == "model" for problem in problems.found)
    if not unresolved and (not isinstance(model, Mapping) or "_target_" not in model):
        problems.add(
            "model", "has no _target_", "name a model (model=mlp), or give the _target_ of your LightningModule"
        )
    for group in ("datamodule", "vars"):
        ConfigSection(values.get(group), prefix=group, problems=problems)  # adds a problem if it is no mapping
    for group in ("callbacks", "loggers"):
        members = ConfigSection(values.get(group), prefix=group, problems=problems)
        for name, member in members.values.items():
            members.check_name(name)
            if member is not None and (not isinstance(member, Mapping) or "_target_" not in member):
                problems.add(f"{group}.{name}", "has no _target_", "give the dotted name of its class as _target_")


def check_trainer(trainer: ConfigSection, devices_per_trial: int) -> None:
    """Add a problem for each Trainer option that a study sets itself, and for those against its devices."""
    for key, remedy in TRAINER_KEYS_OF_OURS.items():
        if trainer.has(key):
            trainer.complain(key, "is set by the framework", remedy)
    devices = trainer.values.get("devices", 1)
    if not (devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)):
        remedy = "give 1 (a worker uses one device), or launcher.devices_per_trial=N to train each trial on N of them"
        trainer.complain("devices", f"is {shown(devices)}", remedy)
    if trainer.has("num_nodes") and trainer.values["num_nodes"] != 1:
        trainer.complain("num_nodes", f"is {shown(trainer.values['num_nodes'])}", "give 1, or remove it")
    strategy = trainer.values.get("strategy") or "auto"
    if devices_per_trial > 1 and strategy not in STRATEGIES:
        trainer.problems.unknown(trainer.key("strategy"), f"is {shown(strategy)}", STRATEGIES)
    if devices_per_trial <= 1 and strategy != "auto":
        remedy = "give auto, or launcher.devices_per_trial=N to train each trial on N devices by DDP"
        trainer.complain("strategy", f"is {shown(strategy)} for trials on one device", remedy)


def check_vars(template: DictConfig, space: SearchSpace, problems: Problems) -> None:
    """Add a problem for each searched variable of the section `vars` that no key of a trial's config uses."""
    written = OmegaConf.to_container(OmegaConf.masked_copy(template, list(FIXED_KEYS)), resolve=False)
    references = [text for _, text in texts(written) if "${" in text]
    for parameter in space:
        for path in parameter.paths:
            if path.startswith("vars.") and not any(path in text or "${." in text for text in references):
                remedy = f"write ${{{path}}} where a trial needs it, or search another key"
                problems.add(f"search_space.{parameter.name}.path", f"is {path}, which no key refers to", remedy)
