"""A module and its data that tell how many of their kind are still in memory."""

from __future__ import annotations

from typing import Any, ClassVar
from weakref import WeakSet

from user_data import Line
from user_modules import Plain


class Counted(Plain):
    """Counts, when it is made, the modules before it that still live. It is a cycle of references."""

    alive: ClassVar[WeakSet[Any]] = WeakSet()
    found: ClassVar[list[int]] = []

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.found.append(len(self.alive))
        self.alive.add(self)
        self.cycle = [self]


class CountedLine(Line):
    """The same, of data modules."""

    alive: ClassVar[WeakSet[Any]] = WeakSet()
    found: ClassVar[list[int]] = []

    def __init__(self, batch_size: int = 10) -> None:
        super().__init__(batch_size)
        self.found.append(len(self.alive))
        self.alive.add(self)
        self.cycle = [self]
