"""The differences between a study and the stored one of its name, one line a parameter, and how to go on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from studies.config.composing.configs import given_overrides
from studies.config.composing.own_options import BY_PATH, SCHEME
from studies.errors import Problem
from studies.secrets.texts import masked
from studies.text.quoting import argument, command_line
from studies.text.wording import nearby

SPACE = "search_space"
NOT_TAKEN_OVER = ("study_name", "resume", "import_from", "output_dir")  # of the command that goes on


def changes_in_words(problems: Sequence[Problem], now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each problem, but a single line for all changes of one search parameter."""
    told: set[str] = set()
    for problem in problems:
        name = _parameter(problem.key)
        own = [other for other in problems if name is not None and _parameter(other.key) == name]
        if len(own) < 2:
            yield str(problem)
        elif name is not None and name not in told:
            told.add(name)
            changed = _of_parameter(f"{SPACE}.{name}.", [other.key for other in own], now, before)
            yield str(Problem(f"{SPACE}.{name}", changed, problem.remedy))


def command_to_go_on(name: str, problems: Sequence[Problem], *, taken: Collection[str]) -> str | None:
    """Return the command that runs the changed study under a new name and imports all fitting trials.

    None if more than the space has changed.
    """
    if any(_parameter(problem.key) is None for problem in problems):
        return None
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    given = HydraConfig.get() if HydraConfig.initialized() else None
    asked = given_overrides() if given is not None else [f"+study={name}"]
    kept = [one for one in asked if one.lstrip("+~").partition("=")[0] not in NOT_TAKEN_OVER]
    sources = given.runtime.config_sources if given is not None else []
    places = [Path(source.path) for source in sources if source.schema == SCHEME]
    files = [nearby(path) for path in places if not path.is_dir()]  # a study that was named by its path
    folders = [word for path in places if path.is_dir() for word in ("--config-dir", nearby(path))]
    again = [masked(one) for one in kept if not (files and one.startswith(f"+{BY_PATH}="))]
    named = [argument("study_name", f"{name}-{number}"), argument("import_from", name)]
    return command_line("run", *folders, *files, *again, *named)


def _of_parameter(prefix: str, keys: Sequence[str], now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    if not any(key.startswith(prefix) for key in before):
        return "is new, and the stored study does not vary it"
    if not any(key.startswith(prefix) for key in now):
        return "is missing, and the stored study varies it"
    pairs = [f"{key.removeprefix(prefix)} {shown_at(before, key)} → {shown_at(now, key)}" for key in keys]
    return f"has changed since the stored study ({', '.join(pairs)})"


def shown_at(values: Mapping[str, Any], key: str) -> str:
    """Return a value of flat keys for a message."""
    return repr(values[key]) if key in values else "absent"


def _parameter(key: str) -> str | None:
    """Return the search parameter of a flat key. None for other keys."""
    first, _, rest = key.partition(".")
    return rest.partition(".")[0] if first == SPACE else None
