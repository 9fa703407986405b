"""Batches cut out of tensors in memory.

Context: torch's DataLoader fetches single samples and stacks them. For a small model this is most of an epoch's cost.
Choice: index a whole batch at once, in this process. Cost: the data must fit in memory, and no worker process reads
ahead.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lightning_modules.checks import require

Batch = tuple[Tensor, Tensor]


class TensorLoader:
    """An iterable of (inputs, targets) batches. Every pass is one epoch, and the short last batch is kept.

    inputs and targets have the samples along their first dimension, on any one device, and the batches stay there.
    Shuffled epochs draw their order from torch's global CPU generator, so the trial's seed decides it. Unshuffled
    batches are views. Another loader of the same data can resume an epoch from `state_dict`. Raises ValueError if
    batch_size is below 1, if the lengths differ, or if there are no samples.
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
        self._generator_state: Tensor | None = None  # from before the draw of the current epoch's order
        self._n_taken = 0
        self._resumed_from: dict[str, Any] | None = None

    @property
    def n_samples(self) -> int:
        """The number of samples in one epoch."""
        return len(self._inputs)

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the current epoch: the number of batches taken, and the generator's state."""
        return {"generator_state": self._generator_state, "n_taken": self._n_taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next pass be the rest of that epoch, or a new epoch if nothing is left."""
        self._resumed_from = state_dict if 0 < state_dict["n_taken"] < len(self) else None

    def __iter__(self) -> Iterator[Batch]:
        resumed, self._resumed_from = self._resumed_from, None
        self._n_taken = 0 if resumed is None else resumed["n_taken"]
        return self._shuffled(resumed) if self.shuffle else self._in_order()

    def _in_order(self) -> Iterator[Batch]:
        start = self._n_taken * self.batch_size
        inputs, targets = self._inputs[start:], self._targets[start:]
        for batch in zip(torch.split(inputs, self.batch_size), torch.split(targets, self.batch_size), strict=True):
            self._n_taken += 1
            yield batch

    def _shuffled(self, resumed: dict[str, Any] | None) -> Iterator[Batch]:
        """Draw the order with the first batch. A resumed epoch draws the same order from the saved state."""
        generator = torch.default_generator if resumed is None else torch.Generator()
        if resumed is not None:
            generator.set_state(resumed["generator_state"])
        self._generator_state = generator.get_state()
        order = torch.randperm(self.n_samples, generator=generator).to(self._inputs.device)
        for chosen in torch.split(order, self.batch_size)[self._n_taken :]:
            self._n_taken += 1
            yield self._inputs.index_select(0, chosen), self._targets.index_select(0, chosen)
