"""A reference experiment as the studies that it is made of: one, or the parts of a belief, one after the other.

A part is the whole config with some keys changed (`belief.parts`), a study of its own name and folder. A later part may
start from a model that an earlier one has trained: `${belief.checkpoints.NAME}` among the choices of a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.composing.configs import given_overrides
from studies.config.parsing.direction import flat_keys, forget_directions
from studies.errors import BadInput, Problem
from studies.text.naming import shown_name, why_no_name

if TYPE_CHECKING:
    from optuna import Study
    from rich.console import Console

    from studies.config.settings import StudySettings

OPEN = ("search_space", "belief")  # where a part may add keys


@dataclass(frozen=True, slots=True)
class Part:
    """One study of an experiment; `name` is empty where it is the only one."""

    name: str
    config: DictConfig


def each_part(config: DictConfig, *, are_trained: bool = True) -> Iterator[Part]:
    """The studies that `config` describes, in order; a later one knows the models that earlier ones have trained by
    the time it is asked for. Unless they have to be there (`are_trained`), those that are not are taken for none.

    Raises `BadInput` where a part changes a key that there is not, or that the command line has set.
    """
    parts = _parts(config)
    problems = [problem for name, changes in parts.items() for problem in _overridden(name, changes)]
    if config.get("belief") and config.get("resume") == "fork":
        remedy = "give another study_name instead, which all its parts and its conclusion take"
        problems.append(Problem("resume", "is fork, and the study belongs to a belief", remedy))
    if problems:
        raise BadInput(problems)
    if not parts:
        yield Part("", config)
    checkpoints: dict[str, str | None] = {}
    for name, changes in parts.items():
        part = Part(name, _changed(config, name, changes, checkpoints))
        yield part
        if _is_taken(name, config, parts) and (are_trained or _is_there(part.config)):
            checkpoints[name] = _checkpoint_of(part.config)


def part_names(config: DictConfig) -> list[str]:
    """The names of the parts that `config` is made of; none where it is one study."""
    return list(_parts(config))


def conclude_experiment(config: DictConfig, console: Console) -> None:
    """Say what a belief's finished studies show, if `config` has a belief; nothing is trained."""
    from studies.analysis.same_runs import same_runs_note
    from studies.reporting.belief import Evidence, conclude, remove_belief, write_belief
    from studies.reporting.report import ended_trials
    from studies.storage.identity import rule_of
    from studies.storage.slots import rules_of

    if not config.get("belief"):
        remove_belief(Path(str(config.output_dir)))
        return
    parts = []
    for part in each_part(config):
        settings, study = stored(part.config)
        rules, every = rules_of(settings), study.get_trials(deepcopy=False)
        ended = ended_trials(every, settings, rules)
        same_runs = same_runs_note(every) or ""
        parts.append(Evidence(part.name, settings, ended, rules.are_all_finished(every), rule_of(study), same_runs))
    found = conclude(parts, console=console)
    write_belief(Path(str(config.output_dir)), found, parts, console=console)


def is_finished(part: Part) -> bool:
    """Whether the whole budget of a part's study is spent."""
    from studies.storage.slots import rules_of

    settings, study = stored(part.config)
    return rules_of(settings).are_all_finished(study.get_trials(deepcopy=False))


def _is_taken(name: str, config: DictConfig, parts: Mapping[str, Any]) -> bool:
    """Whether something starts from the model of part `name`."""
    told = str(OmegaConf.to_container(config, resolve=False)) + str(list(parts.values()))
    return f"${{belief.checkpoints.{name}}}" in told


def _is_there(config: DictConfig) -> bool:
    from studies.cli.admission import admit
    from studies.storage.identity import find_study

    settings, storage = admit(config)
    return find_study(settings, storage)[0] is not None


def _checkpoint_of(config: DictConfig) -> str | None:
    """The file with the last state of a finished part's best trial. Raises `BadInput` where none was kept."""
    from studies.storage.checkpoints import best_trials, last_state_of

    settings, study = stored(config)
    best = best_trials(study.get_trials(deepcopy=False), settings)
    kept = [last_state_of(trial, settings) for trial in best]
    found = next((path for path in kept if path is not None), None)
    if found is None:
        complaint = f"is {settings.checkpoint.keep_best}, and study {settings.study_name} kept no model for later parts"
        raise BadInput([Problem("checkpoint.keep_best", complaint, "give 1 or more, and another study_name")])
    return str(found)


def stored(config: DictConfig) -> tuple[StudySettings, Study]:
    """The settings of a part and its study. Raises `BadInput` where the storage does not hold it."""
    from studies.cli.admission import admit
    from studies.storage.identity import find_study

    settings, storage = admit(config, to_read=True)
    study, settings = find_study(settings, storage)
    if study is None:
        complaint = f"is {settings.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, "run it first: python -m studies.run")])
    return settings, study


def _parts(config: DictConfig) -> dict[str, Any]:
    if OmegaConf.is_missing(config, "belief") or not isinstance(config.get("belief"), DictConfig):
        return {}
    parts = config.belief.get("parts")
    if not parts:
        return {}
    if not isinstance(parts, DictConfig) or not all(isinstance(changes, DictConfig) for changes in parts.values()):
        remedy = "give a mapping of names to the keys that each part changes, or {}"
        raise BadInput([Problem("belief.parts", f"is {parts!r}", remedy)])
    for name in map(str, parts):
        why = "which is no name of a folder in output_dir" if "/" in name or name in (".", "..") else why_no_name(name)
        if why is not None:
            raise BadInput([Problem("belief.parts", f"holds {shown_name(name)}, {why}", "give the part another name")])
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
        "belief": {"parts": None, "checkpoints": dict(checkpoints)},
    }
    try:
        merged = OmegaConf.merge(base, changes, own)
    except OmegaConfBaseException as error:
        complaint = f"cannot be applied ({str(error).splitlines()[0]})"
        raise BadInput([Problem(f"belief.parts.{name}", complaint, "change only keys that the config has")]) from None
    assert isinstance(merged, DictConfig)
    forget_directions(merged, config, set(flat_keys(OmegaConf.to_container(changes), "")))
    return merged


def _overridden(name: str, changes: Any) -> Iterator[Problem]:
    """Keys that the command line sets and this part sets otherwise."""
    from hydra.core.hydra_config import HydraConfig

    given = given_overrides() if HydraConfig.initialized() else []
    keys = [override.lstrip("+~").partition("=")[0] for override in given]
    for key in keys:
        if OmegaConf.select(changes, key) is not None and not key.startswith("belief"):
            own = f"belief.parts.{name}.{key}"
            yield Problem(key, f"is set by the belief's part {name} as well", f"give {own} instead")
