"""The config of one point of the search space, and the training that it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import TRAINING_SEED, StudySettings
from studies.config.space import Point
from studies.trial.building.links import Linked
from studies.trial.half_batch import HalfBatch, write_half
from studies.trial.job import Job


def resolve(
    settings: StudySettings, point: Point, *, half: HalfBatch | None = None, seed: int | None = None
) -> dict[str, Any]:
    """Return the config of one point as plain values. With `half`, it is at half its batch.

    `${training_seed}` in it is `seed`, the training seed of the trial; without one, the study's seed.
    """
    return _plain(_written(settings, point, half=half, seed=seed), resolves=True)


def training_job(
    settings: StudySettings, point: Point, *, folder: Path, half: HalfBatch | None = None, seed: int | None = None
) -> Job:
    """Return the training of one point, whose files lie below `folder`. See `resolve` for `half` and `seed`."""
    config = _written(settings, point, half=half, seed=seed)
    return Job(
        _plain(config, resolves=True),
        metric=settings.objective.metric,
        second=settings.objective.logged_second,
        budget=settings.budget,
        seed=settings.seed if seed is None else seed,
        folder=folder,
        linked=Linked(settings.links, _plain(config, resolves=False)) if settings.links else None,
    )


def _written(settings: StudySettings, point: Point, *, half: HalfBatch | None, seed: int | None) -> DictConfig:
    config = settings.space.apply(settings.template, point)
    if half is not None:
        write_half(config, settings.space, half, path=settings.out_of_memory.batch_size)
    if seed is not None:
        config[TRAINING_SEED] = seed
    return config


def _plain(config: DictConfig, *, resolves: bool) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=resolves, throw_on_missing=resolves)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
