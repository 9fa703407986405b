"""What is known after a study: tables and measures computed from any Optuna study. Needs no torch.

from studies.analysis import get_param_interactions

for effect in get_param_interactions(optuna.load_study(study_name="mnist", storage="sqlite:///studies.db")):
    print(effect.name, effect.estimate, (effect.ci_lo, effect.ci_hi), effect.verdict, effect.reasons)
"""

from studies.analysis.effects import Effect, get_param_interactions

__all__ = ["Effect", "get_param_interactions"]
