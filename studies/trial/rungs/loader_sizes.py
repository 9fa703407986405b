"""The length of a loader and the sizes of its batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, IterableDataset


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


def _sizes_of_other(loader: Any) -> Sizes:
    """Return the sizes of a loader of another kind, from its `batch_size` and its `n_samples` if it has them."""
    whole, n_samples, n_batches = (
        getattr(loader, "batch_size", None),
        getattr(loader, "n_samples", None),
        length_of(loader),
    )
    if not isinstance(whole, int) or whole < 1:
        return Sizes()
    last = n_samples - whole * (n_batches - 1) if isinstance(n_samples, int) and n_batches is not None else 0
    if not 0 < last <= whole:
        return Sizes(whole, is_batched=True)
    return Sizes(whole, last, n_batches, is_drawn=True, is_batched=True)
