"""Finds the secrets of a config, and keeps them out of files and messages.

A number or a truth value is no secret. A text is one by its key, by the environment variable that it comes from, or by
its own form: a password in a URL, a token of a well-known kind.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.secret_names import is_secret_name

MASK = "***"
LEFT_OUT = "???"  # OmegaConf's own word for a value that is still to be given
LONG_USER = 20  # characters of what stands before the colon in a URL: a token, no person's name
LONG_VALUE = 6  # characters of a secret that is masked wherever it appears: a shorter one may be any word

OF_URLS = re.compile(r"sig|signature|key|sas|passfile|ssl_?key|code")

ENVIRONMENT = re.compile(r"\$\{oc\.env:\s*([^},]+?)\s*(?:,[^}]*)?\}")
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
PLAIN = re.compile(r"(?:true|false|null|none|[-+]?[\d.][\d._e+-]*)", re.IGNORECASE)

VALUE = r"'[^'\n]*'|\"[^\"\n]*\"|\$\{[^}]*\}|[^\s;&,)\]}'\"]+"
USER = re.compile(r"(?<=://)([^/\s:@]*):(?!\$\{[^}]*\}@)[^\s]*@")
LONE_USER = re.compile(r"(?<=http://|ttps://)[^/\s:@'\"]+@")
OPTION = re.compile(r"(?<=[?&])([\w.-]+)=([^&\s'\"#]*)")
ASSIGNED = re.compile(rf"(?<![\w.$-])([\w.-]+)(['\"]?\s*=\s*)({VALUE})")
ENTRY = re.compile(rf"(['\"])([\w.-]+)(\1\s*:\s*)({VALUE})")
FORMS = re.compile(
    r"(?i:(?<=bearer ))[\w.~+/=-]{8,}|\b(?:hf_|ghp_|gho_|github_pat_|glpat-|sk-|xox[abps]-)[\w-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)

_known: set[str] = set()  # secrets of the configs that this process has read


def is_secret(key: str, value: object) -> bool:
    """Return whether `value` is a secret by its key: a text that says something."""
    return isinstance(value, str) and is_secret_name(key) and value not in ("", LEFT_OUT)


def without_secrets(values: Any, written: Any = None) -> Any:
    """Return a copy of plain config values in which secrets are masked, whole ones and those within texts.

    `written` is the same config with its interpolations. The name of an environment variable counts as a key does.
    """
    return _replaced(values, written, "", root=written, replace=lambda shown, _: shown)


def to_be_given(values: Any, written: Any) -> Any:
    """Return a copy of plain config values for a file that others may read.

    A secret stays the reference to its environment variable, or becomes `LEFT_OUT`.
    """

    def replace(_: str, source: str) -> str:
        return source if ENVIRONMENT.search(source) and masked(source) == source else LEFT_OUT

    return _replaced(values, written, "", root=written, replace=replace)


def to_be_shown(written: Any) -> Any:
    """Return a copy of a config as it is written, with its secrets masked. References to the environment stay."""

    def replace(shown: str, source: str) -> str:
        return source if ENVIRONMENT.search(source) and masked(source) == source else shown

    return _replaced(written, written, "", root=written, replace=replace)


def source_of(written: object, root: Any) -> str:
    """Return how a text is written in a config, with references to other keys followed; empty for no text."""
    for _ in range(10):
        found = REFERENCE.fullmatch(written) if isinstance(written, str) else None
        if found is None:
            break
        written = root
        for name in found[1].split("."):
            written = written.get(name) if isinstance(written, Mapping) else None
    return written if isinstance(written, str) else ""


def remember(values: Any, written: Any = None) -> None:
    """Mask the secrets among these config values from now on wherever this process shows them."""
    for value, shown in _pairs(values, without_secrets(values, written)):
        if shown == MASK and len(value) >= LONG_VALUE and value != MASK:
            _known.add(value)


def remember_those_of(config: DictConfig) -> None:
    """Mask the secrets of a config from now on wherever this process shows them."""
    with contextlib.suppress(OmegaConfBaseException):  # told by whoever reads the config
        remember(OmegaConf.to_container(config, resolve=True), OmegaConf.to_container(config, resolve=False))


def masked(text: str) -> str:
    """Return `text` without the secrets in it: known ones, passwords and tokens of URLs, and values of options."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = USER.sub(lambda found: f"{_user(found[1])}@", text)
    text = LONE_USER.sub(f"{MASK}@", text)
    text = OPTION.sub(lambda found: f"{found[1]}={_option(found[1], found[2])}", text)
    text = ASSIGNED.sub(lambda found: f"{found[1]}{found[2]}{_value(found[1], found[3])}", text)
    text = ENTRY.sub(lambda found: f"{found[1]}{found[2]}{found[3]}{_value(found[2], found[4])}", text)
    return FORMS.sub(MASK, text)


def _replaced(values: Any, written: Any, key: str, *, root: Any, replace: Callable[[str, str], str]) -> Any:
    """Replace each text with a secret in it by what `replace` makes of its masked form and of how it is written."""
    if isinstance(values, Mapping):
        own = written if isinstance(written, Mapping) else {}
        below = {name: key if is_secret_name(key) else str(name) for name in values}
        pairs = {name: (value, own.get(name), below[name]) for name, value in values.items()}
        return {name: _replaced(*pair, root=root, replace=replace) for name, pair in pairs.items()}
    if isinstance(values, list):
        rows = written if isinstance(written, list) and len(written) == len(values) else [None] * len(values)
        return [_replaced(v, w, key, root=root, replace=replace) for v, w in zip(values, rows, strict=True)]
    if not isinstance(values, str):
        return values
    source = source_of(written, root)
    is_whole = is_secret(key, values) or any(map(is_secret_name, ENVIRONMENT.findall(source)))
    shown = MASK if is_whole else masked(values)
    return values if shown == values else replace(shown, source)


def _user(name: str) -> str:
    return f"{MASK}:{MASK}" if len(name) >= LONG_USER else f"{name}:{MASK}"


def _option(name: str, value: str) -> str:
    is_whole = OF_URLS.fullmatch(name.lower()) or is_secret(name, value)
    return MASK if is_whole and not ENVIRONMENT.fullmatch(value) else value


def _value(name: str, value: str) -> str:
    plain = value.strip("'\"")
    if plain == MASK or ENVIRONMENT.fullmatch(plain) or PLAIN.fullmatch(plain) or not is_secret(name, plain):
        return value
    return f"{value[0]}{MASK}{value[0]}" if value[0] in "'\"" else MASK


def _pairs(values: Any, shown: Any) -> Iterator[tuple[str, Any]]:
    """Yield each text of a config with the one that may be shown."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _pairs(value, shown[name])
    elif isinstance(values, list):
        for value, other in zip(values, shown, strict=True):
            yield from _pairs(value, other)
    elif isinstance(values, str):
        yield values, shown
