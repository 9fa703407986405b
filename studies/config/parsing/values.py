"""Parses the values of a parameter: its choices, its range, and its levels in a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from studies.config.parameter import OFF_GRID, Parameter, ParameterType, Value, steps_between
from studies.config.parsing.limits import LARGEST, LARGEST_WHOLE, MOST_VALUES, SMALLEST, shown
from studies.config.parsing.section import ConfigSection, is_number

RANGED = ("low", "high")
STAND_IN: Mapping[Value, Any] = {"none": None}  # choices of a parameter with mistakes, to find further ones
DECADES = 100.0  # high / low; beyond it, a linear scale hardly ever samples its lower decades


def parse_choices(entry: ConfigSection) -> dict[str, Any]:
    """Return the choices of a categorical by their names."""
    for key in ("low", "high", "log", "step", "linear"):
        if entry.has(key):
            entry.complain(key, "does nothing for a categorical", "remove it")
    given = entry.values.get("choices")
    if isinstance(given, Mapping | list) and len(given) > MOST_VALUES:
        entry.complain("choices", f"holds {len(given)} values", f"give at most {MOST_VALUES}")
        return {"choices": STAND_IN}
    if isinstance(given, Mapping) and given:
        if len({str(name) for name in given}) < len(given):
            entry.complain("choices", f"is {shown(given)}", "give each choice a name of its own")
        return {"choices": {str(name): choice for name, choice in given.items()}}
    if not isinstance(given, list) or not given:
        entry.complain("choices", f"is {shown(given)}", "give a list of values, or a mapping of names to values")
        return {"choices": STAND_IN}
    if not all(choice is None or isinstance(choice, bool | int | float | str) for choice in given):
        entry.complain("choices", "holds lists or mappings", "give a mapping that names each choice")
        return {"choices": STAND_IN}
    odd = [choice for choice in given if isinstance(choice, int | float) and not _is_storable(choice)]
    if odd:
        entry.complain("choices", f"holds {shown(odd[0])}", "give finite numbers, or a mapping that names each choice")
        return {"choices": STAND_IN}
    if len(set(given)) < len(given):
        entry.complain("choices", f"is {shown(given)}", "give each choice once")
    return {"choices": {choice: choice for choice in given}}


def _is_storable(choice: float) -> bool:
    """Return whether a storage keeps this number as it is. JSON and SQL have no nan and no infinity."""
    return isinstance(choice, bool) or (is_number(choice) and abs(choice) <= LARGEST)


def parse_range(entry: ConfigSection, kind: ParameterType) -> dict[str, Any]:
    """Return low, high, log and step of a numeric parameter."""
    if entry.has("choices"):
        entry.complain("choices", f"does nothing for type {kind}", "remove it, or use type: categorical")
    most = LARGEST if kind == "float" else LARGEST_WHOLE
    low, high = entry.number("low", high=most, default=1.0), entry.number("high", high=most, default=2.0)
    log = entry.flag("log") or kind == "power_of_two"
    step = entry.optional_number("step", above=0.0) or None
    if all(is_number(entry.values.get(key)) and abs(entry.values[key]) <= most for key in RANGED):
        _check_range(entry, kind, low=low, high=high, log=log, step=step)
    return {"low": low, "high": max(low, high), "log": log, "step": step}


def _check_range(
    entry: ConfigSection, kind: ParameterType, *, low: float, high: float, log: bool, step: float | None
) -> None:
    problems = entry.problems
    if low >= high:
        problems.add(entry.key("low"), f"is {low:g} but high is {high:g}", "give a low below high")
    if log and low <= 0:
        problems.add(entry.key("low"), f"is {low:g} but log is true", "give a positive lower bound")
    if kind in ("int", "power_of_two"):
        for key, bound in (("low", low), ("high", high)):
            if not float(bound).is_integer() or (
                kind == "power_of_two" and (bound < 1 or int(bound) & (int(bound) - 1))
            ):
                word = "whole number" if kind == "int" else "power of two"
                problems.add(entry.key(key), f"is {bound:g}", f"give a {word} for type {kind}")
    if kind == "power_of_two" and step is not None:
        problems.add(entry.key("step"), "does nothing for type power_of_two", "remove it")
    elif step is not None and log:
        problems.add(entry.key("step"), f"is {step:g} but log is true", "give one of step and log")
    elif step is not None and math.ulp(max(abs(low), abs(high))) > OFF_GRID * step / 2:
        complaint = f"is {step:g}, too small a step for the digits of a float near {max(low, high, key=abs):g}"
        problems.add(entry.key("step"), complaint, "give a larger one, or leave it out")
    elif step is not None and abs((steps := steps_between(low, high, step)) - round(steps)) > OFF_GRID:
        problems.add(
            entry.key("step"), f"is {step:g}, which does not divide {low:g}…{high:g}", "make high low + k·step"
        )
    if kind == "int" and step is not None and not float(step).is_integer():
        problems.add(entry.key("step"), f"is {step:g}", "give a whole step for type int")
    if log and 0 < low < SMALLEST:
        problems.add(entry.key("low"), f"is {low:g}", f"give at least {SMALLEST:g}")
    if not log and low >= SMALLEST and high / low > DECADES and not entry.flag("linear"):
        remedy = "set log: true, or linear: true to confirm a linear scale"
        problems.add(entry.key("high"), f"is {high / low:g} times low on a linear scale", remedy)


def parse_levels(parameter: Parameter, entry: ConfigSection) -> tuple[Value, ...] | None:
    """Return the levels of a grid, or None for a continuous parameter without any."""
    given = entry.values.get("levels")
    is_discrete = parameter.type in ("categorical", "power_of_two")
    if given is None and not is_discrete:
        return None
    if given in (None, "all"):
        return _all_levels(parameter, entry)
    if isinstance(given, list) and given:
        return _listed_levels(given, parameter, entry)
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        entry.complain("levels", f"is {shown(given)}", "give a number of levels, a list of values, or all")
    elif given > MOST_VALUES:
        entry.complain("levels", f"is {given}", f"give at most {MOST_VALUES} levels")
    else:
        return parameter.spread(given)
    return None


def _all_levels(parameter: Parameter, entry: ConfigSection) -> tuple[Value, ...] | None:
    if parameter.type == "float" and parameter.step is None:
        entry.complain("levels", "is all for a continuous parameter", "give a number of levels")
        return None
    if parameter.n_values > MOST_VALUES:
        complaint = f"is all, which are {parameter.n_values} values"
        entry.complain("levels", complaint, f"give a number of levels, at most {MOST_VALUES}")
        return None
    return parameter.spread(MOST_VALUES)


def _listed_levels(given: list[Any], parameter: Parameter, entry: ConfigSection) -> tuple[Value, ...] | None:
    if len(given) > MOST_VALUES:
        entry.complain("levels", f"holds {len(given)} values", f"give at most {MOST_VALUES}")
        return None
    levels = tuple(map(parameter.own, given))
    outside = [level for level in levels if not parameter.contains(level)]
    if outside:
        entry.complain("levels", f"holds {shown(outside)}", "give values that the parameter can take")
    elif len(set(levels)) < len(levels):
        entry.complain("levels", f"is {shown(given)}", "give each level once")
    return levels
