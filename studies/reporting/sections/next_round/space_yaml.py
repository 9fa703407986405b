"""`next_search_space.yaml`: the space of the next round, as an option of the config group `search_space`.

It lies in a folder `search_space` of the output folder, so Hydra finds it with the output folder as `--config-dir`.
Each changed line has its reason. Interpolated choices of the study's config are written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from studies.config.parameter import Parameter
from studies.secrets.masking import without_secrets
from studies.text.printable import printable

if TYPE_CHECKING:
    from studies.analysis.next_round.space import NextSpace, SpaceChange

GROUP, OPTION = "search_space", "next_search_space"
DECADES = 100.0  # a linear range of a greater ratio needs `linear: true`


def space_yaml(found: NextSpace, *, study_name: str) -> str:
    """Return the text of the file, with the reason for each change."""
    return printable("\n".join(" ".join(line.splitlines()) for line in _lines(found, study_name)) + "\n")


def _lines(found: NextSpace, study_name: str) -> Iterator[str]:
    yield f"# The search space of the round after study {study_name}. Each change has its reason beside it."
    yield from (f"# {hint}" for hint in found.hints)
    for change in found.changes:
        if change.after is None:
            yield f"# {change.name} is left out: {change.reason}."
    for parameter in found.space:
        yield from entry_lines(parameter, [change for change in found.changes if change.name == parameter.name])


def entry_lines(parameter: Parameter, changes: Sequence[SpaceChange] = ()) -> Iterator[str]:
    """Yield the lines of a parameter's entry in a search space, with the reasons for its `changes`."""
    yield f"{_plain(parameter.name)}:"
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
    """Return the default levels of a parameter."""
    return parameter.spread(10**6) if parameter.type in ("categorical", "power_of_two") else None


def _levels(parameter: Parameter, levels: tuple[Any, ...]) -> str:
    """Return levels in their shortest form: `all`, their number, or a list."""
    is_discrete = parameter.step is not None or parameter.type in ("int", "power_of_two")
    if is_discrete and levels == parameter.spread(10**6):
        return "all"
    is_spread = len(levels) > 1 and levels == parameter.spread(len(levels))
    return str(len(levels)) if is_spread else _plain(list(levels))


def _number(parameter: Parameter, value: float) -> str:
    return str(int(value)) if parameter.type in ("int", "power_of_two") else _plain(float(value))


def _before(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else _plain(value)


def _plain(value: Any) -> str:
    """Return a value as one line of YAML."""
    listed = (
        {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}
        if isinstance(value, Mapping)
        else value
    )
    text = yaml.safe_dump(listed, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
