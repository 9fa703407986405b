"""Counts the samples of batches.

Context: a batch may be a tensor, a mapping, a dataclass, a list of texts or a graph, and none of them tells its number
of samples. A first dimension may as well be the channels of an image. Choice: collect every candidate number, and take
one that the loader's batch size confirms. The first tensor's first dimension is tried first, as Lightning does. Cost:
without a batch size of the loader, a number counts only if all tensors agree on it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from studies.errors import Problem
from studies.trial.ranks.agreement import TrialRanks
from studies.trial.rungs.sizes import MISSES, NumberPath, Step, agreed_number, number_paths, sizes_of

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

log = logging.getLogger(__name__)
COMPARED = 16  # batches until one way to count is taken as right


class SamplesUnknown(Exception):
    """A budget counts samples, and the batches do not tell their number."""

    def __init__(self, kind: str) -> None:
        complaint = f"is samples, and a training batch ({kind}) does not tell how many samples it holds"
        remedy = "give a DataLoader with a batch_size, or count the budget in steps or epochs"
        super().__init__(f"budget.unit {complaint}: {remedy}")
        self.kind = kind
        self.problem = Problem("budget.unit", complaint, remedy)

    def __reduce__(self) -> tuple[type[SamplesUnknown], tuple[str]]:
        return type(self), (self.kind,)


class SamplesSeen:
    """The samples that all `ranks` of a training have seen: `total`, as of the last `share`, None if unknown.

    With `is_needed` a batch of unknown size raises `SamplesUnknown`. Without it, a warning says so once.
    """

    def __init__(self, ranks: TrialRanks, *, is_needed: bool) -> None:
        self.total: int | None = 0
        self._ranks = ranks
        self._is_needed = is_needed
        self._batches = BatchCount()
        self._own = 0  # this rank's samples since the last share
        self._is_unknown = False

    def add(self, trainer: Trainer, batch: Any, index: int) -> None:
        """Count `batch`, the one at `index` of its epoch."""
        if self._is_unknown:
            return
        samples = self._batches.of(trainer, batch, index)
        if samples is not None:
            self._own += samples
            return
        if self._is_needed:
            raise SamplesUnknown(type(batch).__name__)
        self._is_unknown = True
        if self._ranks.rank == 0:
            kind = type(batch).__name__
            log.warning("samples_seen stays empty: a training batch (%s) does not tell its size", kind)

    def share(self) -> int | None:
        """Return the total with the additions of each rank. All ranks have to call it at once."""
        own, self._own = self._own, 0
        shared = self._ranks.share("samples", own, self._is_unknown)
        if self.total is None or any(is_unknown for _, is_unknown in shared):
            self.total = None
        else:
            self.total += sum(int(samples) for samples, _ in shared)
        return self.total


class SampleCount:
    """Counts the samples of the batches of one loader."""

    def __init__(self, loader: Any) -> None:
        self._sizes = sizes_of(loader)
        self._ways: list[NumberPath] = []
        self._n_compared = 0

    def of(self, batch: Any, index: int, *, is_last: bool = False) -> int | None:
        """Return the samples of `batch`, the one at `index` of its epoch, None if no number is reliable.

        `is_last`: no batch follows, as far as the loader has told by now.
        """
        if batch is None:
            return 0
        if self._sizes.whole is None:
            return agreed_number(batch, is_batched=self._sizes.is_batched)
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
        """Count, and drop the ways that go wrong: no dimension is believed by chance."""
        self._n_compared += 1
        expected = self._expected(index)
        right = [way for way in self._ways if way.count(batch) == expected]
        if right:
            self._ways = right
            return expected
        return self._search(batch, index)

    def _search(self, batch: Any, index: int) -> int | None:
        expected = self._expected(index)
        found = sorted(number_paths(batch), key=lambda way: way.trust)
        right = [way for way in found if way.count(batch) == expected]
        if right:
            self._ways = right
            return expected
        known = self._smallest(batch)
        if known is not None:  # it lost samples where it was put together, or a process of the loader is at its end
            return known
        return expected if self._sizes.is_drawn else None

    def _last(self, batch: Any, index: int) -> int | None:
        """Count the last batch of a stream, which may be short. Of two numbers, the one that shrinks is right."""
        return self._smallest(batch) if self._ways else self._search(batch, index)

    def _smallest(self, batch: Any) -> int | None:
        numbers = [number for way in self._ways if (number := way.count(batch)) is not None]
        fitting = [number for number in numbers if number <= (self._sizes.whole or 0)]
        return min(fitting, default=None)


class BatchCount:
    """Counts the samples of a training's batches, on the present loaders of its Trainer."""

    def __init__(self) -> None:
        self._loaders: Any = None
        self._steps: tuple[Step, ...] = ()
        self._count = SampleCount(None)

    def of(self, trainer: Trainer, batch: Any, index: int) -> int | None:
        """Return the samples of `batch`, the one at `index` of its epoch, None if no number is reliable."""
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
