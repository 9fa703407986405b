"""A study that somebody deletes while it runs. Optuna then knows neither the study nor its trials: a KeyError.

Context: somebody may begin a study of that name anew at once, and SQLite then gives it the number of the old one.
Choice: a study is told apart by its number and by the process that has described it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from optuna.storages import BaseStorage

from studies import schema
from studies.errors import StudyError

DELETED = "is no longer in the storage: somebody deleted it while it ran. The same command begins it anew"
REPLACED = "was deleted and begun anew while it ran. The same command goes on with the new one"


@contextlib.contextmanager
def deletion_told(storage: BaseStorage, study_name: str) -> Iterator[None]:
    """Raise `StudyError` for whatever fails because the study, which was there before, is no longer in `storage`."""
    begun = _found(storage, study_name)
    try:
        yield
    except StudyError:
        raise
    except Exception as error:
        told = _change(storage, study_name, begun, error)
        if told is None:
            raise
        raise StudyError(f"study {study_name} {told}") from None


def _change(storage: BaseStorage, study_name: str, begun: tuple[int, Any] | None, error: Exception) -> str | None:
    try:
        now = _found(storage, study_name)
    except Exception:  # noqa: BLE001 - then the storage fails, and the first error says so
        return None
    if now is None:
        return DELETED
    return REPLACED if now != begun and isinstance(error, KeyError) else None


def _found(storage: BaseStorage, study_name: str) -> tuple[int, Any] | None:
    """Return what tells a study from another one of its name; None where there is none."""
    try:
        study_id = storage.get_study_id_from_name(study_name)
        return study_id, storage.get_study_user_attrs(study_id).get(schema.STUDY_CREATOR)
    except KeyError:
        return None
