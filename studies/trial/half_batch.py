"""Half the batch for a configuration that does not fit into memory, with twice as many batches a step.

A step then sees as many samples as before, so the point keeps its meaning. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from studies.config.space import SearchSpace


@dataclass(frozen=True, slots=True)
class HalfBatch:
    """The parts of a step: samples a batch (and device), and batches a step."""

    batch_size: int
    accumulate_grad_batches: int


def half_of(config: Mapping[str, Any], path: str) -> HalfBatch | None:
    """Return half of the batch at the key `path` of a resolved `config`. None where it is odd, or there is none."""
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    n_batches = int((config.get("trainer") or {}).get("accumulate_grad_batches") or 1)
    return None if not isinstance(node, int) or node % 2 else HalfBatch(node // 2, 2 * n_batches)


def write_half(config: DictConfig, space: SearchSpace, half: HalfBatch, *, path: str) -> None:
    """Write `half` at `path` into an unresolved `config`, so that references to the batch size follow it.

    Also writes it to the other paths of a parameter of `space` that sets the batch size.
    """
    together = [parameter.paths for parameter in space if path in parameter.paths]
    for key in {path, *(key for paths in together for key in paths)}:
        OmegaConf.update(config, key, half.batch_size, force_add=True)
    OmegaConf.update(config, "trainer.accumulate_grad_batches", half.accumulate_grad_batches, force_add=True)
