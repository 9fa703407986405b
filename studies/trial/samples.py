"""How many samples a batch holds.

Context: a batch may be a tensor, a mapping, a dataclass, a list of texts or a graph, and none of them says how many
samples it holds. A first dimension may as well be the channels of an image. Choice: collect every number that could be
it, and take one that the loader's batch size confirms. The first tensor's first dimension is asked first, as Lightning
does. Cost: a loader that tells no batch size is believed only where all tensors of a batch agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from studies.errors import Problem

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

DEPTH = 5  # levels of a batch that are searched
WIDTH = 12  # members of each level that are searched: enough for the fields of a batch
COMPARED = 16  # batches after which one way to count is left
MISSES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
DECLARED, TENSOR, TEXTS, LENGTH = range(4)  # how far a number is believed, the most first

Step = Callable[[Any], Any]


class SamplesUnknown(Exception):
    """A budget counts samples, and the batches do not tell how many they hold."""

    def __init__(self, kind: str) -> None:
        complaint = f"is samples, and a training batch ({kind}) does not tell how many samples it holds"
        remedy = "give a DataLoader with a batch_size, or count the budget in steps or epochs"
        super().__init__(f"budget.unit {complaint}: {remedy}")
        self.kind = kind
        self.problem = Problem("budget.unit", complaint, remedy)

    def __reduce__(self) -> tuple[type[SamplesUnknown], tuple[str]]:
        return type(self), (self.kind,)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to read the number of samples off a batch: steps from the batch to the number."""

    trust: int
    steps: tuple[Step, ...]

    def count(self, batch: Any) -> int | None:
        """Return the number for `batch`; None where it is built in another way."""
        try:
            for step in self.steps:
                batch = step(batch)
            return int(batch)
        except MISSES:
            return None


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a loader tells: the samples of a whole batch, those of the last one, and the batches of an epoch.

    `is_drawn`: the loader draws that many from its data set, whatever becomes of them in a batch. `is_batched`: it
    makes batches out of samples.
    """

    whole: int | None = None
    last: int | None = None
    n_batches: int | None = None
    is_drawn: bool = False
    is_batched: bool = False


class SampleCount:
    """Counts the samples of the batches of one loader."""

    def __init__(self, loader: Any) -> None:
        self._sizes = sizes_of(loader)
        self._ways: list[Way] = []
        self._n_compared = 0

    def of(self, batch: Any, index: int, *, is_last: bool = False) -> int | None:
        """Return the samples of `batch`, the one at `index` of its epoch; None where no number is sound.

        `is_last`: no batch follows, as far as the loader has told by now.
        """
        if batch is None:
            return 0
        if self._sizes.whole is None:
            return _agreed(batch, is_batched=self._sizes.is_batched)
        if is_last and not self._sizes.is_drawn:
            return self._last(batch, index)
        return self._known(batch, index) if self._n_compared >= COMPARED else self._compare(batch, index)

    def _expected(self, index: int) -> int | None:
        at_last = self._sizes.is_drawn and index + 1 == self._sizes.n_batches
        return self._sizes.last if at_last else self._sizes.whole

    def _known(self, batch: Any, index: int) -> int | None:
        found = self._ways[0].count(batch) if self._ways else None
        return found if found == self._expected(index) else self._search(batch, index)

    def _compare(self, batch: Any, index: int) -> int | None:
        """Count, and drop the ways that go wrong, so that a dimension that only happens to fit is not believed."""
        self._n_compared += 1
        expected = self._expected(index)
        right = [way for way in self._ways if way.count(batch) == expected]
        if right:
            self._ways = right
            return expected
        return self._search(batch, index)

    def _search(self, batch: Any, index: int) -> int | None:
        expected = self._expected(index)
        found = sorted(_ways_in(batch), key=lambda way: way.trust)
        right = [way for way in found if way.count(batch) == expected]
        if right:
            self._ways = right
            return expected
        known = self._smallest(batch)
        if known is not None:  # it lost samples where it was put together, or a process of the loader is at its end
            return known
        return expected if self._sizes.is_drawn else None

    def _last(self, batch: Any, index: int) -> int | None:
        """Count the last batch of a stream, which may be short: of two numbers, the one that shrinks is right."""
        return self._smallest(batch) if self._ways else self._search(batch, index)

    def _smallest(self, batch: Any) -> int | None:
        numbers = [number for way in self._ways if (number := way.count(batch)) is not None]
        fitting = [number for number in numbers if number <= (self._sizes.whole or 0)]
        return min(fitting, default=None)


class BatchCount:
    """Counts the samples of the batches of a training, on whatever loaders its Trainer has by then."""

    def __init__(self) -> None:
        self._loaders: Any = None
        self._steps: tuple[Step, ...] = ()
        self._count = SampleCount(None)

    def of(self, trainer: Trainer, batch: Any, index: int) -> int | None:
        """Return the samples of `batch`, the one at `index` of its epoch; None where no number is sound."""
        loaders = trainer.train_dataloader
        if loaders is not self._loaders:
            self._loaders = loaders
            self._steps, self._count = counter_of(loaders)
        try:
            for step in self._steps:
                batch = step(batch)
        except MISSES:  # the module's own hooks gave it another form
            return None
        return self._count.of(batch, index, is_last=trainer.is_last_batch)


def counter_of(loaders: Any) -> tuple[tuple[Step, ...], SampleCount]:
    """Return the way to the counted part of a training batch, and its counter.

    Of several loaders that are combined, the first one is counted.
    """
    steps: list[Step] = []
    while isinstance(loaders, Mapping | list | tuple) and len(loaders) > 0:
        key = next(iter(loaders)) if isinstance(loaders, Mapping) else 0
        steps.append(itemgetter(key))
        loaders = loaders[key]
    return tuple(steps), SampleCount(loaders)


def sizes_of(loader: Any) -> Sizes:
    """Return what `loader` tells of its batches' sizes."""
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
    """Return the length of `sized`; None where it has none. A DataLoader over a stream raises only when asked."""
    try:
        return len(sized)
    except (NotImplementedError, TypeError):
        return None


def _sizes_of_other(loader: Any) -> Sizes:
    """Return the sizes of a loader of another kind that names its `batch_size`, and its `n_samples` where it does."""
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


def _agreed(batch: Any, *, is_batched: bool) -> int | None:
    """Return the number that all tensors of a `batch` share, where no loader tells one.

    A single tensor may be one sample that is no batch, unless the loader `is_batched`.
    """
    ways = [way for way in _ways_in(batch) if not (is_batched and way.steps[-1] is _one)]
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


def _ways_in(batch: Any, steps: tuple[Step, ...] = ()) -> Iterator[Way]:
    """Return every way to a number that could be that of the samples, in the order of the batch's members."""
    if batch is None or isinstance(batch, str | bytes | int | float):
        return
    if isinstance(batch, torch.Tensor | np.ndarray):
        yield Way(TENSOR, (*steps, _rows if batch.ndim else _one))
        return
    yield from (Way(DECLARED, (*steps, step)) for step in DECLARATIONS if _is_number(step, batch))
    inside = _members(batch) if len(steps) < DEPTH else []
    for step, member in inside:
        yield from _ways_in(member, (*steps, step))
    if isinstance(batch, list | tuple):
        is_flat = all(isinstance(member, str | bytes | int | float) for _, member in inside)
        yield Way(TEXTS if is_flat else LENGTH, (*steps, len))
    elif not isinstance(batch, Mapping) and length_of(batch) is not None:
        yield Way(LENGTH, (*steps, len))


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
