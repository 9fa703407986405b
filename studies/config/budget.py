"""The length of a trial's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["epochs", "steps", "samples", "seconds"]


@dataclass(frozen=True, slots=True)
class Budget:
    """`amount` of `unit`, validated and reported at `rungs` equal fractions of it. Every epoch is a rung.

    `steps` are optimizer steps, or batches for a module that steps its optimizers itself. `samples` are training
    samples, counted to the end of the batch that reaches the amount. `seconds` are wall clock from the first batch,
    with validation.
    """

    unit: Unit
    amount: int | float
    rungs: int
