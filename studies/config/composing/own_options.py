"""The user's own options as a source for Hydra: a folder beside the shipped one, or a single study file.

Context: YAML 1.1 reads the names `on`, `2024_01` and `1e5` as true, 202401 and 100000.0, and Hydra's own source of
files cannot be told otherwise. Choice: our source quotes names before it parses the text, and refuses values that may
be meant as texts. Cost: these folders have their own scheme in Hydra's search path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.composing.yaml_names import doubtful_values, with_quoted_names
from studies.errors import BadInput, Problem
from studies.text.yaml_text import Unreadable, read_yaml_text

SCHEME = "own"
BY_PATH = "study/by_path"  # the group for a study file and the options beside it
NAME = f"{BY_PATH}/name_of_the_file"  # an option that sets the study's name to that of its file
SUFFIXES = (".yaml", ".yml")
PACKAGE = re.compile(r"(?:\s*#\s*@\S+\s+\S+\s*\n|\s*\n)*?\s*#\s*@package\s+(\S+)")
UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]")


def register() -> None:
    """Let Hydra find options under `own://`."""
    Plugins.instance().register(OwnOptions)


def source_of(path: str | Path) -> str:
    """Return the entry of Hydra's search path for a folder of options or a study file."""
    return f"{SCHEME}://{Path(path).absolute()}"


def place_of(source: str) -> str:
    """Return the folder or file of an entry of Hydra's search path."""
    return source.removeprefix(f"{SCHEME}://").removeprefix("file://")


def option_of(file: Path) -> str:
    """Return the option of the group `study/by_path` for a study file."""
    return UNNAMEABLE.sub("_", file.stem)


class OwnOptions(ConfigSource):
    """The options in a folder. For a study file: that file and those beside it, in the group `study/by_path`."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        own = Path(self.path)
        self._file = None if own.is_dir() else own

    @staticmethod
    def scheme() -> str:
        """Return the scheme of our entries in the search path."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the option with this path. Raises `BadInput` if its file is no YAML."""
        package, config = self._load(config_path.removesuffix(".yaml"))
        place = source_of(self.path)
        return ConfigResult(config=config, path=place, provider=self.provider, header={"package": package})

    def _load(self, config_path: str) -> tuple[str | None, DictConfig]:
        """Return the package and the content of an option."""
        if self._file is not None and config_path == NAME:
            return "_global_", OmegaConf.create({"study_name": self._file.stem})
        path = self._path_of(f"{config_path}.yaml")
        if path is None or not path.is_file():
            raise ConfigLoadError(f"Config not found : {config_path}")
        text, group = read_text(path), config_path.rpartition("/")[0]
        found = PACKAGE.match(text)
        package = found[1] if found else "_global_" if group.partition("/")[0] == "study" else None
        root = group.replace("/", ".") if package in (None, "_group_") else package
        config = _parsed(text, path, root=root.removeprefix("_global_").strip("."))
        if path == self._file and "study_name" not in config:  # the file's name, unless its defaults set one
            config.defaults = [f"/{NAME}", *_defaults(config, path)]
        return package, config

    def available(self) -> bool:
        """Return whether the folder or file exists."""
        return Path(self.path).exists()

    def is_group(self, config_path: str) -> bool:
        """Return whether this path is a folder of options."""
        path = self._path_of(config_path)
        return path is not None and path.is_dir()

    def is_config(self, config_path: str) -> bool:
        """Return whether this path is an option."""
        option = config_path.removesuffix(".yaml")
        path = self._path_of(f"{option}.yaml")
        return (path is not None and path.is_file()) or (self._file is not None and option == NAME)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the options and groups under this path."""
        folder = self._path_of(config_path)
        members = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
        groups = [member.name for member in members if member.is_dir() and member.name != "__pycache__"]
        options = [member.stem for member in members if member.is_file() and member.suffix == ".yaml"]
        wanted = {ObjectType.GROUP: groups, ObjectType.CONFIG: options}
        return sorted({*groups, *options} if results_filter is None else wanted.get(results_filter, []))

    def _path_of(self, config_path: str) -> Path | None:
        """Return the path of an option or group, or None if this source cannot have it."""
        if self._file is None:
            return Path(self.path, config_path)
        if config_path == f"{BY_PATH}/{option_of(self._file)}.yaml":
            return self._file
        inner = f"{config_path}/".removeprefix(f"{BY_PATH}/")
        return self._file.parent / inner if inner != f"{config_path}/" else None


def read_text(path: Path) -> str:
    """Return the text of a file. Raises `BadInput` if it cannot be read."""
    try:
        return read_yaml_text(path)
    except Unreadable as error:
        raise BadInput([Problem(str(path), str(error), "give a smaller file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        complaint = f"cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
        raise BadInput([Problem(str(path), complaint, "give a readable YAML file in UTF-8")]) from None


def _parsed(text: str, path: Path, *, root: str) -> DictConfig:
    """Return the config in `text`, to be merged at the key `root`. Raises `BadInput`."""
    try:
        doubtful = doubtful_values(text, root=root)
        parsed = OmegaConf.create(with_quoted_names(text, root=root) or "{}")
    except yaml.YAMLError as error:
        raise BadInput([Problem(str(path), f"is no YAML ({_in_words(error)})", "correct it")]) from None
    except OmegaConfBaseException as error:
        where = f"is no config ({error.full_key or 'whole'}: {str(error).splitlines()[0]})"
        raise BadInput([Problem(str(path), where, "correct it")]) from None
    except (ValueError, OverflowError, RecursionError) as error:  # a number of thousands of digits
        raise BadInput([Problem(str(path), f"is no config ({str(error).splitlines()[0]})", "correct it")]) from None
    if not isinstance(parsed, DictConfig):
        raise BadInput([Problem(str(path), "is a list", "give a mapping of keys to values")])
    if doubtful:
        raise BadInput([Problem(f"{path}, {one.key}", one.complaint, one.remedy) for one in doubtful])
    return parsed


def _defaults(config: DictConfig, path: Path) -> Sequence[Any]:
    given = config.get("defaults") or ["_self_"]
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise BadInput([Problem(str(path), f"has defaults that are {given!r}", "give a list of options")])
    return given


def _in_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark is not None else what
