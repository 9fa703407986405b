"""How long one trial trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["epochs", "steps", "samples", "seconds"]


@dataclass(frozen=True, slots=True)
class Budget:
    """`amount` of `unit`, validated and reported at `rungs` equal fractions of it; for epochs, each one is a rung.

    `steps` are optimizer steps (batches, for a module that steps its optimizers itself). `samples` are training
    samples, counted to the end of the batch that reaches the amount. `seconds` are wall clock from the first batch,
    validation included.
    """

    unit: Unit
    amount: int | float
    rungs: int
