"""Old names of config keys and options with the present ones, for the error about an old name."""

from __future__ import annotations

import re
from collections.abc import Iterator

OPTIONS = {  # (group, old option) → present option
    ("model", "search"): "sampler_benchmark",
    ("search_space", "search_race"): "sampler_benchmark",
    ("study", "search_race"): "sampler_benchmark",
    ("study", "search_race_full"): "sampler_benchmark_full",
}
WORDS = (  # of keys, targets and interpolations
    (re.compile(r"(?<![\w.])belief(?=[.\s'\"}=]|$)"), "hypothesis"),
    (re.compile(r"\bstudies\.race\b"), "studies.sampler_benchmark"),
)


def key_now(key: str) -> str | None:
    """Return the present name of a dotted `key` or `_target_`, or None if it was never renamed."""
    name = key
    for pattern, word in WORDS:
        name = pattern.sub(word, name)
    return name if name != key else None


def option_now(group: str, option: str) -> str | None:
    """Return the present name of an `option` of a config group, or None if it was never renamed."""
    if group == "study" and option.startswith("beliefs/"):
        return f"hypotheses/{option.removeprefix('beliefs/')}"
    return OPTIONS.get((group, option))


def present_names(text: str) -> str:
    """Return the present names of old ones in an error's `text`, as the end of a remedy. Empty without old names."""
    found = "; ".join(f"{old} is called {new} now" for old, new in _renamed(text))
    return f": {found}" if found else ""


def _renamed(text: str) -> Iterator[tuple[str, str]]:
    for group, option in re.findall(r"\b(\w+)/([\w/]+)", text):
        new = option_now(group, option)
        if new is not None:
            yield f"{group}/{option}", f"{group}/{new}"
    for word in re.findall(r"[\w.]+", text):
        new = key_now(word)
        if new is not None:
            yield word, new
