"""A reference experiment as the studies that it is made of: one, or the parts of a belief, one after the other.

A part is the whole config with some keys changed (`belief.parts`), a study of its own name and folder. A later part may
start from a model that an earlier one has trained: `${belief.checkpoints.NAME}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.storages import BaseStorage

from studies.errors import BadInput, Problem

OPEN = ("search_space", "belief")  # where a part may add keys


@dataclass(frozen=True, slots=True)
class Part:
    """One study of an experiment; `name` is empty where it is the only one."""

    name: str
    config: DictConfig


def parts_of(config: DictConfig, *, checkpoints: Mapping[str, str] | None = None) -> list[Part]:
    """The studies that `config` describes, in order. `checkpoints` are the models that earlier parts have trained.

    Raises `BadInput` where a part changes a key that there is not, or that the command line has set.
    """
    parts = _parts(config)
    if not parts:
        return [Part("", config)]
    problems = [problem for name, changes in parts.items() for problem in _overridden(name, changes)]
    if problems:
        raise BadInput(problems)
    return [Part(name, _changed(config, name, changes, checkpoints or {})) for name, changes in parts.items()]


def checkpoint_of(config: DictConfig, storage: BaseStorage) -> str | None:
    """The file with the last state of a finished part's best trial, where it was kept."""
    from studies.report.report import choices_of
    from studies.settings_reading import read_settings
    from studies.storage.checkpoints import last_state_of
    from studies.storage.identity import find_study

    settings = read_settings(config)
    study, settings = find_study(settings, storage)
    choices = choices_of(study.get_trials(deepcopy=False), settings) if study is not None else []
    kept = [last_state_of(choice.trial) for choice in choices]
    return next((str(path) for path in kept if path is not None), None)


def _parts(config: DictConfig) -> dict[str, Any]:
    if OmegaConf.is_missing(config, "belief") or not config.get("belief"):
        return {}
    parts = config.belief.get("parts") or {}
    if not isinstance(parts, DictConfig) or not all(isinstance(changes, DictConfig) for changes in parts.values()):
        remedy = "give a mapping of names to the keys that each part changes, or {}"
        raise BadInput([Problem("belief.parts", f"is {parts!r}", remedy)])
    return {str(name): changes for name, changes in parts.items()}


def _changed(config: DictConfig, name: str, changes: Any, checkpoints: Mapping[str, str]) -> DictConfig:
    base = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(base, DictConfig)
    OmegaConf.set_struct(base, True)
    for key in OPEN:
        if isinstance(base.get(key), DictConfig):
            OmegaConf.set_struct(base[key], False)
    own = {
        "study_name": f"{config.study_name}_{name}",
        "output_dir": f"{config.output_dir}/{name}",
        "belief": {"parts": None, "checkpoints": dict(checkpoints)},
    }
    try:
        merged = OmegaConf.merge(base, changes, own)
    except OmegaConfBaseException as error:
        complaint = f"cannot be applied ({str(error).splitlines()[0]})"
        raise BadInput([Problem(f"belief.parts.{name}", complaint, "change only keys that the config has")]) from None
    assert isinstance(merged, DictConfig)
    return merged


def _overridden(name: str, changes: Any) -> Iterator[Problem]:
    """Keys that the command line sets and this part sets otherwise."""
    from hydra.core.hydra_config import HydraConfig

    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    keys = [str(override).lstrip("+~").partition("=")[0] for override in given]
    for key in keys:
        if OmegaConf.select(changes, key) is not None and not key.startswith("belief"):
            own = f"belief.parts.{name}.{key}"
            yield Problem(key, f"is set by the belief's part {name} as well", f"give {own} instead")
