"""Parses a hypothesis and its decision rule. Both stand in the config before any data exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from studies.config.parameter import label_of
from studies.config.parsing.limits import shown
from studies.config.parsing.section import ConfigSection
from studies.config.settings import HypothesisRule, HypothesisSettings
from studies.config.space import SearchSpace

KEYS = ("claim", "rule", "of", "from", "to", "boundary", "decides", "parts", "checkpoints")
RULES: Mapping[HypothesisRule, str] = {
    "contrast": "one value of a parameter gains over another",
    "independence": "no interaction of parameters matters",
    "one_fits_all": "no value of a parameter loses with another's best setting",
    "none": "only prepares another part",
}


def parse_hypothesis(section: ConfigSection, space: SearchSpace) -> HypothesisSettings | None:
    """Return the hypothesis of a study, or None without one. `parts` are parsed elsewhere."""
    if not section.values:
        return None
    section.only(KEYS)
    rule = _rule(section)
    of = _parameter(section, space) if rule in ("contrast", "one_fits_all") else None
    before = _label(section, "from", space) if rule == "contrast" else None
    after = _label(section, "to", space) if rule == "contrast" else None
    if before and before == after:
        section.complain("to", f"is {after}, as {section.key('from')} is", "give another value")
    return HypothesisSettings(
        claim=section.text("claim"),
        rule=rule,
        of=of,
        before=before,
        after=after,
        boundary=section.number("boundary") if rule != "none" else 0.0,
        decides=section.flag("decides", default=True),
    )


def _rule(section: ConfigSection) -> HypothesisRule:
    """Return the decision rule, or `none` with a problem if it is missing or unknown."""
    if section.has("rule"):
        rule: HypothesisRule = section.word("rule", get_args(HypothesisRule), default="none")
        return rule
    listed = ", ".join(f"{rule} ({what})" for rule, what in RULES.items())
    section.complain("rule", "is missing", f"give the rule that decides: {listed}")
    return "none"


def _parameter(section: ConfigSection, space: SearchSpace) -> str:
    """Return the name of the claim's scientific parameter."""
    scientific = [parameter.name for parameter in space if parameter.role == "scientific"]
    given = section.values.get("of")
    if str(given) not in scientific:
        complaint = "is missing" if given is None else f"is {given}"
        remedy = f"name a scientific parameter of the space ({', '.join(scientific) or 'there is none'})"
        section.complain("of", complaint, remedy)
    return str(given)


def _label(section: ConfigSection, name: str, space: SearchSpace) -> str:
    """Return a value of the parameter, or of several crossed ones, as tables label it."""
    value = section.values.get(name)
    if value is None or isinstance(value, list | dict):
        section.complain(name, f"is {shown(value)}", "give one of the parameter's values")
        return ""
    scientific = [parameter for parameter in space if parameter.role == "scientific"]
    known = [(level,) for level in scientific[0].levels or ()] if len(scientific) == 1 else []
    label = label_of([value], among=known)
    levels = [label_of(level, among=known) for level in known]
    if len(scientific) == 1 and label not in levels:
        section.complain(name, f"is {shown(value)}", f"give one of {', '.join(levels)}")
    return label
