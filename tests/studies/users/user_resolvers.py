"""A module that registers a resolver of its config when it is imported."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf
from user_modules import Plain

OmegaConf.register_new_resolver("halved", lambda a: float(a) / 2, replace=True)


class Halved(Plain):
    """Refuses a `half` that is not that of its learning rate."""

    def __init__(self, half: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        if half != self.lr / 2:
            raise ValueError(f"{half} is not half of {self.lr}")
