"""Puts in the secrets that a `best.yaml` does not hold: it refers to environment variables, or leaves them out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from studies.errors import Problem
from studies.secrets import ENVIRONMENT, LEFT_OUT


def with_secrets(values: Any) -> Any:
    """Return a copy of plain config values with the environment variables that they name."""
    if isinstance(values, Mapping):
        return {key: with_secrets(value) for key, value in values.items()}
    if isinstance(values, list):
        return [with_secrets(value) for value in values]
    if isinstance(values, str) and ENVIRONMENT.search(values):
        return ENVIRONMENT.sub(lambda found: str(OmegaConf.create({"value": found[0]}).value), values)
    return values


def missing_secrets(values: Any, key: str = "") -> Iterator[Problem]:
    """Yield a problem for each secret that is still to be given."""
    below = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in below:
        yield from missing_secrets(value, f"{key}.{name}" if key else str(name))
    if not isinstance(values, str):
        return
    if values == LEFT_OUT:
        remedy = "write its value there, or ${oc.env:NAME} and export NAME"
        yield Problem(key, f"is {LEFT_OUT}, a secret that was left out of the file", remedy)
    for found in ENVIRONMENT.finditer(values):
        if found[1] not in os.environ and "," not in found[0]:
            yield Problem(key, f"reads the environment variable {found[1]}, which is not set", f"export {found[1]}")
