from __future__ import annotations

from pathlib import Path

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from packages import copy_on_lightning
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


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the public modules on the other Lightning package."""
    folder = tmp_path_factory.mktemp("copies")
    copy_on_lightning(folder)
    return folder


@pytest.fixture
def public_modules(copies: Path, user_modules: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public modules of both packages can be imported, in an empty folder."""
    monkeypatch.syspath_prepend(str(copies))
    monkeypatch.chdir(tmp_path)
