"""The shapes of our attributes in a storage, name by name.

A person may have edited them, so readers call `damage_of_study` and `damage_of_trial` first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, get_args

import yaml
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.budget import Unit
from studies.config.parameter import ParameterType, Role
from studies.config.settings import HypothesisRule
from studies.secrets.texts import masked
from studies.text.yaml_text import DEEPEST, parsed

PLAIN: Final = (type(None), bool, int, float, str)  # Optuna's types for the choices of a category
CONSTRAINTS: Final = "constraints"  # their key among a trial's system attributes; with `:NAME`, a constraint of a name
TOO_LARGE: Final = 2**63  # for a whole number of any array or database
SHOWN = 60  # letters of a damaged value

Check = Callable[[Any], bool]
Shape = tuple[Check, str]  # a check of a value, and its description


def damage_of_study(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the damaged attributes of a study of ours, in words."""
    return _damage(attributes, OF_A_STUDY)


def damage_of_trial(trial: FrozenTrial, *, n_objectives: int) -> Iterator[str]:
    """Yield what is damaged in a trial of ours, in words."""
    yield from _damage(trial.user_attrs, OF_A_TRIAL)
    if not has_sound_values(trial, n_objectives=n_objectives):
        yield f"values is {_shown(trial.values)}, no list of {n_objectives} numbers"
    if not has_sound_constraints(trial):
        yield "a constraint is no number"
    for name, value in trial.params.items():
        if not all(isinstance(one, PLAIN) for one in (value, *getattr(trial.distributions[name], "choices", ()))):
            yield f"{name} is {_shown(value)}, and not all of its choices are plain values"
    if trial.user_attrs.get(schema.RETRY_OF) == trial.number:
        yield f"{schema.RETRY_OF} is {trial.number}, no other trial"


def has_sound_values(trial: FrozenTrial, *, n_objectives: int) -> bool:
    """Return whether `trial` has a number for each objective, or is not complete and has no value."""
    if trial.values is None:
        return trial.state != TrialState.COMPLETE
    return len(trial.values) == n_objectives and all(_is_number(value) and value == value for value in trial.values)


def has_sound_constraints(trial: FrozenTrial) -> bool:
    """Return whether all constraints of `trial` are numbers."""
    listed = trial.system_attrs.get(CONSTRAINTS)
    named = [value for key, value in trial.system_attrs.items() if key.startswith(f"{CONSTRAINTS}:")]
    return (listed is None or _are_numbers(listed)) and _are_numbers(named)


@lru_cache(maxsize=8)
def yaml_of(text: str) -> Any:
    """Parse a stored text as YAML. The result is cached: do not change it. None if it cannot be read."""
    try:
        return parsed(text, deepest=2 * DEEPEST)  # references are resolved in it
    except yaml.YAMLError:
        return None


