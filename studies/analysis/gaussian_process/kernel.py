"""The covariance of a function of one parameter, made zero-mean and of unit variance under the parameter's measure.

A Matérn-5/2 kernel k is centred on both sides: k − ∫k dx − ∫k dx' + ∬k. This is its part on the functions orthogonal to
the constant (Durrande et al. 2013, arXiv:1106.3571). Lu, Boukouvalas and Hensman (2022) condition on a zero integral
instead. Both give zero-mean components. The kernel is held as a matrix C on an orthonormal basis b(x) of such
functions, k(x, x') = b(x) C b(x')ᵀ with trace 1. A component's variance is then the squared length of its coefficients,
in closed form. The basis ends at degree 20, too early for a length scale under about .05 of the range. Choices of a
categorical have no order: all contrasts have the same variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studies.analysis.axis import Array, Axis


@dataclass(frozen=True, slots=True)
class AxisKernel:
    """The kernel of one axis at any length scale."""

    projection: Array  # (M, Q): basis at the nodes, weighted
    distances: Array  # (Q, Q) between nodes, in units of the range
    is_ordered: bool

    def covariance(self, log_length: float) -> tuple[Array, Array]:
        """Return C (M, M) of trace 1 at a length scale (log, in units of the range), and its derivative by the log
        length."""
        n = len(self.projection)
        if not self.is_ordered:
            return np.eye(n) / n, np.zeros((n, n))
        scaled = np.sqrt(5.0) * self.distances / np.exp(log_length)
        decay = np.exp(-scaled)
        c = self.projection @ ((1 + scaled + scaled**2 / 3) * decay) @ self.projection.T
        slope = self.projection @ (scaled**2 * (1 + scaled) / 3 * decay) @ self.projection.T
        trace, trace_slope = np.trace(c), np.trace(slope)
        return c / trace, slope / trace - c * trace_slope / trace**2


def kernel_of(axis: Axis) -> AxisKernel:
    """Return the kernel of an axis with at least two values."""
    nodes, weights = axis.nodes()
    projection = (axis.basis(nodes) * weights[:, None]).T
    distances = np.abs(nodes[:, None] - nodes[None, :])
    return AxisKernel(projection, distances, is_ordered=axis.kind != "categorical" and len(nodes) > 2)
