"""Our own config folder, its groups, and configs composed outside a command.

Context: of several files with one name Hydra takes the first, and our folder comes first. So a user's option with the
name of a shipped one was never read. Choice: such a pair is refused, with both paths. Cost: a file has to be renamed.
If the user's file won instead, a shipped study would quietly train on another data module than it names.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from studies.config.composing.own_options import BY_PATH, SCHEME, option_of, read_text, register, source_of
from studies.config.parsing.direction import OBJECTIVES, flat_keys, forget_directions
from studies.config.space import plain_values
from studies.errors import BadInput, Problem
from studies.text.quoting import argument, in_quotes

OPTION = re.compile(r"[\w/-]+")
SETS_SPACE = re.compile(r"^[\"']?search_space[\"']?\s*:", re.MULTILINE)


def config_dir() -> Path:
    """Return the folder of our own configs: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[2]
    return next(folder for folder in (package / "conf", package.parent / "conf") if folder.is_dir())


def compose(overrides: Sequence[str] = (), *, config_dirs: Sequence[str] = (), with_hydra: bool = False) -> DictConfig:
    """Return the config of a command with these overrides, independent of the running command.

    `with_hydra` keeps Hydra's own part. Raises Hydra's and OmegaConf's errors.
    """
    register()
    folders = ",".join(in_quotes(source_of(folder)) for folder in config_dirs)
    searched = [f"hydra.searchpath=[{folders}]"] if folders else []
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = hydra.compose("config", overrides=[*overrides, *searched], return_hydra_config=with_hydra)
            return as_meant(config, overrides, searched)
    finally:
        if running is not None:
            GlobalHydra.instance().initialize(running)


def compose_file(file: Path) -> DictConfig:
    """Return the config of a study file, as a command with its path alone would. It is now that of the running command.

    So what is told of the study later on, such as the command of its next round, names this file. Raises Hydra's and
    OmegaConf's errors.
    """
    whole = compose([argument(f"+{BY_PATH}", option_of(file))], config_dirs=[str(file)], with_hydra=True)
    HydraConfig.instance().set_config(whole)
    return OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])


def as_meant(config: DictConfig, overrides: Sequence[str], searched: Sequence[str]) -> DictConfig:
    """Return `config` as its author means it.

    The command line may replace a choice of the study's file, then the keys of that choice go. A `~` in `output_dir`
    becomes the home folder, as shells leave it after an equals sign.
    """
    return undirected(deselected(at_home(config), overrides), overrides, searched)


def at_home(config: DictConfig) -> DictConfig:
    """Return `config` with the home folder in place of a leading `~` in `output_dir`."""
    given = OmegaConf.to_container(OmegaConf.masked_copy(config, "output_dir"))
    path = given.get("output_dir") if isinstance(given, dict) else None
    if isinstance(path, str) and path.startswith("~"):
        config.output_dir = os.path.expanduser(path)  # noqa: PTH111 - an unknown user stays as written
    return config


def undirected(config: DictConfig, overrides: Sequence[str], searched: Sequence[str]) -> DictConfig:
    """Return `config` without the direction of a metric that the command line replaces."""
    keys = [_keys(override) if OBJECTIVES[0] in override else set() for override in overrides]
    given = {key for own in keys for key in own}
    if not given.intersection(f"{objective}.metric" for objective in OBJECTIVES):
        return config
    is_of_objective = [any(key.partition(".")[0] == OBJECTIVES[0] for key in own) for own in keys]
    others = [override for override, is_one in zip(overrides, is_of_objective, strict=True) if not is_one]
    forget_directions(config, hydra.compose("config", overrides=[*others, *searched]), given)
    return config


