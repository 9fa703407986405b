"""Shows a config that Hydra prints, as with `--cfg job`, without the secrets in it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence

import yaml

from studies.printable import printable
from studies.secrets import to_be_shown

SHOWING = ("--cfg", "-c", "--info", "-i")


@contextlib.contextmanager
def secrets_hidden(arguments: Sequence[str]) -> Iterator[None]:
    """Mask the secrets that Hydra prints in here, if its `arguments` ask for a config."""
    if not any(one.partition("=")[0] in SHOWING for one in arguments):
        yield
        return
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        print(without_secrets_in(printed.getvalue()), end="")


def without_secrets_in(text: str) -> str:
    """Return a config in YAML with its secrets masked, as it stands where it holds none."""
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return printable(text)
    shown = to_be_shown(config)
    return text if shown == config else yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)
