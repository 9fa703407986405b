"""What `studies.retrain` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOT_TESTED = "not tested: the module has no test_step with a test_dataloader beside it"


def plan_lines(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Yield the origin and budget of the training, and a difference from the study."""
    of_study = f" of study {chosen['study']}" if "study" in chosen else ""
    origin = f"trial {chosen['trial']}{of_study}" if "trial" in chosen else "the configuration"
    yield f"training {origin} for {chosen['budget']['amount']} {chosen['budget']['unit']}"
    if (each := chosen.get("devices_per_trial") or 1) > 1:
        yield f"note: the study trained on {each} devices at once. Here one device takes {each} batches a step instead"


def value_line(chosen: Mapping[str, Any], value: float) -> str:
    """Return the validation value, beside that of the search."""
    return f"{chosen['objective']['metric']} {value:.4f} at the last rung{_in_search(chosen)}"


def _in_search(chosen: Mapping[str, Any]) -> str:
    value, n_seeds = chosen.get("value"), chosen.get("n_seeds") or 1
    if "rung" in chosen and value is None:
        return " (in the search it gave no value)"
    if "rung" in chosen:
        return f" ({value:.4f} at rung {chosen['rung']}, the last of its trial)"
    if not isinstance(value, float):
        return ""
    if "selection" in chosen and n_seeds == 1:
        return f" ({value:.4f} in one training of the selection)"
    if "selection" in chosen:
        return f" ({value:.4f} expected, mean of {n_seeds} fresh seeds)"
    over = f", mean of {n_seeds} seeds" if n_seeds > 1 else ""
    return f" ({value:.4f} in the search{over})"
