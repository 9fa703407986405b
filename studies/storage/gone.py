"""A study that somebody deletes while it runs. Optuna then knows neither the study nor its trials: a KeyError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from optuna.storages import BaseStorage

from studies.errors import StudyError


@contextlib.contextmanager
def deletion_told(storage: BaseStorage, study_name: str) -> Iterator[None]:
    """Raise `StudyError` for whatever fails because the study, which was there before, is no longer in `storage`."""
    try:
        yield
    except StudyError:
        raise
    except Exception:
        if not _is_gone(storage, study_name):
            raise
        raise StudyError(
            f"study {study_name} is no longer in the storage: somebody deleted it while it ran. "
            "The same command begins it anew"
        ) from None


def _is_gone(storage: BaseStorage, study_name: str) -> bool:
    try:
        storage.get_study_id_from_name(study_name)
    except KeyError:
        return True
    except Exception:  # noqa: BLE001 - then the storage fails, and the first error says so
        return False
    return False
