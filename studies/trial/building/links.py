"""Reads attributes of the built data module, such as its number of classes, and writes them into the model's config.

Context: a link's value is known only after `prepare_data` and `setup("fit")`, and Lightning calls these after the model
is built. Choice: they are called here, on the Trainer's data module, and the Trainer's own first calls of them do
nothing. Cost: the data module has no Trainer yet while it is set up. With several ranks each calls `prepare_data`, one
after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from omegaconf import OmegaConf

from studies.config.settings import Link
from studies.errors import BadInput, Problem, nearest
from studies.secrets.texts import masked
from studies.text.printable import described
from studies.trial.building.package import NAMES
from studies.trial.lock import exclusively

SHOWN = 80  # characters of a value in a message

Plain = bool | int | float | str | list[Any]


class NotInConfig(TypeError):
    """A value that no config can hold."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The links of a trial."""

    links: tuple[Link, ...]
    written: Mapping[str, Any]  # the trial's config with its interpolations unresolved
    known: Mapping[str, Plain] = field(default_factory=dict)  # of an earlier training: the data have to give them again

    def values(self, datamodule: Any) -> dict[str, Plain]:
        """Set `datamodule` up and return the value of each target.

        Raises `BadInput` for a missing attribute, a value that no config can hold, and a value unequal to the `known`
        one.
        """
        _set_up(datamodule, key=self.links[0].target)
        values = {link.target: _read(link, datamodule) for link in self.links}
        changed = [
            Problem(f"links.{target}", f"gives {values[target]!r}, and gave {before!r} before", "use the same data")
            for target, before in self.known.items()
            if target in values and values[target] != before
        ]
        if changed:
            raise BadInput(changed)
        return values

    def resolved(self, config: Mapping[str, Any], values: Mapping[str, Plain]) -> dict[str, Any]:
        """Return `config` with `values` at the targets, and in everything that refers to them by interpolation.

        Raises `BadInput` where the data module itself refers to a target.
        """
        before, after = self._resolved({}), self._resolved(values)
        if before.get("datamodule") != after.get("datamodule"):
            complaint = f"follows {', '.join(values)}, which are read off it"
            raise BadInput([Problem("datamodule", complaint, "remove the interpolation or the link")])
        return {str(key): value for key, value in _with_changes(config, before, after).items()}

    def _resolved(self, values: Mapping[str, Plain]) -> dict[Any, Any]:
        written = OmegaConf.create(dict(self.written))
        for target, value in values.items():
            OmegaConf.update(written, target, value, force_add=True)
        found = OmegaConf.to_container(written, resolve=True)
        assert isinstance(found, dict)
        return found


def _with_changes(config: Mapping[Any, Any], before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `config` with the differences between two mappings. Keys that it lacks stay away."""
    changed = dict(config)
    for key, value in after.items():
        known: Any = before.get(key)
        if (type(value), value) == (type(known), known) or (key in before and key not in config):
            continue
        nested = all(isinstance(member, Mapping) for member in (value, known, config.get(key)))
        changed[key] = _with_changes(config[key], known, value) if nested else value
    return changed


def plain(value: Any) -> Plain:
    """Return `value` as a config holds it: a number, text, bool, or a list of these. Raises `NotInConfig`."""
    if isinstance(value, bool | str):
        return value if isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):  # of numpy or torch
        return plain(value.item())
    raise NotInConfig(type(value).__name__)


def _set_up(datamodule: Any, *, key: str) -> None:
    with exclusively(f"prepare_data {type(datamodule).__module__}.{type(datamodule).__qualname__} {key}"):
        datamodule.prepare_data()
    try:
        datamodule.setup("fit")
    except AttributeError as error:
        if getattr(datamodule, "trainer", None) is not None or "NoneType" not in str(error):
            raise
        setup, remedy = f"{type(datamodule).__name__}.setup", "let setup do without self.trainer, or remove the links"
        complaint = f"need the data before there is a Trainer, and {setup} asks for it ({error})"
        raise BadInput([Problem("links", complaint, remedy)]) from error
    _skip_once(datamodule, "prepare_data")
    _skip_once(datamodule, "setup")


def _skip_once(datamodule: Any, name: str) -> None:
    """Have the next call of a hook do nothing. A setup for another stage than fit is done."""
    hook: Callable[..., Any] = getattr(datamodule, name)

    @wraps(hook)
    def skip(*arguments: Any, **keywords: Any) -> Any:
        delattr(datamodule, name)
        stage = keywords.get("stage", arguments[0] if arguments else "fit")
        return None if stage == "fit" else hook(*arguments, **keywords)

    setattr(datamodule, name, skip)


def _read(link: Link, datamodule: Any) -> Plain:
    value, owner = datamodule, datamodule
    for name in link.attributes:
        owner = value
        try:
            value = getattr(owner, name)
        except Exception as error:
            raise BadInput([_unreadable(link, owner, name, error)]) from error
    try:
        return plain(value)
    except NotInConfig as error:
        shown = masked(repr(value))
        is_call = callable(value)
        kind = "a method" if is_call else f"a {error}: {shown[:SHOWN]}{'…' * (len(shown) > SHOWN)}"
        remedy = "make it a property that gives" if is_call else "link an attribute that is"
        remedy += " a number, text, bool or a list of these"
        complaint = f"is {link.source}, which is {kind} after setup"
        raise BadInput([Problem(f"links.{link.target}", complaint, remedy)]) from None


def _unreadable(link: Link, owner: Any, name: str, error: Exception) -> Problem:
    key = f"links.{link.target}"
    if name in dir(owner):
        complaint = f"is {link.source}, and reading {name} fails ({described(error)})"
        return Problem(key, complaint, "see that it can be read after setup")
    complaint = f"is {link.source}, and {type(owner).__name__} has no {name} after setup"
    return Problem(key, complaint, nearest(name, _own_names(owner)))


def _own_names(owner: Any) -> list[str]:
    """Return the public attributes of an object that are not Lightning's or Python's own."""
    bases = [base for base in type(owner).__mro__ if base is not object and not base.__module__.startswith(NAMES)]
    names = {*getattr(owner, "__dict__", {}), *(name for base in bases for name in vars(base))}
    return sorted(name for name in names if not name.startswith("_"))
