"""Times and ratios of times that hold on a quiet machine, each beside its target.

    python benchmarks/times.py [repeats]

The fit of an analysis, in seconds of the processor; and the time of a training as `studies.check` estimates it by a few
batches, relative to the time that the training then takes.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import known_functions as functions
import numpy as np
import torch
from numpy.polynomial import legendre
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from studies.analysis.chaos import chaos
from studies.config.budget import Budget
from studies.trial.building.package import Package
from studies.trial.job import Job
from studies.trial.preflight.duration import N_TIMED, Stopwatch, whole_training_s
from studies.trial.rungs.batch_limit import BatchLimit

DEGREE = 10
FITS = ((6, 200, 1.0), (10, 1000, 15.0))  # parameters, trials, target in seconds
TARGET_RATIO = 1.35
BUDGETS = (Budget("epochs", 20, 20), Budget("steps", 400, 10), Budget("samples", 8000, 10))
pl = Package("pytorch_lightning")


class Line(pl.find("LightningModule")):  # type: ignore[misc]
    """A network of two layers on 800 samples of noise, in batches of 20."""

    def __init__(self, lr: float = 0.01) -> None:
        """Build the layers and the data."""
        super().__init__()
        self.lr, self.network = lr, nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        x = torch.randn(800, 64, generator=torch.Generator().manual_seed(0))
        self.points = TensorDataset(x, x.sum(1, keepdim=True))

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        """Return the mean squared error."""
        return nn.functional.mse_loss(self.network(batch[0]), batch[1])

    def validation_step(self, batch: Any, _: int) -> None:
        """Log the mean squared error."""
        self.log("val_loss", nn.functional.mse_loss(self.network(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the points in a random order."""
        return DataLoader(self.points, batch_size=20, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the points in their order."""
        return DataLoader(self.points, batch_size=100)


CONFIG = {
    "model": {"_target_": "__main__.Line"},
    "trainer": {
        "accelerator": "cpu",
        "num_sanity_val_steps": 0,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    },
}


def fit_s(n_parameters: int, n_trials: int) -> float:
    """Seconds of the processor for one fit of Friedman's function."""
    rng = np.random.default_rng(0)
    x = rng.random((n_trials, n_parameters))
    y = functions.friedman().function(x[:, :6]) + rng.standard_normal(n_trials)
    scale = np.sqrt(2 * np.arange(1, DEGREE + 1) + 1)
    bases = [legendre.legvander(2 * x[:, i] - 1, DEGREE)[:, 1:] * scale for i in range(n_parameters)]
    begun = time.process_time()
    chaos(bases, [np.arange(1, DEGREE + 1)] * n_parameters, y)
    return time.process_time() - begun


def job(budget: Budget, folder: Path, batch_limit: BatchLimit | None = None) -> Job:
    return Job(CONFIG, "val_loss", budget, 0, folder, batch_limit=batch_limit)


def estimate_ratio(budget: Budget) -> float:
    """Seconds as estimated, relative to those that the training takes."""
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run = job(budget, Path(folder), BatchLimit(N_TIMED, n_epochs=2)).build()
        stopwatch = run.package.callback(Stopwatch)(begun)
        run.trainer.callbacks.append(stopwatch)
        run.fit()
        estimated = whole_training_s(run, budget, stopwatch.times, n_devices=1)
        begun = time.perf_counter()
        job(budget, Path(folder)).build().fit()
        assert estimated is not None
        return estimated / (time.perf_counter() - begun)


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for n_parameters, n_trials, target in FITS:
        seconds = fit_s(n_parameters, n_trials)
        print(f"fit of {n_parameters} parameters, {n_trials} trials: {seconds:.2f} s   target < {target:g} s")
    estimate_ratio(BUDGETS[0])  # what happens once only
    for budget in BUDGETS:
        ratio = median(estimate_ratio(budget) for _ in range(repeats))
        target = f"target {1 / TARGET_RATIO:.2f} to {TARGET_RATIO:g}"
        print(f"time estimated by check, of {budget.amount} {budget.unit}: {ratio:.2f} of the true one   {target}")


if __name__ == "__main__":
    main()
