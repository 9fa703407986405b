"""Hamiltonian Monte Carlo: draws from a density whose gradient is known (Neal 2011, arXiv:1206.1901).

Steps are taken in coordinates in which the density is about a standard normal one around its mode. The length of a step
is adapted while the chain warms up (Hoffman & Gelman 2014, arXiv:1111.4246).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from studies.analysis.axis import Array

Potential = Callable[[Array], tuple[float, Array]]  # minus the log density and its gradient; infinite outside

N_STEPS = 6  # of a trajectory
FIRST_STEP = 0.35
ACCEPTED = 0.75  # the wanted share of accepted trajectories
ADAPTATION = 1.5
LEAST_PRECISION = 1.0  # of a direction: a flatter one is left to the prior's own scale


def hamiltonian(
    potential: Potential, mode: Array, precision: Array, *, n: int, n_warm_up: int, rng: np.random.Generator
) -> list[Array]:
    """Return `n` states of a chain that starts at the mode, after `n_warm_up` others.

    `precision` is the matrix of second derivatives there, or near it.
    """
    eigenvalues, directions = eigh(precision)
    scales = directions / np.sqrt(np.maximum(eigenvalues, LEAST_PRECISION))
    state, (energy, gradient) = mode, potential(mode)
    log_step, states = np.log(FIRST_STEP), []
    for k in range(n + n_warm_up):
        momentum = rng.standard_normal(len(mode))
        step = float(np.exp(log_step)) * rng.uniform(0.8, 1.2)
        before = energy + momentum @ momentum / 2
        new, new_energy, new_gradient = state, energy, gradient
        for _ in range(N_STEPS):
            momentum = momentum - step / 2 * (scales.T @ new_gradient)
            new = new + step * (scales @ momentum)
            new_energy, new_gradient = potential(new)
            if not math.isfinite(new_energy):
                break
            momentum = momentum - step / 2 * (scales.T @ new_gradient)
        change = float(before - new_energy - momentum @ momentum / 2)
        likely = math.exp(min(0.0, change)) if math.isfinite(change) else 0.0
        if rng.random() < likely:
            state, energy, gradient = new, new_energy, new_gradient
        if k < n_warm_up:
            log_step += ADAPTATION * (likely - ACCEPTED) / np.sqrt(k + 1)
        else:
            states.append(state)
    return states
