"""Pieces on `lightning.pytorch` for modules on the other package. They show what they are only when they are built."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import LearningRateMonitor, Timer
from lightning.pytorch.loggers import CSVLogger
from user_modules import Plain


class BringsATimer(Plain):
    """Has a callback of its own."""

    def configure_callbacks(self) -> Any:
        return [Timer()]


def datamodule() -> LightningDataModule:
    """Build data."""
    return LightningDataModule()


def callback() -> LearningRateMonitor:
    """Build a callback."""
    return LearningRateMonitor()


def logger(save_dir: str) -> CSVLogger:
    """Build a logger."""
    return CSVLogger(save_dir)
