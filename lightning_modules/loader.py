"""Batches cut out of tensors that are already in memory.

Context: torch's DataLoader fetches one sample at a time and stacks them, which is most of an epoch's cost for a small
model. Choice: index a whole batch at once, in this process. Cost: the data must fit in memory, and no worker process
reads ahead.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_modules.checks import require

Batch = tuple[Tensor, Tensor]


class TensorLoader:
    """An iterable of (inputs, targets) batches; every pass over it is one epoch, and the short last batch is kept.

    inputs and targets have the samples along their first dimension, on any one device, where the batches stay. Shuffled
    epochs draw their order from torch's global CPU generator, so that the trial's seed decides it; unshuffled batches
    are views. Raises ValueError if batch_size is below 1, if the lengths differ, or if there are no samples.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, *, batch_size: int, shuffle: bool) -> None:
        require(batch_size >= 1, key="batch_size", value=batch_size, remedy="give 1 sample or more")
        lengths = (len(inputs), len(targets))
        require(lengths[0] == lengths[1], key="lengths", value=lengths, remedy="give one target for each input")
        require(lengths[0] >= 1, key="lengths", value=lengths, remedy="give at least one sample")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self._inputs = inputs
        self._targets = targets

    @property
    def n_samples(self) -> int:
        """The number of samples in one epoch."""
        return len(self._inputs)

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if not self.shuffle:
            yield from zip(
                torch.split(self._inputs, self.batch_size), torch.split(self._targets, self.batch_size), strict=True
            )
            return
        order = torch.randperm(self.n_samples).to(self._inputs.device)
        for chosen in torch.split(order, self.batch_size):
            yield self._inputs.index_select(0, chosen), self._targets.index_select(0, chosen)
