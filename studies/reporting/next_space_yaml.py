"""`next_search_space.yaml`: the space of the next round, as an option of the config group `search_space`.

It lies in a folder `search_space` of the output folder, where Hydra finds it with that folder as `--config-dir`. Each
changed line says why. A choice that the study's config got by an interpolation stands there with its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.analysis.next_round.space import Change, NextSpace
from studies.config.composing.configs import compose, given_overrides
from studies.config.composing.own_options import BY_PATH, SCHEME
from studies.config.parameter import Parameter
from studies.config.settings import StudySettings
from studies.secrets.masking import without_secrets
from studies.secrets.texts import masked
from studies.text.printable import write_page
from studies.text.quoting import argument, command_line, in_quotes
from studies.text.wording import nearby

GROUP, OPTION = "search_space", "next_search_space"
DECADES = 100.0  # a linear range of a greater ratio has to say that it is meant
DROPPED = re.compile(r"[+~]*(study_name|search_space|import_from|resume|output_dir|enqueue)\b")
ROUND = re.compile(r"^(.*)-round(\d+)$")


def path_in(folder: Path) -> Path:
    """Where the file lies in an output folder."""
    return folder / GROUP / f"{OPTION}.yaml"


def write_next_space(folder: Path, found: NextSpace, *, study_name: str) -> Path:
    """Write the file below `folder`, with the reasons for what differs."""
    path = path_in(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, "\n".join(" ".join(line.splitlines()) for line in _lines(found, study_name)) + "\n")
    return path


def remove_next_space(folder: Path) -> None:
    """Remove what an earlier report left."""
    path_in(folder).unlink(missing_ok=True)
    if path_in(folder).parent.is_dir() and not any(path_in(folder).parent.iterdir()):
        path_in(folder).parent.rmdir()


def command_of(settings: StudySettings, found: NextSpace) -> str | None:
    """The command that runs the next round of a study: the one that ran this, with the new space and a new name.

    A study of another kind than a grid takes over the trials that fit. What the command line said of name, space,
    points to try first and output folder belongs to this round, and is left out. None where the file would be
    overruled: by a space that the study's own file holds.
    """
    given = HydraConfig.get() if HydraConfig.initialized() else None
    asked = given_overrides() if given is not None else [f"+study={settings.study_name}"]
    sources = given.runtime.config_sources if given is not None else []
    theirs = [str(source.path) for source in sources if source.schema == SCHEME]
    files = [path for path in theirs if not Path(path).is_dir()]  # a study that was named by its path
    kept = [override for override in asked if not DROPPED.match(override)]
    named = [f"{GROUP}={OPTION}", argument("study_name", _next_name(settings.study_name))]
    imports = [] if settings.is_designed else [argument("import_from", settings.study_name)]
    folder = str(settings.output_dir)
    ours = f"hydra.searchpath=[{in_quotes(f'file://{settings.output_dir.resolve()}')}]"
    for config_dir, last in ((folder, []), *((nearby(Path(their)), [ours]) for their in theirs if their not in files)):
        if _is_what_composes([*kept, *named], list(dict.fromkeys([config_dir, folder, *files])), found):
            again = [override for override in kept if not (files and override.startswith(f"+{BY_PATH}="))]
            words = [
                "--config-dir",
                config_dir,
                *(nearby(Path(file)) for file in files),
                *map(masked, again),
                *named,
                *imports,
                *last,
            ]
            return command_line("run", *words)
    return None


def _is_what_composes(overrides: Sequence[str], folders: Sequence[str], found: NextSpace) -> bool:
    """Whether these overrides give a config with the space that was found."""
    try:
        composed = OmegaConf.to_container(compose(overrides, config_dirs=folders)[GROUP], resolve=False)
    except (HydraException, OmegaConfBaseException):
        return False
    wanted = yaml.safe_load("\n".join(_lines(found, "")))
    return bool(composed == wanted)


def _next_name(name: str) -> str:
    match = ROUND.match(name)
    return f"{match[1]}-round{int(match[2]) + 1}" if match else f"{name}-round2"


def _lines(found: NextSpace, study_name: str) -> Iterator[str]:
    yield f"# The space of the round after study {study_name}. What differs from that study's says why."
    yield from (f"# {hint}" for hint in found.hints)
    for change in found.changes:
        if change.after is None:
            yield f"# {change.name} is left out: {change.reason}."
    for parameter in found.space:
        yield f"{_plain(parameter.name)}:"
        yield from _entry(parameter, [change for change in found.changes if change.name == parameter.name])


def _entry(parameter: Parameter, changes: Sequence[Change]) -> Iterator[str]:
    reasons = {change.key: f"  # was {_before(change.before)}: {change.reason}" for change in changes}
    single = len(parameter.paths) == 1
    yield f"  path: {_plain(parameter.paths[0])}" if single else f"  paths: {_plain(list(parameter.paths))}"
    yield f"  type: {parameter.type}"
    if parameter.type == "categorical":
        yield from _choices(parameter, reasons.get("choices", ""))
    else:
        yield f"  low: {_number(parameter, parameter.low)}{reasons.get('low', '')}"
        yield f"  high: {_number(parameter, parameter.high)}{reasons.get('high', '')}"
        if parameter.log and parameter.type != "power_of_two":
            yield "  log: true"
        if parameter.step is not None:
            yield f"  step: {_number(parameter, parameter.step)}"
        if not parameter.log and parameter.low > 0 and parameter.high / parameter.low > DECADES:
            yield "  linear: true"
    if parameter.levels is not None and parameter.levels != _usual_levels(parameter):
        yield f"  levels: {_levels(parameter, parameter.levels)}"
    if parameter.role != "nuisance":
        yield f"  role: {parameter.role}"
    if parameter.when:
        conditions = {name: list(allowed) for name, allowed in parameter.when.items()}
        yield f"  when: {_plain(conditions)}{reasons.get('when', '')}"


def _choices(parameter: Parameter, reason: str) -> Iterator[str]:
    if all(name == choice and isinstance(name, type(choice)) for name, choice in parameter.choices.items()):
        yield f"  choices: {_plain(list(parameter.choices))}{reason}"
        return
    yield f"  choices:{reason}"
    for name, choice in parameter.choices.items():
        yield f"    {_plain(str(name))}: {_plain(without_secrets(choice))}"


def _usual_levels(parameter: Parameter) -> tuple[Any, ...] | None:
    """The levels that the reader gives where none are written."""
    return parameter.spread(10**6) if parameter.type in ("categorical", "power_of_two") else None


def _levels(parameter: Parameter, levels: tuple[Any, ...]) -> str:
    """As short as the reader understands: `all`, how many, or which."""
    is_discrete = parameter.step is not None or parameter.type in ("int", "power_of_two")
    if is_discrete and levels == parameter.spread(10**6):
        return "all"
    return str(len(levels)) if levels == parameter.spread(len(levels)) else _plain(list(levels))


def _number(parameter: Parameter, value: float) -> str:
    return str(int(value)) if parameter.type in ("int", "power_of_two") else _plain(float(value))


def _before(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else _plain(value)


def _plain(value: Any) -> str:
    """A value on one line of YAML."""
    listed = (
        {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}
        if isinstance(value, Mapping)
        else value
    )
    text = yaml.safe_dump(listed, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