def deselected(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return `config` without the study file's selection, if the command line has `select=none`.

    Keys of the command line itself stay, so that they are reported.
    """
    chosen = [override for override in overrides if override.startswith("select=")]
    if chosen[-1:] == ["select=none"]:
        given = {override.lstrip("+").partition("=")[0] for override in overrides}
        kept = [str(key) for key in config.select if key == "name" or f"select.{key}" in given]
        config.select = OmegaConf.masked_copy(config.select, kept)
    return config


def _keys(override: str) -> set[str]:
    """Return the dotted keys that an override sets, with all keys of a mapping."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    return set(flat_keys(None if parsed.is_delete() else parsed.value(), parsed.key_or_group))


def overruled(config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Return the parameters of the command line's search space that the study's own file replaces.

    Hydra lets the file win silently. For the config of the running command.
    """
    chosen = [override.partition("=")[2] for override in overrides if override.startswith("search_space=")]
    if not chosen or not OPTION.fullmatch(chosen[-1]):
        return []
    asked = hydra.compose("config", [f"search_space={chosen[-1]}", *search_path()]).search_space
    given = {override.lstrip("+~").partition("=")[0] for override in overrides}
    untouched = [str(key) for key in asked if not any(f"{name}.".startswith(f"search_space.{key}.") for name in given)]
    written = partial(plain_values, resolve=False)
    return [key for key in untouched if written(asked[key]) != written(config.search_space.get(key))]


def file_with_space() -> Path | None:
    """Return the study's own file if it sets a `search_space`, which an option of that group cannot replace.

    For the running command. Files that the study's file names in its `defaults` are not read.
    """
    running = HydraConfig.get().runtime
    option = f"{running.choices.get('study')}.yaml"
    places = [Path(source.path) for source in running.config_sources if source.schema in (SCHEME, "file")]
    files = [place / "study" / option if place.is_dir() else place for place in places]
    with contextlib.suppress(BadInput):  # of a file that was replaced since it was composed
        return next((file for file in files if file.is_file() and SETS_SPACE.search(read_text(file))), None)
    return None


def given_overrides() -> list[str]:
    """Return the overrides of the running command as they were written, with their references."""
    return _as_written(HydraConfig.get().overrides.task)


def search_path() -> list[str]:
    """Return the overrides of the running command that say where to look for options."""
    given = _as_written(HydraConfig.get().overrides.hydra)
    return [override for override in given if override.startswith("hydra.searchpath=")]


def _as_written(overrides: Any) -> list[str]:
    written = OmegaConf.to_container(overrides, resolve=False)
    return [str(override) for override in written] if isinstance(written, list) else []


def group_options(group: str, *, config_dirs: Sequence[str] = ()) -> list[str]:
    """Return the options of a config group, with those of nested groups. There are none if it is no group."""
    if not GlobalHydra.instance().is_initialized():
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            return group_options(group, config_dirs=config_dirs)
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options(group, ObjectType.CONFIG)
    inner = loader.get_group_options(group, ObjectType.GROUP)
    nested = [f"{name}/{option}" for name in inner for option in group_options(f"{group}/{name}")]
    theirs = [option for folder in config_dirs for option in _options_in(Path(folder, group))]
    return list(dict.fromkeys([*options, *nested, *theirs]))


def shadowed(config_dirs: Sequence[str]) -> list[Problem]:
    """Return a problem for each file in these folders that Hydra would never read.

    A shipped file or one in an earlier folder has its name. A copy with the same content is no problem.
    """
    folders = dict.fromkeys(Path(folder).resolve() for folder in config_dirs)
    ours = config_dir().resolve()
    read = {path.relative_to(ours): path for path in sorted(ours.rglob("*.yaml"))}
    groups = {path.parts[0] for path in read if len(path.parts) > 1}
    problems = []
    for folder in folders:
        theirs = {path: folder / path for path in read if (folder / path).is_file()}
        hidden = {path: file for path, file in theirs.items() if file.read_bytes() != read[path].read_bytes()}
        problems += [_of_hidden(path, file, read[path]) for path, file in hidden.items()]
        own = (Path(group, f"{option}.yaml") for group in groups for option in _options_in(folder / group))
        read = {**{path: folder / path for path in own}, **read}
    return problems


def _of_hidden(path: Path, file: Path, other: Path) -> Problem:
    group, option = path.parent.as_posix(), path.stem
    if group == ".":
        complaint = f"is {file} and {other}, and Hydra would read the second alone"
        return Problem(path.name, complaint, "put its keys into a file of the group study, and remove or rename it")
    complaint = f"is {option}, which is {file} and {other}, and Hydra would read the second alone"
    return Problem(group, complaint, "give the first another name, and choose it by that")


def _options_in(folder: Path) -> list[str]:
    """Return the options in the folder of a group, with those of nested groups."""
    return [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.yaml"))]
