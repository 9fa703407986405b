from __future__ import annotations

import composing
import pytest
from composing import composed
from hydra.errors import HydraException
from omegaconf import OmegaConf
from shell import USERS

from studies.config.composing.configs import compose

WRITTEN = [
    ("n_trials=7", "budget.amount=2"),
    ("model.network.width=[8,8]", "search_space.lr.low=1e-4", "search_space.lr={high: 1.0}"),
    ("+vars.rate=0.1", "+pruner.n_min_trials=2", "+trainer.limit_train_batches=2", "model.network.width=${vars.rate}"),
    ("sampler.n_startup_trials=3", 'study_name="a=b"', "seed=null", "datamodule.data_dir=${output_dir}"),
]
COMPOSED = [
    ("sampler=random", "n_trials=7"),
    ("+trainer.limit_train_batches=2", "~search_space.lr"),
    ("objective.metric=val/loss", "objective.direction=minimize"),
    ("select=none", "output_dir='~/out'"),
]


@pytest.mark.parametrize("overrides", WRITTEN + COMPOSED)
def test_a_written_value_is_what_a_composed_one_would_be(overrides: tuple[str, ...]) -> None:
    found = composed("+study=digits", *overrides)
    whole = compose(("+study=digits", *overrides), config_dirs=[str(USERS / "conf")])
    assert OmegaConf.to_container(found) == OmegaConf.to_container(whole)


@pytest.mark.parametrize("overrides", WRITTEN)
def test_plain_values_are_composed_no_more_than_once(
    monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    composed("+study=digits")
    monkeypatch.setattr(composing, "compose", None)
    composed("+study=digits", *overrides)


@pytest.mark.parametrize(
    "override", ["n_trails=3", "model.widht=3", "n_trials=3,4", "n_trials={", "+n_trials=3", "n_trials=[1"]
)
def test_what_hydra_refuses_is_refused_in_its_words(override: str) -> None:
    with pytest.raises(HydraException) as found:
        composed("+study=digits", override)
    with pytest.raises(HydraException) as told:
        compose(("+study=digits", override))
    assert str(found.value) == str(told.value)


def test_a_config_is_the_tests_own() -> None:
    composed("+study=digits").n_trials = 1
    assert composed("+study=digits").n_trials != 1
