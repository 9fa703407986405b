"""Loggers as users bring them."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import Logger


class Breaks(CSVLogger):
    """Loses its disk at the call `at`: experiment, log_hyperparams, log_metrics, save or finalize."""

    def __init__(self, save_dir: str, at: str, version: str | None = None, name: str = "") -> None:
        super().__init__(save_dir, name=name, version=version)
        self.at = at

    @property
    def experiment(self) -> Any:
        self._break("experiment")
        return super().experiment

    def log_hyperparams(self, *arguments: Any, **keywords: Any) -> None:
        self._break("log_hyperparams")
        super().log_hyperparams(*arguments, **keywords)

    def log_metrics(self, *arguments: Any, **keywords: Any) -> None:
        self._break("log_metrics")
        super().log_metrics(*arguments, **keywords)

    def finalize(self, status: str) -> None:
        self._break("finalize")
        super().finalize(status)

    def _break(self, what: str) -> None:
        if self.at == what:
            raise OSError("no space left on device")


class Elsewhere(Logger):
    """Writes to a place that no argument names."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1

    @property
    def name(self) -> str:
        return "elsewhere"

    @property
    def version(self) -> str:
        return "0"

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Nothing to see."""

    def log_hyperparams(self, params: Any, *arguments: Any, **keywords: Any) -> None:
        """Nothing to see."""
