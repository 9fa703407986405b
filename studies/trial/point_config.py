"""A point of the search space, and the config and the training that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import TRAINING_SEED, StudySettings
from studies.config.space import Point
from studies.trial.building.links import Linked
from studies.trial.half_batch import HalfBatch, write_half
from studies.trial.job import Job


@dataclass(frozen=True, slots=True)
class PointConfig:
    """One point of a study, written into its config."""

    settings: StudySettings
    point: Point
    seed: int | None = None  # the value of `${training_seed}`; None: the study's seed

    def resolved(self, half: HalfBatch | None = None) -> dict[str, Any]:
        """Return the config as plain values. With `half`, it is at half its batch."""
        return _plain(self._written(half), resolves=True)

    def job(self, folder: Path, half: HalfBatch | None = None) -> Job:
        """Return the training of the point, whose files lie below `folder`."""
        config, settings = self._written(half), self.settings
        return Job(
            _plain(config, resolves=True),
            metric=settings.objective.metric,
            second=settings.objective.logged_second,
            budget=settings.budget,
            seed=settings.seed if self.seed is None else self.seed,
            folder=folder,
            linked=Linked(settings.links, _plain(config, resolves=False)) if settings.links else None,
        )

    def _written(self, half: HalfBatch | None) -> DictConfig:
        settings = self.settings
        config = settings.space.apply(settings.template, self.point)
        if half is not None:
            write_half(config, settings.space, half, path=settings.out_of_memory.batch_size)
        if self.seed is not None:
            config[TRAINING_SEED] = self.seed
        return config


def _plain(config: DictConfig, *, resolves: bool) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=resolves, throw_on_missing=resolves)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
