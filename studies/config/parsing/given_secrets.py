"""Fills in the secrets of a `best.yaml`. It refers to environment variables, or leaves secrets out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.errors import Problem
from studies.secrets.masking import LEFT_OUT
from studies.secrets.sources import CALL, variables


def with_secrets(values: Any) -> Any:
    """Return a copy of plain config values with the values of their environment variables."""
    if isinstance(values, Mapping):
        return {key: with_secrets(value) for key, value in values.items()}
    if isinstance(values, list):
        return [with_secrets(value) for value in values]
    if not isinstance(values, str):
        return values
    return _called(values) if CALL.fullmatch(values) else CALL.sub(lambda found: str(_called(found[0])), values)


def missing_secrets(values: Any, key: str = "") -> Iterator[Problem]:
    """Yield a problem for each missing secret."""
    below = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in below:
        yield from missing_secrets(value, f"{key}.{name}" if key else str(name))
    if not isinstance(values, str):
        return
    if values == LEFT_OUT:
        remedy = "write its value there, or ${oc.env:NAME} and export NAME"
        yield Problem(key, f"is {LEFT_OUT}, a secret that was left out of the file", remedy)
    for found in CALL.finditer(values):
        try:
            _called(found[0])
        except OmegaConfBaseException:
            name = (variables(found[0]) or [found[0]])[-1]  # the others default to it
            yield Problem(key, f"reads the environment variable {name}, which is not set", f"export {name}")


def _called(call: str) -> Any:
    return OmegaConf.create({"value": call}).value
