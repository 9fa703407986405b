"""What is known after a study: tables and measures computed from any Optuna study. Needs no torch.

from studies.analysis import get_param_interactions

for effect in get_param_interactions(optuna.load_study(study_name="mnist", storage="sqlite:///studies.db")):
    print(effect.name, effect.estimate.value, effect.estimate.ends, effect.verdict, effect.reasons)

The two names are loaded when they are asked for: scikit-learn, behind them, takes seconds that most commands can spare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.analysis.effects import Effect, get_param_interactions

__all__ = ["Effect", "get_param_interactions"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from studies.analysis import effects

    return getattr(effects, name)
