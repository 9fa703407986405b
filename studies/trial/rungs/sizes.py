"""The sizes of loaders, and the numbers of samples in their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

DEPTH = 5  # levels of a batch to search
WIDTH = 12  # members of each level to search: enough for the fields of a batch
MISSES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
DECLARED, TENSOR, TEXTS, LENGTH = range(4)  # the most trusted first

Step = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The samples of a whole batch, those of the last batch, and the batches of an epoch, as far as a loader tells.

    `is_drawn`: the loader draws that many samples, although a collate function may change them. `is_batched`: it makes
    batches out of samples.
    """

    whole: int | None = None
    last: int | None = None
    n_batches: int | None = None
    is_drawn: bool = False
    is_batched: bool = False


def sizes_of(loader: Any) -> Sizes:
    """Return the sizes that `loader` tells."""
    if not isinstance(loader, DataLoader):
        return _sizes_of_other(loader)
    if loader.batch_sampler is None:  # its data set makes the batches
        return Sizes()
    whole = getattr(loader.batch_sampler, "batch_size", None) if loader.batch_size is None else loader.batch_size
    if not isinstance(whole, int):
        return Sizes(is_batched=True)
    is_plain = type(loader.batch_sampler) is BatchSampler and not isinstance(loader.dataset, IterableDataset)
    sampler: Any = loader.batch_sampler
    n_samples = length_of(sampler.sampler) if is_plain else None
    if not n_samples:
        return Sizes(whole, is_batched=True)
    last = whole if loader.drop_last else n_samples - whole * ((n_samples - 1) // whole)
    return Sizes(whole, last, length_of(loader), is_drawn=True, is_batched=True)


def length_of(sized: Any) -> int | None:
    """Return the length of `sized`, None where it has none.

    A DataLoader over a stream raises only when asked, and Lightning's `CombinedLoader` before it is iterated.
    """
    try:
        return len(sized)
    except (NotImplementedError, RuntimeError, TypeError):
        return None


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


def _sizes_of_other(loader: Any) -> Sizes:
    """Return the sizes of a loader of another kind, from its `batch_size` and its `n_samples` if it has them."""
    whole, n_samples = getattr(loader, "batch_size", None), getattr(loader, "n_samples", None)
    n_batches = length_of(loader)
    if not isinstance(whole, int) or whole < 1:
        return Sizes()
    last = n_samples - whole * (n_batches - 1) if isinstance(n_samples, int) and n_batches is not None else 0
    if not 0 < last <= whole:
        return Sizes(whole, is_batched=True)
    return Sizes(whole, last, n_batches, is_drawn=True, is_batched=True)


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
