"""Parses a `best.yaml`, the configuration for `studies.retrain config=…`. Users may have edited it.

Its secrets are references to environment variables, or are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.config.parsing.limits import LARGEST_SEED, MOST_SEEDS, MOST_WORKERS
from studies.config.parsing.output_folder import short
from studies.config.parsing.section import ConfigSection
from studies.config.parsing.soundness import unsound
from studies.config.parsing.template import check_template, check_trainer
from studies.config.parsing.training import parse_budget
from studies.config.resolvers import texts, with_texts
from studies.config.settings import Direction
from studies.errors import BadInput, Problem, Problems
from studies.secrets.masking import LEFT_OUT, remember
from studies.secrets.sources import CALL, variables
from studies.text.yaml_text import Unreadable, parsed, read_yaml_text

KEYS = ("model", "training_seed", "objective", "budget")
GROUPS = ("datamodule", "trainer", "callbacks", "loggers", "vars", "links", "linked", "point", "selection")
REMEDY = "give a best.yaml that a study wrote"


def read_configuration(path: Path) -> dict[str, Any]:
    """Return the content of the file at `path`, with the values of its environment variables.

    Raises `BadInput` with everything that is wrong with it.
    """
    values = _values(path)
    if not isinstance(values, Mapping):
        raise BadInput([_problem(path, "which holds no mapping of keys to values", REMEDY)])
    missing = [key for key in KEYS if key not in values]
    budget = values.get("budget")
    if not missing and isinstance(budget, Mapping):
        missing = [f"budget.{key}" for key in ("unit", "amount", "rungs") if key not in budget]
    if missing:
        raise BadInput([_problem(path, f"which lacks {', '.join(missing)}", REMEDY)])
    problems = Problems()
    problems.found += unsound(values)
    if not problems.found:
        values = {**values, **_check(ConfigSection(values, prefix="", problems=problems))}
        problems.found += missing_secrets({key: values[key] for key in (*GROUPS, "model") if key in values})
    if problems.found:
        raise BadInput(
            [_problem(path, f"where {found.key} {found.complaint}", found.remedy) for found in problems.found]
        )
    whole = {key: with_secrets(value) if key in (*GROUPS, "model") else value for key, value in values.items()}
    remember(whole, values)
    return whole


def with_secrets(values: Any) -> Any:
    """Return a copy of plain config values with the values of their environment variables."""
    return with_texts(values, _with_secrets_in)


def missing_secrets(values: Any) -> Iterator[Problem]:
    """Yield a problem for each missing secret."""
    for key, text in texts(values):
        if text == LEFT_OUT:
            remedy = "write its value there, or ${oc.env:NAME} and export NAME"
            yield Problem(key, f"is {LEFT_OUT}, a secret that was left out of the file", remedy)
        for found in CALL.finditer(text):
            try:
                _called(found[0])
            except OmegaConfBaseException:
                name = (variables(found[0]) or [found[0]])[-1]  # the others default to it
                yield Problem(key, f"reads the environment variable {name}, which is not set", f"export {name}")


def _with_secrets_in(text: str) -> Any:
    return _called(text) if CALL.fullmatch(text) else CALL.sub(lambda found: str(_called(found[0])), text)


def _called(call: str) -> Any:
    return OmegaConf.create({"value": call}).value


def _values(path: Path) -> Any:
    try:
        return parsed(read_yaml_text(path))
    except Unreadable as error:
        raise BadInput([_problem(path, f"which {error}", REMEDY)]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        why = getattr(error, "problem", None) or type(error).__name__
        raise BadInput([_problem(path, f"which is no YAML ({where}{why})", REMEDY)]) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise BadInput([_problem(path, f"which cannot be read ({why})", "give the path of a best.yaml")]) from None


def _problem(path: Path, complaint: str, remedy: str) -> Problem:
    return Problem("config", f"is {short(str(path))}, {complaint}", remedy)


def _check(top: ConfigSection) -> dict[str, Any]:
    """Add a problem for each wrong key. Return the numbers with their own types: 2 for 2.0."""
    check_template(top.values, top.problems)
    for part in map(top.section, ("model", "datamodule")):
        if part.has("_target_"):
            part.text("_target_")
    read: dict[str, Any] = {"training_seed": top.whole("training_seed", low=0, high=LARGEST_SEED)}
    objective = top.section("objective")
    objective.text("metric")
    if objective.has("direction"):
        objective.word("direction", get_args(Direction))
    read["budget"] = asdict(parse_budget(top.section("budget")))
    for name, most in (("devices_per_trial", MOST_WORKERS), ("threads", MOST_WORKERS), ("n_seeds", MOST_SEEDS)):
        number = top.optional_whole(name, low=1, high=most)
        read |= {name: number} if top.has(name) else {}
    if top.has("value"):
        top.number("value")
    check_trainer(top.section("trainer"), int(read.get("devices_per_trial") or 1))
    for name in GROUPS:
        top.section(name)
    tests = top.section("selection").section("test")
    for name in tests.values:
        tests.section(str(name)).whole("n_seeds", low=1)
    return read
