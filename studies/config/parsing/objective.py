"""Parses the section `objective`: the metric to optimise, and a second one to weigh against it."""

from __future__ import annotations

from typing import get_args

from studies.config.budget import Budget
from studies.config.parsing.direction import is_never_negative, usual_direction
from studies.config.parsing.section import ConfigSection
from studies.config.settings import TRAINING_LOSS, TRAINING_METRICS, Direction, ObjectiveSettings, SecondObjective
from studies.errors import Problems, nearest

USUAL_NOISE = {"seconds": 0.1, "peak_memory_mb": 0.05}  # relative, for the clock and memory of a shared machine
SPENT_ALIKE = {"seconds": "seconds", "steps": "steps"}  # a second metric: the budget unit that fixes it


def parse_objective(section: ConfigSection) -> ObjectiveSettings:
    """Return the objective settings of the config section `objective`."""
    section.only(("metric", "direction", "direction_is_meant", "value", "tolerance", "test", "noise", "second"))
    metric = section.text("metric")
    return ObjectiveSettings(
        metric=metric,
        direction=_parse_direction(section, metric, default=None),
        direction_is_meant=section.flag("direction_is_meant"),
        value=section.word("value", ("last", "best"), default="last"),
        tolerance=section.number("tolerance", above=0) if section.has("tolerance") else None,
        test=section.flag("test"),
        noise=section.number("noise", low=0) if section.has("noise") else None,
        second=_parse_second(section) if section.has("second") else None,
    )


def check_objective(objective: ObjectiveSettings, budget: Budget, problems: Problems, *, stop_at: float | None) -> None:
    """Add a problem for a useless second objective, a noise without one, or a wrong `stop_at`."""
    _check_stop_at(objective, stop_at, problems)
    second = objective.second
    _check_training_loss("objective", objective, problems)
    if second is None:
        if objective.noise is not None:
            complaint = f"is {objective.noise:g} but there is no second objective, where alone it is used"
            problems.add("objective.noise", complaint, "remove it, or give objective.second=seconds")
        return
    _check_training_loss("objective.second", second, problems)
    key = "objective.second.metric"
    if second.metric == objective.metric:
        problems.add(key, f"is {second.metric}, the first metric too", "name another, or give objective.second=null")
    if SPENT_ALIKE.get(second.metric) == budget.unit:
        complaint = f"is {second.metric}, of which budget.unit={budget.unit} gives each trial as many"
        problems.add(key, complaint, "set budget.unit=epochs, or name another metric")


def _check_training_loss(key: str, objective: ObjectiveSettings | SecondObjective, problems: Problems) -> None:
    if objective.metric == TRAINING_LOSS and objective.maximize:
        complaint = f"is maximize, and {key}.metric is {TRAINING_LOSS}, which is better where it is less"
        problems.add(f"{key}.direction", complaint, "set it to minimize")


def _check_stop_at(objective: ObjectiveSettings, at: float | None, problems: Problems) -> None:
    """Add a problem for a `stop_at` that the first trial reaches, or none, for a metric that is never negative."""
    if at is None or not is_never_negative(objective.metric):
        return
    remedy = f"give a value of {objective.metric} that is good enough where objective.direction={objective.direction}"
    if objective.maximize and at <= 0:
        problems.add("stop_at", f"is {at:g}, which each trial reaches", remedy)
    elif not objective.maximize and at < 0:
        problems.add("stop_at", f"is {at:g}, which no trial can reach", remedy)


def _parse_second(objective: ConfigSection) -> SecondObjective:
    """Return the second objective.

    A figure of the training needs its name only, as less of it is better. A logged metric needs a direction.
    """
    given, key = objective.values["second"], objective.key("second")
    values = {"metric": given} if isinstance(given, str) else given
    section = ConfigSection(values, prefix=key, problems=objective.problems)
    section.only(("metric", "direction", "direction_is_meant", "noise"))
    if isinstance(given, str) and given not in TRAINING_METRICS:
        named = f"{key}={{metric: {given}, direction: minimize}}"
        remedy = f"{nearest(given, TRAINING_METRICS)}, or give a logged metric with its direction, {named}"
        objective.problems.add(key, f"is {given}, which is none of the training's own figures", remedy)
        return SecondObjective(given, "minimize", 0.0)
    metric = section.text("metric")
    direction = _parse_direction(section, metric, default="minimize" if metric in TRAINING_METRICS else None)
    noise = section.number("noise", low=0) if section.has("noise") else USUAL_NOISE.get(metric, 0.0)
    return SecondObjective(metric, direction, noise, section.flag("direction_is_meant"))


def _parse_direction(section: ConfigSection, metric: str, *, default: Direction | None) -> Direction:
    """Return the direction of `metric`. Add a problem if it is missing, or unusual and not confirmed."""
    key, usual = section.key("direction"), usual_direction(metric)
    if not section.has("direction"):
        if default is None and metric:
            ways = [usual] if usual is not None else list(get_args(Direction))
            told = " or ".join(f"{key}={way}" for way in ways)
            remedy = f"if the model logs a metric of this name, say which way it is better: {told}"
            remedy += " (one that was given with another metric is not taken over)"
            section.problems.add(key, f"is None, and {section.key('metric')} is {metric}", remedy)
        return default or usual or "minimize"
    direction: Direction = section.word("direction", get_args(Direction))
    is_read = direction == section.values["direction"] and metric != TRAINING_LOSS  # which has its own check
    if is_read and usual not in (None, direction) and section.values.get("direction_is_meant") is not True:
        better = "less" if usual == "minimize" else "more"
        remedy = f"give {key}={usual}, or confirm it by {key}_is_meant=true"
        section.problems.add(key, f"is {direction}, but of {metric} {better} is better by its name", remedy)
    return direction
