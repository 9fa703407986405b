"""Configs that nobody would write: a sound one with values of any kind at any keys, and search spaces of any kind."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

WORDS = ("all", "auto", "best", "${", "${seed}", "${nope}", "${.a}", "???", "a/b", "..", "x" * 300, "/proc/nope")
SIGNS = ("\0", "\x1b[31m", "\u202eabc", "\ud800", " ", "a ", "\n", "")
EDGES = (0, 1, -1, 10**5, 10**9, 10**12, 2**63, 10**400, 1e308, -1e308, 5e-324, 1e-300, 0.1, 1e23)
KEYS = ("name", "low", "high", "choices", "levels", "type", "unit", "metric", "_target_", "a", "url", "training_seed")
PATHS = ("model.optimizer.lr", "datamodule.batch_size", "model.network.dropout", "model", "vars.a")

huge = st.just("huge").map(lambda _: 16**5000)  # which Python refuses to write
texts = st.one_of(st.sampled_from((*WORDS, *SIGNS)), st.text(max_size=12))
numbers = st.one_of(st.integers(-3, 100), st.sampled_from(EDGES), st.floats(), st.integers(), huge)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
keys = st.one_of(texts, st.sampled_from(KEYS), st.integers(-2, 2))


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


values = st.one_of(
    scalars,
    st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=8,
    ),
    st.integers(10, 60).map(_nested),
)
parameters = st.fixed_dictionaries(
    {"path": st.sampled_from(PATHS), "type": st.sampled_from(("float", "int", "power_of_two", "categorical"))},
    optional={
        **{key: st.one_of(numbers, st.none(), st.booleans()) for key in ("low", "high", "step")},
        **{key: st.booleans() for key in ("log", "linear")},
        "levels": st.one_of(numbers, st.just("all"), st.lists(scalars, max_size=4)),
        "choices": st.one_of(st.lists(scalars, max_size=4), st.dictionaries(keys, values, max_size=3)),
        "role": st.sampled_from(("scientific", "nuisance", "fixed")),
        "when": st.dictionaries(st.sampled_from("abc"), st.lists(scalars, max_size=3), max_size=2),
    },
)
spaces = st.dictionaries(st.one_of(st.sampled_from("abc"), texts), parameters, min_size=1, max_size=3)


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in plain `node`."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, child in items for found in ((*path, key), *paths_of(child, (*path, key)))]


@st.composite
def configs(draw: st.DrawFn, base: dict[str, Any]) -> dict[str, Any]:
    """Plain values of a config: `base` with one to three values, or its whole space, replaced."""
    config = copy.deepcopy(base)
    if draw(st.integers(0, 2)) == 0:
        config["search_space"] = draw(spaces)
        config["sampler"] = {"name": draw(st.sampled_from(("grid", "random", "qmc", "tpe")))}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths_of(base)))
        path = (*path[:-1], draw(keys)) if draw(st.integers(0, 4)) == 0 else path
        _put(config, path, draw(values))
    return config


def _put(config: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        if not (isinstance(config, dict) and key in config) and not (isinstance(config, list) and key < len(config)):
            return
        config = config[key]
    if isinstance(config, dict):
        config[path[-1]] = value
