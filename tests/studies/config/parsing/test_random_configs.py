"""Whatever a config says, only our own errors come out of what `studies.check` does before it trains, and soon."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from random_configs import configs, scalars

from studies.cli.validation import validate_and_open
from studies.config.composing.configs import compose
from studies.errors import StudyError
from studies.launch.resolve_once import resolve_once
from studies.search.designs import typical_points
from studies.search.samplers import StudySampler
from studies.storage.creation import open_study
from studies.storage.identity import find_study
from studies.trial.building.instantiate import binding_problems  # noqa: F401 - loads torch, which would count for an example

SLOWEST_S = 5.0  # of the processor, for an example; what used to hang took minutes, or all memory
quickly = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@cache
def base() -> dict[str, Any]:
    composed = compose(["+study=digits", "storage.url=memory", "launcher=serial", "output_dir=out"])
    found = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def as_config(plain: dict[str, Any]) -> DictConfig | None:
    """The config of plain values; None where the command would not have composed it."""
    try:
        return OmegaConf.create(plain)
    except (OmegaConfBaseException, RecursionError):
        return None


def prepare(config: DictConfig) -> None:
    """Do all that comes before the first batch."""
    settings, storage = validate_and_open(config)
    open_study(settings, storage)
    find_study(settings, storage)
    StudySampler(settings)
    settings.space.corners(limit=40)
    typical_points(settings, 8)
    resolve_once(settings)


def check(config: DictConfig | None) -> None:
    began = time.process_time()
    told = ""
    try:
        prepare(config) if config is not None else None
    except StudyError as error:
        told = str(error)
    assert all(sign.isprintable() or sign == "\n" for sign in told)
    assert len(told) < 100_000
    assert time.process_time() - began < SLOWEST_S


@quickly
@given(st.data())
def test_a_random_config_is_refused_in_words_or_can_be_prepared(data: st.DataObject) -> None:
    check(as_config(data.draw(configs(base()))))


@quickly
@given(scalars)
def test_a_random_name_is_refused_in_words_or_names_a_study(name: Any) -> None:
    check(as_config({**base(), "study_name": name, "output_dir": "outputs/${study_name}"}))
