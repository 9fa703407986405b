"""What no config may hold is refused before anything reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from omegaconf import OmegaConf

from studies.config.parsing.soundness import DEEPEST, MOST_STEPS, refuse_unsound, unsound
from studies.errors import BadInput


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def told(config: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as caught:
        refuse_unsound(OmegaConf.create(config))
    return str(caught.value)


def test_a_config_that_is_nested_too_deeply_is_refused() -> None:
    refuse_unsound(OmegaConf.create({"model": nested(DEEPEST - 1)}))
    assert "model.a.a.a is nested too deeply: give at most 30 mappings or lists in each other" in told(
        {"model": nested(60)}
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (10**400, "vars.x is a whole number of 1329 bits"),
        (16**5000, "vars.x is a whole number of 20001 bits"),
        ("\ud800", r"vars.x is '\ud800', which holds half a character"),
        ("x" * 1_000_001, "vars.x is a text of 1000001 characters"),
    ],
    ids=["long", "longer", "half", "text"],
)
def test_what_nobody_can_write_is_refused_with_its_key(value: Any, complaint: str) -> None:
    assert complaint in told({"vars": {"x": value}})


@pytest.mark.parametrize("key", [16**5000, "\ud800"], ids=["longer", "half"])
def test_a_key_is_looked_at_too(key: Any) -> None:
    assert "vars." in told({"vars": {key: 1}})


def test_a_text_that_fits_is_left_alone() -> None:
    refuse_unsound(OmegaConf.create({"a": "x" * 1000, "b": 2**1000, "c": [None, True, 1.5, "ä\n"]}))


def bomb(first: Any, again: Any) -> dict[str, Any]:
    """Each value refers to the one before ten times."""
    return {"vars": {"v0": first, **{f"v{i + 1}": again(f"${{vars.v{i}}}") for i in range(12)}}}


@pytest.mark.parametrize(
    "config",
    [
        bomb([1], lambda reference: [reference] * 10),
        bomb("x", lambda reference: reference * 10),
        {"vars": {"v": "x" * 1_000_000, "w": ["${vars.v}"] * 100}},
        bomb([1], lambda reference: [reference.replace("{", "{oc.select: ").replace("}", ", null}")] * 10),
        bomb([1], lambda reference: [reference.replace("{", "{oc.select:'").replace("}", "'}")] * 10),
        bomb([1], lambda reference: [reference.replace("{vars.", "{[vars].")] * 10),
        bomb({"a": 1}, lambda reference: dict.fromkeys(range(10), reference.replace("{", "{oc.dict.values:"))),
    ],
    ids=["lists", "texts", "long texts", "selected", "quoted", "in brackets", "of mappings"],
)
def test_references_that_make_a_value_as_large_as_the_memory_are_refused(config: dict[str, Any]) -> None:
    assert "config is more than 100000 values, once its references are resolved" in told(config)


@pytest.mark.parametrize("order", [list, reversed])
@pytest.mark.parametrize("n", [40, 600, 5000])
def test_references_that_lead_on_and_on_are_refused(order: Callable[[list[str]], Iterable[str]], n: int) -> None:
    chain = {"v0": 1, **{f"v{i + 1}": f"${{v{i}}}" for i in range(n)}}
    (problem,) = unsound({name: chain[name] for name in order(list(chain))})
    assert problem.complaint == "holds a reference that leads on to another one more than 30 times"


def test_some_references_may_lead_on_to_one_another() -> None:
    chain = {"v0": 1, **{f"v{i + 1}": f"${{v{i}}}" for i in range(MOST_STEPS)}}
    refuse_unsound(config := OmegaConf.create(chain))
    assert config[f"v{MOST_STEPS}"] == 1


def test_relative_references_are_followed_and_circles_are_left_to_others() -> None:
    assert unsound({"a": {"b": [1] * 1000, "c": ["${..b}"] * 1000}}) != []
    assert unsound({"a": {"b": [1] * 1000, "c": "${.b}", "d": "${a.b[0]}", "e": "${nope.b}"}}) == []
    assert unsound({"a": "${b}", "b": "${a}", "c": ["${c}"]}) == []