def json_of(text: str) -> Any:
    """Parse a stored text as JSON. None if it cannot be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < TOO_LARGE


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < TOO_LARGE
    return isinstance(value, float)


def _of(kind: type) -> Check:
    return lambda value: isinstance(value, kind)


_is_text, _is_mapping, _is_list, _is_flag = map(_of, (str, Mapping, list, bool))


def _are_plain(value: Any) -> bool:
    return _is_list(value) and all(isinstance(one, PLAIN) for one in value)


def _are_numbers(value: Any) -> bool:
    return _is_list(value) and all(map(_is_number, value))


def _are_rungs(value: Any) -> bool:
    return _is_list(value) and all(
        _is_list(pair) and len(pair) == 2 and _is_count(pair[0]) and _is_number(pair[1]) for pair in value
    )


def _is_origin(value: Any) -> bool:
    trial = value.get("trial", "none") if _is_mapping(value) else "none"
    return _is_mapping(value) and _is_text(value.get("study")) and (trial is None or _is_count(trial))


def _is_half(value: Any) -> bool:
    return _is_mapping_of(value, _is_count) and value.keys() == {"batch_size", "accumulate_grad_batches"}


def _is_mapping_of(value: Any, check: Check) -> bool:
    return _is_mapping(value) and all(map(check, value.values()))


def _is_config(value: Any) -> bool:
    config: Any = yaml_of(value) if _is_text(value) else None
    return _is_mapping(config) and _is_mapping(config.get("datamodule") or {})


def _is_space(value: Any) -> bool:
    space: Any = yaml_of(value) if _is_text(value) else None
    return _is_mapping_of(space, _is_parameter) and all(map(_is_text, space))


def _is_parameter(entry: Any) -> bool:
    if not _is_mapping(entry) or not _is_one_of(entry.get("type"), get_args(ParameterType)):
        return False
    if "paths" not in entry:
        return True  # only its type is read
    paths, levels = entry["paths"], entry.get("levels", [])
    is_placed = (
        _is_list(paths) and paths and all(map(_is_text, paths)) and _is_one_of(entry.get("role"), get_args(Role))
    )
    has_levels = _are_plain(levels) and _is_mapping_of(entry.get("when", {}), _are_plain)
    is_choice = entry["type"] == "categorical"
    has_values = _is_mapping(entry.get("choices", {})) and (is_choice or _is_range(entry))
    return bool(is_placed and has_levels and has_values)


def _is_range(entry: Mapping[str, Any]) -> bool:
    """Return whether low, high, log and step are those of a distribution."""
    low, high, log, step = (entry.get(key, other) for key, other in RANGE.items())
    numbers = [low, high] if step is None else [low, high, step]
    if not all(_is_number(one) and math.isfinite(one) for one in numbers) or not _is_flag(log) or low > high:
        return False
    is_whole = entry["type"] == "float" or all(float(one).is_integer() for one in numbers)
    is_positive = low > 0 or not (log or entry["type"] == "power_of_two")
    return is_whole and is_positive and (step is None or (step > 0 and not log and high - low < TOO_LARGE * step))


def _is_one_of(value: Any, words: tuple[str, ...]) -> bool:
    return _is_text(value) and value in words


def _is_metric(value: Any) -> bool:
    second = value.get("second") if _is_mapping(value) else None
    return _is_goal(value) and (second is None or _is_goal(second))


def _is_goal(value: Any) -> bool:
    return _is_mapping(value) and _is_text(value.get("name"))


def _is_budget(value: Any) -> bool:
    if not _is_mapping(value) or not _is_one_of(value.get("unit"), get_args(Unit)):
        return False
    return _is_number(value.get("amount")) and _is_count(value.get("rungs")) and value["rungs"] > 0


def _is_round(value: Any) -> bool:
    trials: Any = value.get("trials") if _is_mapping(value) else None
    is_listed = _is_list(trials) and trials and all(map(_is_count, trials))
    return bool(is_listed and _is_text(value.get("of")) and _is_one_of(value.get("stage"), get_args(schema.Stage)))


def _is_hypothesis(value: Any) -> bool:
    if not _is_mapping(value) or not HYPOTHESIS.keys() - {"decides"} <= value.keys() <= HYPOTHESIS.keys():
        return False
    return all(HYPOTHESIS[key](one) for key, one in value.items())


def _is_import(value: Any) -> bool:
    if not _is_mapping(value) or not _is_mapping_of(value.get("left_out"), _is_count):
        return False
    return _is_text(value.get("study")) and _is_count(value.get("trials"))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


RANGE: Final = {"low": 0.0, "high": 0.0, "log": False, "step": None}  # with the default of a missing one
HYPOTHESIS: Final[Mapping[str, Check]] = {
    "claim": _is_text,
    "rule": lambda value: _is_one_of(value, get_args(HypothesisRule)),
    **dict.fromkeys(("of", "before", "after"), _or_none(_is_text)),
    "boundary": _is_number,
    "decides": _is_flag,
}

COUNT: Final[Shape] = (_is_count, "whole number from 0 on")
TEXT: Final[Shape] = (_is_text, "text")
NUMBER: Final[Shape] = (_is_number, "number")
NUMBERS: Final[Shape] = (_are_numbers, "list of numbers")
MAPPING: Final[Shape] = (_is_mapping, "mapping")
NAMED_NUMBERS: Final[Shape] = (lambda value: _is_mapping_of(value, _is_number), "mapping of numbers")

OF_A_STUDY: Final[Mapping[str, Shape]] = {
    schema.STUDY_SCHEMA: COUNT,
    schema.STUDY_CONFIG: (_is_config, "config in YAML"),
    schema.STUDY_SPACE: (_is_space, "search space in YAML"),
    schema.STUDY_METRIC: (_is_metric, "mapping with the metric's name"),
    schema.STUDY_BUDGET: (_is_budget, "mapping of unit, amount and rungs"),
    schema.STUDY_N_TRIALS: COUNT,
    schema.STUDY_SEARCH: (lambda value: _is_mapping_of(value, _is_text), "mapping of names"),
    schema.STUDY_SELECT: (_is_round, "mapping of a selection's round"),
    schema.STUDY_HYPOTHESIS: (_is_hypothesis, "mapping of a claim and its rule"),
    schema.STUDY_CREATOR: TEXT,
    schema.STUDY_DESCRIBER: TEXT,
    schema.STUDY_IDENTITY: (lambda value: _is_text(value) and _is_mapping(json_of(value)), "mapping in JSON"),
    schema.IMPORTED: (_is_import, "mapping of study, trials and left_out"),
}
OF_A_TRIAL: Final[Mapping[str, Shape]] = {
    **dict.fromkeys((schema.SLOT, schema.REPLICATE, schema.SEED, schema.ATTEMPT, schema.LEASE, schema.RETRY_OF), COUNT),
    **dict.fromkeys((schema.SOURCE, schema.FAILURE_MESSAGE, schema.LEFT_CHANGED, schema.DEVICE), TEXT),
    **dict.fromkeys((schema.DEVICE_SLOT, schema.PROCESSOR, schema.WORKER, schema.RESTARTED), TEXT),
    **dict.fromkeys((schema.TRAJECTORY, schema.WEIGHTS_DIFFER), TEXT),
    schema.FAILURE: (lambda value: value in tuple(schema.Failure), "kind of failure"),
    schema.IMPORTED_FROM: (_is_origin, "mapping of study and trial"),
    **dict.fromkeys((schema.REDRAWN, schema.VOID), (_is_flag, "truth value")),
    **dict.fromkeys((schema.SAMPLES_SEEN, schema.RUNG_SECONDS), NUMBERS),
    schema.RUNGS: (_are_rungs, "list of pairs of a rung and its value"),
    **dict.fromkeys((schema.STEPS, schema.SECONDS, schema.PEAK_MEMORY_MB), (_or_none(_is_number), "number")),
    **dict.fromkeys((schema.THREADS, schema.N_PARAMETERS, schema.CONVERGENCE), (_or_none(_is_count), COUNT[1])),
    **dict.fromkeys((schema.TEST, schema.FOUND), NAMED_NUMBERS),
    **dict.fromkeys((schema.RESULT, schema.LINKED, schema.LOGGER_FAILURES), MAPPING),
    schema.BATCH_HALVED: (_is_half, "mapping of batch_size and accumulate_grad_batches"),
    **dict.fromkeys((schema.CHECKPOINT, schema.RESUMED_FROM), (_or_none(_is_mapping), "mapping")),
}


def _damage(attributes: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Iterator[str]:
    for key, (is_right, words) in shapes.items():
        for name in {key, schema.EARLIER.get(key, key)}:
            if name in attributes and not is_right(attributes[name]):
                yield f"{name} is {_shown(attributes[name])}, no {words}"


def _shown(value: Any) -> str:
    text = masked(repr(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
