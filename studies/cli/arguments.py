"""The command line, read before Hydra reads it: bare words, flags, and names as texts.

A bare word is a shipped study, a study in the user's config folder, or the path of a YAML file. Hydra reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from studies.config.composing.configs import group_options, shadowed
from studies.config.composing.own_options import BY_PATH, SUFFIXES, option_of, place_of, source_of
from studies.config.parsing.renamed import option_now
from studies.errors import Problems, nearest
from studies.secrets.names import is_secret_name
from studies.secrets.sources import REFERENCE, variables
from studies.secrets.texts import masked
from studies.text.quoting import argument, in_quotes, read_value

FLAGS: Mapping[str, str] = {  # those without a value → their short form
    "--help": "-h",
    "--help-all": "",
    "--version": "",
    "--hydra-help": "",
    "--resolve": "",
    "--run": "-r",
    "--multirun": "-m",
    "--shell-completion": "-sc",
}
WITH_VALUE: Mapping[str, str] = {
    "--cfg": "-c",
    "--package": "-p",
    "--config-path": "-cp",
    "--config-name": "-cn",
    "--config-dir": "-cd",
    "--experimental-rerun": "",
}
INFO, INFO_WORDS = "--info", ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
LONG = {short: long for long, short in {**FLAGS, **WITH_VALUE, INFO: "-i"}.items() if short}
LEFT_OUT_OF_NAMES = "hydra.job.config.override_dirname.exclude_keys"
SEARCH_PATH = "hydra.searchpath"
TEXTS = ("study_name", "objective.metric", "objective.second.metric")  # whatever their values look like
TEXTS_OR_NULL = ("import_from", "output_dir", "config", "storage.url")
SWEEP = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")
IDENTIFIER = re.compile(r"[a-z][a-z_]+(\.[a-z_]+)*")
CONFIG_FOLDERS = ("conf", "config", "configs")  # whose group study a file in study/ belongs to
OWN_STUDIES = (
    "a study of your own is given by its path, as in my_study.yaml, or lies in the folder study/ of a folder that "
    "--config-dir names"
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """A command line: `flags` with their values, `overrides`, `words`, and the named config `folders`."""

    flags: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    more_sources: tuple[str, ...] = field(default=())  # of Hydra's search path, which are no folders

    def has(self, flag: str) -> bool:
        """Return whether `flag` is given."""
        return any(name == flag for name, _ in self.flags)


def read_arguments(given: Sequence[str]) -> Arguments:
    """Read a command line. Raises `BadInput` with every unknown flag, and with every flag without its value."""
    problems = Problems()
    flags: list[tuple[str, str]] = []
    overrides: list[str] = []
    words: list[str] = []
    rest = list(given)
    while rest:
        first = rest.pop(0)
        if first.startswith("-") and len(first) > 1:
            flags += _flag(first, rest, problems)
        else:
            (overrides if _is_override(first) else words).append(first)
    problems.raise_if_any()
    folders = [value for name, value in flags if name == "--config-dir"]
    entries = [entry for override in overrides for entry in _search_path(override)]
    folders += [place_of(entry) for entry in entries if _is_folder(entry)]
    others = tuple(entry for entry in entries if not _is_folder(entry))
    kept = (override for override in overrides if not override.startswith(f"{SEARCH_PATH}="))
    return Arguments(tuple(flags), tuple(kept), tuple(words), tuple(dict.fromkeys(folders)), others)


def for_hydra(arguments: Arguments) -> list[str]:
    """Return the command line for Hydra.

    Raises `BadInput` if a word is no study, a folder is missing, or an option is hidden by another of its name.
    """
    problems = Problems()
    words, file = _study(arguments, problems)
    folders = [*arguments.folders, *_folders_beside(file)]
    for folder in arguments.folders:
        if not Path(folder).is_dir():
            problems.add("--config-dir", f"is {folder}, which is no folder", "name the folder that holds your options")
    replaced = arguments.has("--config-path") or arguments.has("--config-name")
    problems.found += shadowed(folders) if not replaced else []
    problems.raise_if_any()
    sources = [source_of(place) for place in ([file] if file else []) + [Path(folder) for folder in folders]]
    sources = list(dict.fromkeys([*sources, *arguments.more_sources]))
    listed = ",".join(map(in_quotes, sources))
    flags = [part for name, value in arguments.flags for part in _written(name, value)]
    texts = [as_text(override, is_sweep=arguments.has("--multirun")) for override in arguments.overrides]
    searched = [f"{SEARCH_PATH}=[{listed}]"] if sources else []
    return [*flags, *words, *texts, *searched, *_out_of_names_of_folders(arguments.overrides)]


def as_text(override: str, *, is_sweep: bool = False) -> str:
    """Return `override` with a quoted value, if its key takes a text and Hydra would read anything else.

    The values of a sweep are quoted one by one. Without a sweep, a value with a comma stays for Hydra to refuse.
    """
    key, equals, value = override.partition("=")
    name = key.lstrip("+")
    if name not in (*TEXTS, *TEXTS_OR_NULL) or not equals or (name in TEXTS_OR_NULL and value == "null"):
        return override
    if isinstance(read_value(value), str) or SWEEP.fullmatch(value):
        return override
    if "," not in value:
        return f"{key}={in_quotes(value)}"
    is_plain = not set(value) & set("'\"[](){}")
    return f"{key}={','.join(map(in_quotes, value.split(',')))}" if is_sweep and is_plain else override


def _out_of_names_of_folders(overrides: Sequence[str]) -> list[str]:
    """Return the override that keeps secrets out of Hydra's `override_dirname`, a part of folder names."""
    pairs = ((override.lstrip("+").partition("=")[0], override) for override in overrides)
    keys = [key for key, override in pairs if masked(override) != override or _names_secret(key, override)]
    return [f"{LEFT_OUT_OF_NAMES}=[{','.join(dict.fromkeys(keys))}]"] if keys else []


