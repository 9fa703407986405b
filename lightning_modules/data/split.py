"""The split of samples into training, validation and test.

A split depends on the labels and its seed alone. It has its own generator, so every trial of a study sees the same
samples, and no draw of a trial is disturbed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightning_modules.checks import require

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of the samples of each part, in random order. The parts are disjoint and together cover all."""

    train: Indices
    val: Indices
    test: Indices


def stratified_split(labels: NDArray[np.integer], *, n_val: int, n_test: int, seed: int) -> Split:
    """Return a split with exactly these sizes in which each class has its share of every part, to within one sample.

    labels has shape (n_samples,). Raises ValueError if nothing would be left to train on.
    """
    n_held_out = n_val + n_test
    remedy = f"leave at least one of the {len(labels)} samples to train on"
    require(n_held_out < len(labels), key="n_val + n_test", value=n_held_out, remedy=remedy)
    order = np.random.default_rng(seed).permutation(len(labels))
    test, order = _draw(labels, order, n_drawn=n_test)
    val, train = _draw(labels, order, n_drawn=n_val)
    return Split(train=train, val=val, test=test)


def _draw(labels: NDArray[np.integer], order: Indices, *, n_drawn: int) -> tuple[Indices, Indices]:
    """Split the order in two: the first of each class, n_drawn in all, and the rest."""
    classes, n_each = np.unique(labels[order], return_counts=True)
    drawn = np.zeros(len(order), dtype=bool)
    for label, n_quota in zip(classes, _quotas(n_each, n_drawn=n_drawn), strict=True):
        drawn[np.flatnonzero(labels[order] == label)[:n_quota]] = True
    return order[drawn], order[~drawn]


def _quotas(n_each: Indices, *, n_drawn: int) -> Indices:
    """Share n_drawn among the classes by size, whole samples, the largest remainders rounded up (Hamilton's method)."""
    exact = n_each * n_drawn / n_each.sum()
    quotas: Indices = np.floor(exact).astype(np.int64)
    n_missing = n_drawn - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:n_missing]] += 1
    return quotas
