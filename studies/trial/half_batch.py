"""Half the batch, for a configuration that does not fit into memory: twice as many batches make a step instead.

A step then sees as many samples as before, so that the point keeps its meaning. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.settings import StudySettings


@dataclass(frozen=True, slots=True)
class HalfBatch:
    """What a step consists of: samples a batch (and device), and batches a step."""

    batch_size: int
    accumulate_grad_batches: int


def half_of(config: Mapping[str, Any], path: str) -> HalfBatch | None:
    """The halves of the batch that lies at the key `path` of a resolved `config`; None where it is odd, or none."""
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    n_batches = int((config.get("trainer") or {}).get("accumulate_grad_batches") or 1)
    return None if not isinstance(node, int) or node % 2 else HalfBatch(node // 2, 2 * n_batches)


def write_half(config: DictConfig, settings: StudySettings, half: HalfBatch) -> None:
    """Put `half` into an unresolved `config`, so that keys that follow the batch size go on to follow it; those that a
    parameter sets together with it too."""
    path = settings.out_of_memory.batch_size
    together = [parameter.paths for parameter in settings.space if path in parameter.paths]
    for key in {path, *(key for paths in together for key in paths)}:
        OmegaConf.update(config, key, half.batch_size, force_add=True)
    OmegaConf.update(config, "trainer.accumulate_grad_batches", half.accumulate_grad_batches, force_add=True)