def _names_secret(key: str, override: str) -> bool:
    read = [*variables(override), *(part for name in REFERENCE.findall(override) for part in name.split("."))]
    return any(map(is_secret_name, [*key.split("."), *read]))


def _flag(first: str, rest: list[str], problems: Problems) -> list[tuple[str, str]]:
    """Read the flag `first`. Take its value off the `rest`."""
    given, equals, value = first.partition("=")
    known = [*FLAGS, *WITH_VALUE, INFO]
    begun = [name for name in known if name.startswith(given)] if given.startswith("--") and len(given) > 2 else []
    name = LONG.get(given) or (given if given in known else begun[0] if len(begun) == 1 else None)
    if name is None:
        remedy = f"use one of {', '.join(begun)}" if begun else nearest(given, known)
        meant = value or (rest[0] if rest and not rest[0].startswith("-") else "")
        if IDENTIFIER.fullmatch(bare := given.lstrip("-")) and meant and not begun and remedy.startswith("use one of"):
            remedy = f"a key is set without dashes, as in {bare}={meant} (of the flags, {remedy})"
        problems.add(given, "is no flag of this command", f"{remedy} (--help explains each)")
        return []
    if name == INFO:
        value = value or (rest.pop(0) if rest and rest[0] in INFO_WORDS else "")
    elif name in WITH_VALUE and not equals:
        if not rest:
            problems.add(name, "lacks its value", f"give it, as in {name} VALUE")
            return []
        value = rest.pop(0)
    return [(name, value)]


def _written(name: str, value: str) -> Iterator[str]:
    """Yield a flag as Hydra reads it."""
    if name in ("--config-dir", "--help-all"):
        yield from ["--help"] if name == "--help-all" else []
    else:
        yield f"{name}={value}" if value else name


def _is_override(text: str) -> bool:
    is_file = text.endswith(SUFFIXES) and Path(text).is_file()
    return text[:1] in ("+", "~") or ("=" in text and not is_file)


def _is_folder(entry: str) -> bool:
    return entry.startswith("file://") or "://" not in entry


def _search_path(override: str) -> list[str]:
    """Return the folders in an override of Hydra's search path."""
    key, _, value = override.partition("=")
    found = read_value(value) if key == SEARCH_PATH else None
    return [str(entry) for entry in found] if isinstance(found, list) else []


def _study(arguments: Arguments, problems: Problems) -> tuple[list[str], Path | None]:
    """Return the override for the bare word, and the file if the word is a path."""
    if not arguments.words:
        return [], None
    word, *others = arguments.words
    named = next((override for override in arguments.overrides if override.startswith("+study=")), None)
    for other in [*others, *([named] if named else [])]:
        remedy = "name one study (a key is set by key=value, without spaces around =)"
        problems.add(other, f"stands beside the study {word}", remedy)
    if word in (known := group_options("study", config_dirs=arguments.folders)):
        return [argument("+study", word)], None
    file = Path(word)
    if file.is_file() and file.suffix in SUFFIXES:
        return [argument(f"+{BY_PATH}", option_of(file))], file
    now = option_now("study", word)
    remedy = f"{_nearest_study(file, known)} ({OWN_STUDIES})" if now is None else f"it is called {now} now"
    problems.add("study", f"is {word}, {_why_none(file)}", remedy)
    return [], None


def _why_none(file: Path) -> str:
    if file.is_dir():
        return "which is a folder"
    if file.is_file():
        return "which is no YAML file"
    return "which is no file" if file.suffix in SUFFIXES else "which is neither a study nor a file"


def _nearest_study(file: Path, known: Sequence[str]) -> str:
    """Return the remedy for an unknown word: the study or file that was probably meant."""
    for meant in (file.with_name(f"{file.name}{suffix}") for suffix in SUFFIXES if file.name):
        if meant.is_file():
            return f"did you mean {meant}?"
        if Path("conf", "study", meant).is_file():
            return f"did you mean --config-dir conf {file}?"
    files = [str(other) for other in file.parent.glob("*") if other.suffix in SUFFIXES]
    named = [f"{name}{file.suffix}" for name in known]
    if file.suffix in SUFFIXES and set(get_close_matches(str(file), [*files, *named], n=1)) & set(files):
        return nearest(str(file), files)
    return nearest(str(file.with_suffix("")) if file.suffix in SUFFIXES else str(file), known)


def _folders_beside(file: Path | None) -> list[str]:
    """Return the config folders of a study file: `conf` beside it, and the one around its folder `study`."""
    if file is None:
        return []
    own = file.absolute()
    groups = (folder for folder in own.parents if folder.name == "study" and folder.parent.name in CONFIG_FOLDERS)
    found = [own.parent / "conf", *(group.parent for group in groups)]
    return [str(folder) for folder in found if folder.is_dir()]
