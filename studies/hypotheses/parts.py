"""The studies that a config describes: one, or the parts of a hypothesis, one after the other.

A part is the whole config with some keys changed (`hypothesis.parts`): a study with a name and a folder of its own. A
later part may start from the model of an earlier one by `${hypothesis.checkpoints.NAME}`, a choice of a parameter.
`check_hypothesis` refuses a study that cannot decide its hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.analysis.levels import MIN_BLOCKS, MIN_SEEDS
from studies.config.composing.configs import given_overrides
from studies.config.parsing.direction import flat_keys, forget_directions
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem, Problems
from studies.text.naming import shown_name, why_no_name

OPEN = ("search_space", "hypothesis")  # where a part may add keys


@dataclass(frozen=True, slots=True)
class StudyPart:
    """One study of a hypothesis. `name` is empty if it is the only one."""

    name: str
    config: DictConfig


def parts_of(config: DictConfig, *, checkpoint_of: Callable[[DictConfig], str | None]) -> Iterator[StudyPart]:
    """Yield the studies that `config` describes, in order.

    `checkpoint_of` returns the trained model of a part, or None. It is called only for a part with a successor that
    starts from its model, before that successor is yielded. Raises `BadInput` if a part changes an unknown key, or one
    from the command line.
    """
    parts = _parts(config)
    problems = [problem for name, changes in parts.items() for problem in _overridden(name, changes)]
    if config.get("hypothesis") and config.get("resume") == "fork":
        remedy = "give another study_name instead, which all its parts and its conclusion take"
        problems.append(Problem("resume", "is fork, and the study belongs to a hypothesis", remedy))
    if problems:
        raise BadInput(problems)
    if not parts:
        yield StudyPart("", config)
    checkpoints: dict[str, str | None] = {}
    for name, changes in parts.items():
        part = StudyPart(name, _changed(config, name, changes, checkpoints))
        yield part
        if _is_taken(name, config, parts):
            checkpoints[name] = checkpoint_of(part.config)


def part_names(config: DictConfig) -> list[str]:
    """Return the names of the parts of `config`. Empty for one study."""
    return list(_parts(config))


def check_hypothesis(settings: StudySettings, problems: Problems) -> None:
    """Add a problem for a hypothesis that no result of the study could decide."""
    if settings.hypothesis is None or settings.hypothesis.rule == "none":
        return
    rule = settings.hypothesis.rule
    if not settings.is_designed:
        complaint = f"is {rule}, which judges the cells of a grid, but sampler is {settings.sampler.name}"
        problems.add("hypothesis.rule", complaint, "set sampler=grid, or hypothesis=null")
        return
    fewest = MIN_BLOCKS if rule == "independence" else MIN_SEEDS
    if settings.replicates < fewest:
        complaint = (
            f"is {settings.replicates}, and hypothesis.rule={rule} decides nothing with fewer than {fewest} seeds"
        )
        problems.add("replicates", complaint, f"give {fewest} or more, or hypothesis=null")


def _is_taken(name: str, config: DictConfig, parts: Mapping[str, Any]) -> bool:
    """Return whether a later part starts from the model of part `name`."""
    told = str(OmegaConf.to_container(config, resolve=False)) + str(list(parts.values()))
    return f"${{hypothesis.checkpoints.{name}}}" in told


def _parts(config: DictConfig) -> dict[str, Any]:
    if OmegaConf.is_missing(config, "hypothesis") or not isinstance(config.get("hypothesis"), DictConfig):
        return {}
    parts = config.hypothesis.get("parts")
    if not parts:
        return {}
    if not isinstance(parts, DictConfig) or not all(isinstance(changes, DictConfig) for changes in parts.values()):
        remedy = "give a mapping of names to the keys that each part changes, or {}"
        raise BadInput([Problem("hypothesis.parts", f"is {parts!r}", remedy)])
    for name in map(str, parts):
        why = "which is no name of a folder in output_dir" if "/" in name or name in (".", "..") else why_no_name(name)
        if why is not None:
            raise BadInput(
                [Problem("hypothesis.parts", f"holds {shown_name(name)}, {why}", "give the part another name")]
            )
    return {str(name): changes for name, changes in parts.items()}


def _changed(config: DictConfig, name: str, changes: Any, checkpoints: Mapping[str, str | None]) -> DictConfig:
    base = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(base, DictConfig)
    OmegaConf.set_struct(base, True)
    for key in OPEN:
        if isinstance(base.get(key), DictConfig):
            OmegaConf.set_struct(base[key], False)
    own = {
        "study_name": f"{config.study_name}_{name}",
        "output_dir": f"{config.output_dir}/{name}",
        "hypothesis": {"parts": None, "checkpoints": dict(checkpoints)},
    }
    try:
        merged = OmegaConf.merge(base, changes, own)
    except OmegaConfBaseException as error:
        complaint = f"cannot be applied ({str(error).splitlines()[0]})"
        raise BadInput(
            [Problem(f"hypothesis.parts.{name}", complaint, "change only keys that the config has")]
        ) from None
    assert isinstance(merged, DictConfig)
    forget_directions(merged, config, set(flat_keys(OmegaConf.to_container(changes), "")))
    return merged


def _overridden(name: str, changes: Any) -> Iterator[Problem]:
    """Yield the keys that both the command line and this part set."""
    given = given_overrides() if HydraConfig.initialized() else []
    keys = [override.lstrip("+~").partition("=")[0] for override in given]
    for key in keys:
        if OmegaConf.select(changes, key) is not None and not key.startswith("hypothesis"):
            own = f"hypothesis.parts.{name}.{key}"
            yield Problem(key, f"is set by the hypothesis's part {name} as well", f"give {own} instead")
