"""Masks the secrets in a text: the known secrets of this process, and every text with the form of a secret."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from studies.secrets.names import is_secret_name
from studies.secrets.sources import INTERPOLATION, PLAIN, is_reference

MASK = "***"
LONG_USER = 20  # characters; a longer user of a URL is a token, no person's name
LONG_VALUE = 6  # characters; a shorter secret may be any word, so it is not masked everywhere

OF_URLS = re.compile(r"sig|signature|key|sas|passfile|ssl_?key|code")

QUOTED = r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
VALUE = rf"{QUOTED}|{INTERPOLATION}|\{{[^{{}}]*\}}|\[[^\[\]]*\]|[^\s;&,)\]}}'\"]+"
USER = re.compile(r"(?<=://)([^/\s:@]*):(?!\$\{[^}]*\}@)[^\s]*@")
LONE_USER = re.compile(r"\b((?:\w+\+)?(\w+)://)([^/\s:@'\"]+)@")
WITH_LONE_TOKEN = ("http", "https", "redis", "rediss")  # schemes with a secret alone before the @
OPTION = re.compile(r"(?<=[?&])([\w.-]+)=([^&\s'\"#]*)")
ASSIGNED = re.compile(rf"(?<![\w.$-])([\w.-]+)(['\"]?\s*=\s*)({VALUE})")
ENTRY = re.compile(rf"(['\"])([\w.-]+)(\1\s*:\s*)({VALUE})")
FORMS = re.compile(
    r"(?i:(?<=bearer ))[\w.~+/=-]{8,}|\b(?:hf_|ghp_|gho_|github_pat_|glpat-|sk-|xox[abps]-)[\w-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)

_known: set[str] = set()  # secrets of all configs of this process, in every form


def know(secrets: Iterable[str]) -> None:
    """Mask these secrets in all later output of this process, also escaped or in a URL."""
    for secret in secrets:
        if len(secret) >= LONG_VALUE and secret != MASK:
            _known.update(_forms(secret))


def known() -> frozenset[str]:
    """Return the known secrets, for another process. Never write them into a file."""
    return frozenset(_known)


def run_knowing(secrets: frozenset[str], target: Callable[..., None], arguments: Sequence[Any]) -> None:
    """Run `target` in a new process with the known secrets of its parent, see `known`."""
    _known.update(secrets)
    target(*arguments)


class MaskedStream(io.TextIOWrapper):
    """A text stream to a file descriptor that masks the known secrets.

    Output of C code and of child processes does not pass through it.
    """

    def __init__(self, number: int) -> None:
        raw = open(number, "wb", closefd=False)  # noqa: SIM115 - it lives as long as the process
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True)

    def write(self, text: str) -> int:
        """Write `text` with its secrets masked."""
        super().write(masked(text))
        return len(text)


def masked(text: str) -> str:
    """Return `text` without its secrets: known ones, passwords and tokens of URLs, and values of options."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return masked_by_form(text)


def masked_by_form(text: str) -> str:
    """Return `text` without anything that has the form of a secret, whatever this process knows."""
    text = USER.sub(lambda found: f"{_user(found[1])}@", text)
    text = LONE_USER.sub(lambda found: f"{found[1]}{_lone_user(found[2], found[3])}@", text)
    text = OPTION.sub(lambda found: f"{found[1]}={_option(found[1], found[2])}", text)
    text = ASSIGNED.sub(lambda found: f"{found[1]}{found[2]}{_value(found[1], found[3])}", text)
    text = ENTRY.sub(lambda found: f"{found[1]}{found[2]}{found[3]}{_value(found[2], found[4])}", text)
    return FORMS.sub(MASK, text)


def is_secret(key: str, value: object) -> bool:
    """Return whether `value` is a secret by its key, and not empty."""
    return isinstance(value, str) and is_secret_name(key) and value not in ("", "???")


def _forms(secret: str) -> set[str]:
    """Return a text as it is, and as Python, JSON and URLs write it."""
    in_quotes = secret.replace("\\", "\\\\").replace("'", "\\'")
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return {secret, repr(secret)[1:-1], in_quotes, *in_json, quote(secret), quote(secret, safe=""), quote_plus(secret)}


def _user(name: str) -> str:
    return f"{MASK}:{MASK}" if len(name) >= LONG_USER else f"{name}:{MASK}"


def _lone_user(scheme: str, name: str) -> str:
    return MASK if scheme in WITH_LONE_TOKEN or len(name) >= LONG_USER else name


def _option(name: str, value: str) -> str:
    is_whole = OF_URLS.fullmatch(name.lower()) or is_secret(name, value)
    return MASK if is_whole and not is_reference(value) else value


def _value(name: str, value: str) -> str:
    plain = value.strip("'\"")
    if plain == MASK or is_reference(plain) or PLAIN.fullmatch(plain) or not is_secret(name, plain):
        return value
    return f"{value[0]}{MASK}{value[0]}" if value[0] in "'\"" else MASK
