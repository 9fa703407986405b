"""The options of a sampler or pruner: checked against the annotations of its class, and against upper limits."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from studies.config.parsing.limits import LARGEST, MOST_TRIALS, shown, written
from studies.config.parsing.section import is_number
from studies.errors import Problems

WORDS = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a text", "dict": "a mapping"}
NO_KIND = "leave it out: no config can hold what it takes"  # a function, another sampler
MOST: Mapping[str, int] = {  # of options that cost time or memory; the limit of others is that of a study's trials
    "n_ei_candidates": 10_000,  # one array compares each with every trial
    "popsize": 10_000,
    "inc_popsize": 10_000,
    "min_early_stopping_rate": 50,  # an exponent: 2 ** 50 rungs
}


def check_kinds(
    prefix: str, options: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter], problems: Problems
) -> None:
    """Note each option of another type than its parameter's annotation, or with too large a number."""
    for option, value in options.items():
        if option not in parameters or value is None:
            continue
        kinds = [kind for kind in WORDS if kind in _words(parameters[option])]
        if not any(_is_of(kind, value) for kind in kinds):
            remedy = f"give {' or '.join(WORDS[kind] for kind in kinds)}" if kinds else NO_KIND
            problems.add(f"{prefix}.{option}", f"is {shown(value)}", remedy)
        elif is_number(value) and abs(value) > (most := _most(option, kinds)):
            problems.add(f"{prefix}.{option}", f"is {shown(value)}", f"give a number of at most {written(most)}")


def _words(parameter: inspect.Parameter) -> set[str]:
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return set(re.findall(r"\w+", text))


def _is_of(kind: str, value: Any) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "dict":
            return isinstance(value, Mapping)
        case "int":
            return is_number(value) and float(value).is_integer()
    return is_number(value)


def _most(option: str, kinds: list[str]) -> float:
    return LARGEST if "float" in kinds else MOST.get(option, MOST_TRIALS)
