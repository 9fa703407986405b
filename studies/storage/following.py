"""Config keys that follow a searched one, or the training seed: they vary between trials without being searched.

Their values in the config without a point say nothing about the trials. So the identity compares how they are written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from omegaconf import DictConfig, OmegaConf

from studies.config.resolvers import texts
from studies.config.settings import FIXED_KEYS, TRAINING_SEED
from studies.config.space import SearchSpace
from studies.secrets.sources import target_of

REFERENCE = re.compile(r"\$\{([^${}:]+)\}")  # an interpolation of a node, also inside the arguments of a resolver
SELECTED = re.compile(r"\$\{oc\.(?:select|deprecated|dict\.keys|dict\.values):([^${},]+)")  # one that names a node


def following(template: DictConfig, space: SearchSpace) -> dict[str, str]:
    """Return the keys of the fixed config that depend on a searched path or the training seed: key → as written."""
    return {key: text for key, text in depending(template, space).items() if key.partition(".")[0] in FIXED_KEYS}


def depending(template: DictConfig, space: SearchSpace, *, besides: Collection[str] = ()) -> dict[str, str]:
    """Return all keys that depend on a searched path, the training seed or a path of `besides`: key → as written.

    A key depends on a path that it refers to, directly or through other keys.
    """
    written = OmegaConf.to_container(template, resolve=False)
    assert isinstance(written, dict)
    references = {key: text for key, text in texts(written) if any(_targets(key, text))}
    searched = {path for parameter in space for path in parameter.paths}
    found: dict[str, str] = {}
    while True:
        varied = [*searched, *found, *besides, TRAINING_SEED]
        more = {
            key: text
            for key, text in references.items()
            if key not in found and any(_meet(target, varied) for target in _targets(key, text))
        }
        if not more:
            return found
        found |= {key: text for key, text in more.items() if not _lies_in(key, searched)}
        references = {key: text for key, text in references.items() if key not in more}


def _targets(key: str, text: str) -> Iterator[str]:
    """Yield the paths that interpolations in `text` at `key` name: `.x` is a sibling of `key`, `..x` of its parent."""
    for name in (*REFERENCE.findall(text), *SELECTED.findall(text)):
        yield ".".join(target_of(name, tuple(key.split("."))))


def _meet(target: str, paths: list[str]) -> bool:
    return any(f"{target}.".startswith(f"{path}.") or f"{path}.".startswith(f"{target}.") for path in paths)


def _lies_in(key: str, paths: set[str]) -> bool:
    return any(f"{key}.".startswith(f"{path}.") for path in paths)
