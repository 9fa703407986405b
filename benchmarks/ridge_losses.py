"""Losses along a learning rate at each batch size, with a known law: what the ridge is measured against.

Each is a function of d, the distance to the best log10 learning rate in decades, with a range of about 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Loss = Callable[[Array], Array]

LOG_LR = np.linspace(-4, -1, 7)
LOG_BATCH = np.log10([16, 32, 64, 128, 256, 512])
NOISE = 0.05


def symmetric(d: Array) -> Array:
    """Return a valley of depth 1 that saturates on both sides."""
    return np.asarray(1 - np.exp(-(d**2) / (2 * 0.8**2)))


def shallow(d: Array) -> Array:
    """Return a plain quadratic that reaches 1 at the far end of the grid."""
    return 0.2 * d**2


def blow_up(d: Array) -> Array:
    """Quadratic on the left; on the right eight times as steep, then the cap of a diverged run."""
    return np.where(d < 0, 0.25 * d**2, np.minimum(1, 2 * d**2))


def soft_blow_up(d: Array) -> Array:
    """One quadratic on both sides; a fifth of a decade right of the best value a rise begins that ends in the cap."""
    return np.minimum(1, 0.25 * d**2 + (np.maximum(0, d - 0.2) / 0.5) ** 2)


def cliff(d: Array) -> Array:
    """Quadratic, and without warning the cap from three tenths of a decade right of the best value."""
    return np.where(d < 0.3, 0.5 * d**2, 1.0)


LOSSES: dict[str, Loss] = {
    "symmetric": symmetric,
    "shallow": shallow,
    "blow-up and cap": blow_up,
    "soft blow-up and cap": soft_blow_up,
    "cliff": cliff,
}


def grid(n_replicates: int = 3) -> tuple[Array, Array]:
    """log10 lr and log10 B of a 7 × 6 × n grid: (42 n,) each."""
    x, b, _ = np.meshgrid(LOG_LR, LOG_BATCH, np.arange(n_replicates), indexing="ij")
    return x.ravel(), b.ravel()


def law(log_batch: Array, alpha: float, *, seed: int = 0, bend: float = 0.0) -> Array:
    """Return the best log10 lr for every batch size; where it crosses the grid differs from seed to seed."""
    middle = log_batch - LOG_BATCH.mean()
    crossing = np.random.default_rng([seed, 1]).uniform(-0.25, 0.25)
    bent = bend * (middle**2 - (LOG_BATCH - LOG_BATCH.mean()).var())
    return np.asarray(-2.5 + crossing + alpha * middle + bent)


def study(
    loss: Loss, alpha: float, seed: int, *, bend: float = 0.0, noise: float = NOISE
) -> tuple[Array, Array, Array]:
    """log10 lr, log10 B and noisy losses of one designed experiment."""
    x, b = grid()
    clean = loss(x - law(b, alpha, seed=seed, bend=bend))
    return x, b, clean + np.random.default_rng(seed).normal(0, noise, len(x))
