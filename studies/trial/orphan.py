"""A trial whose study was deleted: Optuna then knows neither the study nor its trials."""

from __future__ import annotations

from optuna.trial import BaseTrial, Trial


def is_orphan(trial: BaseTrial) -> bool:
    """Return whether the study of `trial` is gone from its storage, so that every report would raise a KeyError."""
    if not isinstance(trial, Trial):
        return False
    try:
        trial.study.user_attrs  # noqa: B018 - read for its failure
    except KeyError:
        return True
    except Exception:  # noqa: BLE001 - then the storage fails, and the first error says so
        return False
    return False
