"""Options of one's own: a folder of them beside the shipped ones, or a single study file, as Hydra's sources.

Context: YAML 1.1 reads the names `on`, `2024_01` and `1e5` as true, 202401 and 100000.0, and Hydra's own source of
files cannot be told otherwise. Choice: a source of our own quotes names where they stand before the text is parsed, and
refuses values that may be meant as texts. Cost: these folders have a scheme of their own in Hydra's search path.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.errors import BadInput, Problem
from studies.yaml_names import doubtful_values, with_quoted_names

SCHEME = "own"
BY_PATH = "by_path"  # a group inside the group study: where the files beside a study file are options
SUFFIXES = (".yaml", ".yml")
PACKAGE = re.compile(r"(?:\s*#\s*@\S+\s+\S+\s*\n|\s*\n)*?\s*#\s*@package\s+(\S+)")
UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]")


def register() -> None:
    """Let Hydra find options under `own://`."""
    Plugins.instance().register(OwnOptions)


def source_of(path: str | Path) -> str:
    """Return the entry of Hydra's search path for a folder of options, or for a study file."""
    return f"{SCHEME}://{Path(path).absolute()}"


def place_of(source: str) -> str:
    """Return the folder or file that an entry of Hydra's search path stands for."""
    return source.removeprefix(f"{SCHEME}://").removeprefix("file://")


def option_of(file: Path) -> str:
    """Return the option of the group `study` that stands for a study file."""
    return f"{BY_PATH}/{UNNAMEABLE.sub('_', file.stem)}"


class OwnOptions(ConfigSource):
    """The options in a folder; of a study file, that file and those beside it, in the group `study/by_path`."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        own = Path(self.path)
        self._file = None if own.is_dir() else own

    @staticmethod
    def scheme() -> str:
        """Return what the entries of the search path begin with."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the option with this path. Raises `BadInput` where its file cannot be read as YAML."""
        path = self._path_of(f"{config_path.removesuffix('.yaml')}.yaml")
        if path is None or not path.is_file():
            raise ConfigLoadError(f"Config not found : {config_path}")
        text = read_text(path)
        group = config_path.rpartition("/")[0]
        found = PACKAGE.match(text)
        package = found[1] if found else "_global_" if group.partition("/")[0] == "study" else None
        root = group.replace("/", ".") if package in (None, "_group_") else package
        return ConfigResult(
            config=_parsed(text, path, root=root.removeprefix("_global_").strip(".")),
            path=source_of(self.path),
            provider=self.provider,
            header={"package": package},
        )

    def available(self) -> bool:
        """Whether the folder, or the file, is there."""
        return Path(self.path).exists()

    def is_group(self, config_path: str) -> bool:
        """Whether there is a folder of options under this path."""
        path = self._path_of(config_path)
        return path is not None and path.is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether there is an option under this path."""
        path = self._path_of(f"{config_path.removesuffix('.yaml')}.yaml")
        return path is not None and path.is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the options and groups under this path."""
        folder = self._path_of(config_path)
        members = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
        groups = [member.name for member in members if member.is_dir() and member.name != "__pycache__"]
        options = [member.stem for member in members if member.is_file() and member.suffix == ".yaml"]
        wanted = {ObjectType.GROUP: groups, ObjectType.CONFIG: options}
        return sorted({*groups, *options} if results_filter is None else wanted.get(results_filter, []))

    def _path_of(self, config_path: str) -> Path | None:
        """Return where the option or group with this path lies, if this source may have it."""
        if self._file is None:
            return Path(self.path, config_path)
        group = f"study/{BY_PATH}"
        if config_path == f"study/{option_of(self._file)}.yaml":
            return self._file
        if config_path in ("", "study"):
            return None
        return (
            self._file.parent / config_path.removeprefix(f"{group}/") if config_path.startswith(f"{group}/") else None
        )


def read_text(path: Path) -> str:
    """Return the text of a file. Raises `BadInput` where that is impossible."""
    try:
        return path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        complaint = f"cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
        raise BadInput([Problem(str(path), complaint, "give a readable YAML file in UTF-8")]) from None


def _parsed(text: str, path: Path, *, root: str) -> DictConfig:
    """Return the config in `text`, which is merged at the key `root`. Raises `BadInput`."""
    try:
        doubtful = doubtful_values(text, root=root)
        parsed = OmegaConf.create(with_quoted_names(text, root=root) or "{}")
    except yaml.YAMLError as error:
        raise BadInput([Problem(str(path), f"is no YAML ({_in_words(error)})", "correct it")]) from None
    except OmegaConfBaseException as error:
        raise BadInput([Problem(str(path), f"is no config ({str(error).splitlines()[0]})", "correct it")]) from None
    if not isinstance(parsed, DictConfig):
        raise BadInput([Problem(str(path), "is a list", "give a mapping of keys to values")])
    if doubtful:
        raise BadInput([Problem(f"{path}, line {d.line}:", d.complaint, d.remedy) for d in doubtful])
    return parsed


def _in_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {what}" if mark is not None else what
