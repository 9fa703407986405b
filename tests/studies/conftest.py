from __future__ import annotations

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from selections import CHEAP, RACE, MakeSettings


@pytest.fixture
def storage() -> BaseStorage:
    """An empty one, gone after the test."""
    return InMemoryStorage()


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeSettings:
    """Settings of a cheap search of the digits, or another study, and a race after it."""
    return lambda *more, study="digits": make_settings(*CHEAP, *RACE, *more, study=study)
