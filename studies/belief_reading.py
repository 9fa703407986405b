"""Reads a belief and its decision rule, which stand in the config before any data are seen."""

from __future__ import annotations

from typing import get_args

from studies.parameter import label_of
from studies.reading import Section
from studies.settings import BeliefRule, BeliefSettings
from studies.space import SearchSpace

KEYS = ("claim", "rule", "of", "from", "to", "boundary", "decides", "parts", "checkpoints")


def read_belief(section: Section, space: SearchSpace) -> BeliefSettings | None:
    """The belief that a study puts to the test, None where it has none; `parts` are read by whoever runs them."""
    if not section.values:
        return None
    section.only(KEYS)
    rule: BeliefRule = section.word("rule", get_args(BeliefRule))
    needs_parameter = rule in ("contrast", "one_fits_all")
    of = section.text("of") if needs_parameter else None
    if of is not None and (of not in space.names or space[of].role != "scientific"):
        scientific = (
            ", ".join(parameter.name for parameter in space if parameter.role == "scientific") or "there is none"
        )
        section.problems.add(section.key("of"), f"is {of}", f"name a scientific parameter of the space ({scientific})")
    return BeliefSettings(
        claim=section.text("claim"),
        rule=rule,
        of=of,
        before=_label(section, "from", space) if rule == "contrast" else None,
        after=_label(section, "to", space) if rule == "contrast" else None,
        boundary=section.number("boundary") if rule != "none" else 0.0,
        decides=section.flag("decides", default=True),
    )


def _label(section: Section, name: str, space: SearchSpace) -> str:
    """A value of the parameter, or of several crossed, as tables name it."""
    value = section.values.get(name)
    if value is None or isinstance(value, list | dict):
        section.problems.add(section.key(name), f"is {value!r}", "give one of the parameter's values")
        return ""
    scientific = [parameter for parameter in space if parameter.role == "scientific"]
    label = label_of([value])
    if len(scientific) == 1:
        levels = [label_of([level]) for level in scientific[0].levels or ()]
        if label not in levels:
            section.problems.add(section.key(name), f"is {value!r}", f"give one of {', '.join(levels)}")
    return label
