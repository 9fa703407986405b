"""A study that somebody deletes while it runs. Optuna then raises KeyError for the study and its trials.

Context: somebody may begin another study of that name at once, and SQLite then gives it the old number. Choice: a study
is identified by its number and by the process that has described it.
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
    """Raise `StudyError` for any failure that comes from the deletion of the study while the block runs."""
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
    except Exception:  # noqa: BLE001 - the storage itself fails, as the first error says
        return None
    if now is None:
        return DELETED
    return REPLACED if now != begun and isinstance(error, KeyError) else None


def _found(storage: BaseStorage, study_name: str) -> tuple[int, Any] | None:
    """Return the study's number and creator. None if there is no such study."""
    try:
        study_id = storage.get_study_id_from_name(study_name)
        return study_id, storage.get_study_user_attrs(study_id).get(schema.STUDY_CREATOR)
    except KeyError:
        return None
