"""Our own config folder, its groups, and configs composed outside a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf


def config_dir() -> Path:
    """The folder of our own configs: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return next(folder for folder in (package / "conf", package.parent / "conf") if folder.is_dir())


def compose(overrides: Sequence[str] = (), *, config_dirs: Sequence[str] = ()) -> DictConfig:
    """The config that a command with these overrides would get, whatever the command that runs now was given. Raises
    Hydra's and OmegaConf's errors."""
    folders = ",".join(f"file://{Path(folder).resolve()}" for folder in config_dirs)
    search_path = [f"hydra.searchpath=[{folders}]"] if folders else []
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            return deselected(hydra.compose("config", overrides=[*overrides, *search_path]), overrides)
    finally:
        if running is not None:
            GlobalHydra.instance().initialize(running)


def deselected(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """`config` without what its study's file says of a selection that the command line turns off by `select=none`; what
    the command line itself says of it stays, to be told."""
    chosen = [override for override in overrides if override.startswith("select=")]
    if chosen[-1:] == ["select=none"]:
        given = {override.lstrip("+").partition("=")[0] for override in overrides}
        kept = [str(key) for key in config.select if key == "name" or f"select.{key}" in given]
        config.select = OmegaConf.masked_copy(config.select, kept)
    return config


def group_options(group: str, *, config_dirs: Sequence[str] = ()) -> list[str]:
    """The options of a config group, those of groups inside it too; empty for what is no group."""
    if not GlobalHydra.instance().is_initialized():
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            return group_options(group, config_dirs=config_dirs)
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options(group, ObjectType.CONFIG)
    inner = loader.get_group_options(group, ObjectType.GROUP)
    nested = [f"{name}/{option}" for name in inner for option in group_options(f"{group}/{name}")]
    theirs = [path.stem for folder in config_dirs for path in sorted(Path(folder, group).glob("*.yaml"))]
    return list(dict.fromkeys([*options, *nested, *theirs]))
