"""The overrides of a command are read as they were written."""

from __future__ import annotations

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from studies.config.composing.configs import given_overrides, search_path


def test_a_reference_among_the_overrides_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = {"task": ["model.lr=${nope}", "seed=1"], "hydra": ["hydra.searchpath=[x]", "hydra.run.dir=${a}"]}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": {"overrides": overrides}}))
    assert given_overrides() == ["model.lr=${nope}", "seed=1"]
    assert search_path() == ["hydra.searchpath=[x]"]
