from __future__ import annotations

from pathlib import Path

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from selections import CHEAP, RACE, MakeSettings
from shell import USERS


@pytest.fixture
def storage() -> BaseStorage:
    """An empty one, gone after the test."""
    return InMemoryStorage()


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeSettings:
    """Settings of a cheap search of the digits, or another study, and a race after it."""
    return lambda *more, study="digits": make_settings(*CHEAP, *RACE, *more, study=study)


@pytest.fixture
def plain(make_settings: MakeSettings) -> MakeSettings:
    """Settings of a study of a module without a data module."""
    return lambda *overrides: make_settings("launcher=serial", *overrides, study="plain")


@pytest.fixture
def user_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of users can be imported."""
    monkeypatch.syspath_prepend(str(USERS))


@pytest.fixture
def beside_data(user_modules: None, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    """The same, in the folder of the prepared data."""
    monkeypatch.chdir(data_dir)
