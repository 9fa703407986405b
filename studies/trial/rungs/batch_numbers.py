"""Finds the numbers in a batch that may be its number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
import torch

from studies.trial.rungs.loader_sizes import length_of

DEPTH = 5  # levels of a batch to search
WIDTH = 12  # members of each level to search: enough for the fields of a batch
MISSES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
DECLARED, TENSOR, TEXTS, LENGTH = range(4)  # the most trusted first

Step = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class NumberPath:
    """The steps from a batch to a number that may be its number of samples. A lower `trust` is believed first."""

    trust: int
    steps: tuple[Step, ...]

    def count(self, batch: Any) -> int | None:
        """Return the number for `batch`, None where it has another structure."""
        try:
            for step in self.steps:
                batch = step(batch)
            return int(batch)
        except MISSES:
            return None


def agreed_number(batch: Any, *, is_batched: bool) -> int | None:
    """Return the number of samples that all tensors of a `batch` agree on, for a loader without a batch size.

    A single tensor may be one sample that is no batch, unless the loader `is_batched`.
    """
    ways = [way for way in number_paths(batch) if not (is_batched and way.steps[-1] is _one)]
    found = [(way.trust, way.count(batch)) for way in ways]
    declared = [number for trust, number in found if trust == DECLARED]
    if declared:
        return declared[0]
    for trust in (TENSOR, TEXTS):
        numbers = [number for known, number in found if known == trust]
        if numbers:
            is_sure = len(set(numbers)) == 1 and (is_batched or len(numbers) > 1)
            return numbers[0] if is_sure else None
    return None


def number_paths(batch: Any, steps: tuple[Step, ...] = ()) -> Iterator[NumberPath]:
    """Return the ways to all numbers that may be the samples', in the order of the batch's members."""
    if batch is None or isinstance(batch, str | bytes | int | float):
        return
    if isinstance(batch, torch.Tensor | np.ndarray):
        yield NumberPath(TENSOR, (*steps, _rows if batch.ndim else _one))
        return
    yield from (NumberPath(DECLARED, (*steps, step)) for step in DECLARATIONS if _is_number(step, batch))
    inside = _members(batch) if len(steps) < DEPTH else []
    for step, member in inside:
        yield from number_paths(member, (*steps, step))
    if isinstance(batch, list | tuple):
        is_flat = all(isinstance(member, str | bytes | int | float) for _, member in inside)
        yield NumberPath(TEXTS if is_flat else LENGTH, (*steps, len))
    elif not isinstance(batch, Mapping) and length_of(batch) is not None:
        yield NumberPath(LENGTH, (*steps, len))


def _members(batch: Any) -> list[tuple[Step, Any]]:
    """Return the members of a container with the steps to them."""
    if isinstance(batch, Mapping):
        return [(itemgetter(key), batch[key]) for key in list(batch)[:WIDTH]]
    if isinstance(batch, list | tuple):
        return [(itemgetter(i), member) for i, member in enumerate(batch[:WIDTH])]
    names = [field.name for field in fields(batch)] if is_dataclass(batch) else list(getattr(batch, "__dict__", ()))
    return [(attrgetter(name), getattr(batch, name)) for name in names[:WIDTH] if hasattr(batch, name)]


def _is_number(step: Step, batch: Any) -> bool:
    try:
        number = step(batch)
    except MISSES:
        return False
    return isinstance(number, int) and not isinstance(number, bool)


def _rows(tensor: Any) -> int:
    return int(tensor.shape[0])


def _one(_tensor: Any) -> int:
    return 1


def _batch_size(batch: Any) -> Any:
    """Return the declared size: a number, or the first dimension of several."""
    size = batch.batch_size
    return size[0] if isinstance(size, tuple) else size


def _n_sequences(batch: Any) -> int:
    return int(batch.batch_sizes[0])  # of packed sequences


DECLARATIONS: tuple[Step, ...] = (attrgetter("num_graphs"), _batch_size, _n_sequences)
