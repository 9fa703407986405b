"""The config of one point of the search space."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import TRAINING_SEED, StudySettings
from studies.config.space import Point
from studies.trial.half_batch import HalfBatch, write_half
from studies.trial.links import Linked


def resolve(
    settings: StudySettings, point: Point, *, half: HalfBatch | None = None, seed: int | None = None
) -> dict[str, Any]:
    """Return the config of one point as plain values; with `half`, at half its batch.

    `${training_seed}` in it is `seed`, the training seed of the trial; without one, the study's seed.
    """
    return _plain(_written(settings, point, half=half, seed=seed), resolves=True)


def linked(
    settings: StudySettings, point: Point, *, half: HalfBatch | None = None, seed: int | None = None
) -> Linked | None:
    """Return what the links of the study need to complete the config that `resolve` gives; None without links."""
    if not settings.links:
        return None
    return Linked(settings.links, _plain(_written(settings, point, half=half, seed=seed), resolves=False))


def _written(settings: StudySettings, point: Point, *, half: HalfBatch | None, seed: int | None) -> DictConfig:
    config = settings.space.apply(settings.template, point)
    if half is not None:
        write_half(config, settings, half)
    if seed is not None:
        config[TRAINING_SEED] = seed
    return config


def _plain(config: DictConfig, *, resolves: bool) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=resolves, throw_on_missing=resolves)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
