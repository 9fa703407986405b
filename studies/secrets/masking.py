"""Finds the secrets of a config, and keeps them out of files and messages.

Numbers and truth values are no secrets. A text is one by its key, by its source (an environment variable or another
key), or by its own form: a password in a URL, a token of a well-known kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.secrets.names import is_secret_name
from studies.secrets.sources import Path, followed, is_reference, names_behind, names_variables_only
from studies.secrets.texts import MASK, is_secret, know, masked, masked_by_form

LEFT_OUT = "???"  # OmegaConf's mark of a missing value

Mask = Callable[[str], str]
Replace = Callable[[str, str, str], str]  # (masked text, text as written, text of its reference) -> text


class Masked(str):
    """A whole secret in values for a comparison. It differs from a text of the config that looks like the mask."""

    __slots__ = ()


def without_secrets(values: Any, written: Any = None) -> Any:
    """Return a copy of plain config values in which secrets are masked, whole ones and those within texts.

    `written` is the same config with its interpolations. The name of an environment variable counts as a key does.
    """
    return _Copy(written, masked, lambda shown, *_: shown).of(values, written)


def compared_without_secrets(values: Any, written: Any = None) -> Any:
    """Return a copy of plain config values for a comparison, with whole secrets as `Masked`.

    The known secrets of the process play no part: a value that looks like a password stays.
    """
    replace: Replace = lambda shown, *_: Masked(MASK) if shown == MASK else shown  # noqa: E731
    return _Copy(written, masked_by_form, replace).of(values, written)


def to_be_given(values: Any, written: Any) -> Any:
    """Return a copy of plain config values for a file for others.

    A secret stays the reference to its environment variable, or becomes `LEFT_OUT`.
    """

    def replace(_shown: str, _written: str, source: str) -> str:
        return source if _names_its_secret(source) else LEFT_OUT

    return _Copy(written, masked, replace).of(values, written)


def to_be_shown(written: Any, *, key: str = "") -> Any:
    """Return a copy of a config as it is written, with its secrets masked. References stay. `key` is the key above."""

    def replace(shown: str, text: str, _source: str) -> str:
        return text if is_reference(text) or _names_its_secret(text) else shown

    return _Copy(written, masked, replace).of(written, written, key=key)


def remember(values: Any, written: Any = None) -> None:
    """Mask the secrets among these config values in all later output of this process."""
    pairs = _pairs(values, compared_without_secrets(values, written))
    know(value for value, shown in pairs if isinstance(shown, Masked))


def remember_those_of(config: DictConfig) -> None:
    """Mask the secrets of a config in all later output of this process. Values that cannot be resolved are skipped."""
    written = OmegaConf.to_container(config, resolve=False)
    try:
        values: Any = OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, RecursionError):
        values = _resolved(config, written)
    remember(values, written)


def _names_its_secret(source: str) -> bool:
    return names_variables_only(source) and masked(source) == source


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies config values. `replace` gives the text for each one that `mask` or its key makes a secret."""

    root: Any
    mask: Mask
    replace: Replace

    def of(self, values: Any, written: Any, *, path: Path = (), key: str = "") -> Any:
        """Return the copy of the values at `path`. `key` is a secret key above it, if there is one."""
        if isinstance(values, Mapping | list | tuple):
            if isinstance(written, str):
                written, path = followed(written, path, self.root)
                key = next(filter(is_secret_name, path), key)
            children = values.items() if isinstance(values, Mapping) else enumerate(values)
            copies = {
                name: self.of(value, _child(written, name), path=(*path, str(name)), key=_below(key, name))
                for name, value in children
            }
            if isinstance(values, Mapping):
                return copies
            return tuple(copies.values()) if isinstance(values, tuple) else list(copies.values())
        return self._of_text(values, written, path, key) if isinstance(values, str) else values

    def _of_text(self, value: str, written: Any, path: Path, key: str) -> str:
        text = written if isinstance(written, str) else ""
        read = names_behind(text, path, self.root)
        is_whole = is_secret(key, value) or (value not in ("", LEFT_OUT) and any(map(is_secret_name, read)))
        shown = MASK if is_whole else self.mask(value)
        if shown == value:
            return value
        source = followed(text, path, self.root)[0]
        return self.replace(shown, text, source if isinstance(source, str) else "")


def _below(key: str, name: object) -> str:
    """Return the key that decides for a child `name` under `key`."""
    return key if is_secret_name(key) or isinstance(name, int) else str(name)


def _child(written: Any, name: Any) -> Any:
    if isinstance(written, Mapping):
        return written.get(name)
    return written[name] if isinstance(written, list) and name < len(written) else None


def _pairs(values: Any, shown: Any) -> Iterator[tuple[str, Any]]:
    """Yield each text of a config with its copy for showing."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _pairs(value, shown[name])
    elif isinstance(values, list | tuple):
        for value, other in zip(values, shown, strict=True):
            yield from _pairs(value, other)
    elif isinstance(values, str):
        yield values, shown


def _resolved(config: Any, written: Any) -> Any:
    """Return the values of a config. Those that cannot be resolved, and references to containers, are None."""
    if not isinstance(written, Mapping | list):
        return None if isinstance(config, DictConfig | ListConfig) else config
    children = written.items() if isinstance(written, Mapping) else enumerate(written)
    copies = {name: _resolved(_value_at(config, name), child) for name, child in children}
    return copies if isinstance(written, Mapping) else list(copies.values())


def _value_at(config: Any, name: Any) -> Any:
    try:
        return config[name]
    except (OmegaConfBaseException, RecursionError):
        return None
