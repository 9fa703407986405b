"""Parses the training of a trial: its seed, its budget, its checkpoints, and its retry after out-of-memory.

The training seed of each trial is known only when the trial begins. While a config is parsed, the key holds the study's
seed, so that every `${training_seed}` can be resolved. A choice of the search space keeps the reference as text, as it
is written into a trial's config later.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf

from studies.config.budget import Budget, Unit
from studies.config.parsing.limits import MOST_RUNGS, MOST_SECONDS, MOST_TRIALS
from studies.config.parsing.section import ConfigSection
from studies.config.resolvers import with_texts
from studies.config.settings import TRAINING_SEED, CheckpointSettings, CheckSettings, OutOfMemorySettings
from studies.config.space import plain_values
from studies.errors import Problems

REFERENCE = f"${{{TRAINING_SEED}}}"
_MARK = f"<{TRAINING_SEED}>"  # in place of the reference while the search space is resolved


def with_stand_in(config: DictConfig, problems: Problems) -> DictConfig:
    """Return a copy of `config` with the study's seed as training seed. Add a problem if the config sets one."""
    given = config.get(TRAINING_SEED)
    if given is not None:
        remedy = f"set seed instead, and write {REFERENCE} where the config needs it"
        problems.add(TRAINING_SEED, f"is {given!r}, but each trial has a training seed of its own", remedy)
    seed = None if OmegaConf.is_missing(config, "seed") else config.get("seed")
    return _with(config, seed if isinstance(seed, int) else 0)


def space_values(config: DictConfig) -> Any:
    """Return the resolved `search_space` of `config` as plain values. References to the training seed stay.

    Raises OmegaConf's errors if another interpolation cannot be resolved.
    """
    values = plain_values(_with(config, _MARK)["search_space"])
    return with_texts(values, lambda text: text.replace(_MARK, REFERENCE))


def parse_budget(section: ConfigSection) -> Budget:
    """Return the budget of each trial: its length and its number of rungs."""
    section.only(("unit", "amount", "rungs"))
    unit: Unit = section.word("unit", get_args(Unit))
    amount = _parse_amount(section, unit)
    rungs = section.optional_whole("rungs", low=1, high=MOST_RUNGS)
    if unit == "epochs":
        if rungs not in (None, amount):
            section.complain("rungs", f"is {rungs}", "leave it null: each epoch is a rung")
        return Budget(unit, int(amount), int(amount))
    rungs = rungs or 10
    if unit == "steps" and rungs > amount:
        section.complain("rungs", f"is {rungs} for {amount} steps", "give no more rungs than steps")
    return Budget(unit, amount if unit == "seconds" else int(amount), rungs)


def _parse_amount(section: ConfigSection, unit: Unit) -> float:
    """Return the length of a trial in units. Each epoch is a rung."""
    if unit == "seconds":
        return section.number("amount", above=0, high=MOST_SECONDS)
    return section.whole("amount", low=1, high=MOST_RUNGS) if unit == "epochs" else section.whole("amount", low=1)


def parse_checkpoint(section: ConfigSection) -> CheckpointSettings:
    """Return the checkpoint settings."""
    section.only(("every_s", "keep_best"))
    return CheckpointSettings(
        every_s=section.optional_number("every_s", above=0, high=MOST_SECONDS),
        keep_best=section.whole("keep_best", low=0, high=MOST_TRIALS),
    )


def parse_check(section: ConfigSection) -> CheckSettings:
    """Return the limit of a check."""
    section.only(("max_s",))
    if not section.values:
        return CheckSettings()
    return CheckSettings(section.optional_number("max_s", above=0, high=MOST_SECONDS))


def parse_out_of_memory(section: ConfigSection, values: Mapping[str, Any], problems: Problems) -> OutOfMemorySettings:
    """Return the retry after out-of-memory, and the key of the batch size to halve."""
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


def _with(config: DictConfig, value: int | str) -> DictConfig:
    copied = copy.deepcopy(config)
    OmegaConf.set_struct(copied, False)
    OmegaConf.set_readonly(copied, False)
    copied[TRAINING_SEED] = value
    return copied
