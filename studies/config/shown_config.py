"""Hides the secrets of a config that Hydra prints, as with `--cfg job`.

Context: Hydra may print a part of the config, a resolved one, or no YAML at all. Choice: the whole config is composed
first, so that its secrets are known. Cost: it is composed twice.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from studies.secrets.masking import remember_those_of, to_be_shown
from studies.secrets.names import is_secret_name
from studies.secrets.sources import PLAIN, is_reference
from studies.secrets.texts import MASK
from studies.text.printable import printable

SHOWING = ("--cfg", "-c", "--info", "-i", "--help")  # the last one means --help-all: --help itself shows no config
PARTIAL = ("--package", "-p", "--resolve")
LINE = re.compile(r"^([ \t]*(?:- )?['\"]?([\w.-]+)['\"]?: +)(\S.*)$", re.MULTILINE)


def run_with_secrets_hidden(run: Callable[[], None], arguments: Sequence[str]) -> None:
    """Let Hydra `run` with these arguments. If they print a config, mask its secrets."""
    if not any(_name(one) in SHOWING for one in arguments):
        run()
        return
    whole = [one for one in arguments if _name(one) not in (*SHOWING, *PARTIAL)]
    config = OmegaConf.create(yaml.safe_load(_printed(run, [*whole, "--cfg=job"])) or {})
    assert isinstance(config, DictConfig)
    remember_those_of(config)
    package = next((one.partition("=")[2] for one in arguments if _name(one) in PARTIAL[:2]), "")
    print(without_secrets_in(_printed(run, arguments), package=package), end="")


def hide_secrets_of_sweep(config: DictConfig) -> None:
    """Mask the secrets in multirun.yaml. Hydra writes it before the first job, which is that of `config`."""
    sweep = HydraConfig.get()
    if sweep.mode == RunMode.MULTIRUN and sweep.job.num == 0:
        remember_those_of(config)
        path = Path(sweep.sweep.dir, "multirun.yaml")
        path.write_text(without_secrets_in(path.read_text(encoding="utf-8")), encoding="utf-8")


def without_secrets_in(text: str, *, package: str = "") -> str:
    """Return a config in YAML with its secrets masked. It is the part at the key `package`, if there is one."""
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return LINE.sub(_masked_line, printable(text))
    shown = to_be_shown(config, key=next(filter(is_secret_name, package.split(".")), ""))
    if shown == config:
        return text
    if isinstance(shown, str):
        return f"{shown}\n"
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)


def _name(argument: str) -> str:
    return argument.partition("=")[0]


def _printed(run: Callable[[], None], arguments: Sequence[str]) -> str:
    """Return Hydra's output with these arguments. If Hydra fails, print it masked."""
    printed, given = io.StringIO(), sys.argv[1:]
    sys.argv[1:] = arguments
    try:
        with contextlib.redirect_stdout(printed):
            run()
    except BaseException:
        print(without_secrets_in(printed.getvalue()), end="")
        raise
    finally:
        sys.argv[1:] = given
    return printed.getvalue()


def _masked_line(found: re.Match[str]) -> str:
    start, key, value = found.groups()
    plain = value.strip("'\"")
    is_harmless = not is_secret_name(key) or PLAIN.fullmatch(plain) or is_reference(plain)
    return found[0] if is_harmless else f"{start}{MASK}"
