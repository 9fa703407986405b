"""Arguments and commands to paste: quoted for Hydra's grammar and for the shell."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

BACKSLASHES = re.compile(r'(\\*)("|$)')  # Hydra's grammar reads them as escapes before a quote and at the end


def argument(key: str, text: object) -> str:
    """Return the argument that sets `key` to this text, quoted if Hydra would read another value."""
    return f"{key}={hydra_quoted(str(text))}"


def pasted(key: str, text: object) -> str:
    """Return the argument that sets `key` to this text, quoted for the shell too."""
    return shlex.quote(argument(key, text))


def command_line(module: str, *arguments: str) -> str:
    """Return the command `python -m studies.MODULE` with these arguments, each quoted for the shell."""
    return " ".join([f"python -m studies.{module}", *map(shlex.quote, arguments)])


def hydra_quoted(text: str) -> str:
    """Return `text` as a value that Hydra reads as this very text."""
    return text if text and read_value(text) == text else in_quotes(text)


def in_quotes(text: str) -> str:
    """Return `text` in quotes of Hydra's grammar."""
    return '"' + BACKSLASHES.sub(lambda found: 2 * found[1] + (r"\"" if found[2] else ""), text) + '"'


def read_value(value: str) -> object:
    """Return the value that Hydra reads. Return None for a sweep, and if Hydra refuses it."""
    override = _read(f"key={value}")
    return None if override is None or override.is_sweep_override() else override.value()


def is_read(value: str) -> bool:
    """Return whether Hydra reads this unquoted value as a single one."""
    override = _read(f"key={value}")
    return override is not None and not override.is_sweep_override()


def is_key(key: str) -> bool:
    """Return whether the command line can name this key."""
    return _read(f"{key}=1") is not None


def _read(override: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, ValueError, RecursionError):  # numbers of thousands of digits, hundreds of brackets
        return None
