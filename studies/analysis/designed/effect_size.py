"""Confidence distributions of the variances behind sums of squares.

SS/s² is noncentral χ² with λ = n·V(T)/s². Inverting its distribution function for λ gives the confidence distribution λ
= (√(SS/s² − G) + Z₁)² + Z₂², with G ~ χ²(df) and Z₁, Z₂ normal. It is 0 for G > SS/s². With s² = SSE/χ²(df error) this
is the inversion of the noncentral F, exact for one term (Steiger 2004, doi:10.1037/1082-989X.9.2.164; Smithson 2003).
Drawn for the term, for all others pooled and for the block, it carries the uncertainty of each into the ratios. That is
a generalised interval (Weerahandi 1993, doi:10.1080/01621459.1993.10476355), here of 95 %.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from studies.analysis.axis import Array
from studies.analysis.designed.decomposition import SumOfSquares

N_DRAWS = 3999  # an interval's end then varies by 2 % of the half-width from seed to seed
ENDS = [99, 3899]  # the 100th from either end of 3,999 draws: 2.5 % outside each


@lru_cache(maxsize=64)
def _chance(seed: int, role: str, df: int) -> tuple[Array, Array, Array]:
    """Return the draws behind a confidence distribution, χ²(df) and two normals: a stream a role and df."""
    rng = np.random.default_rng([seed, *role.encode(), df])
    return rng.chisquare(df, N_DRAWS), rng.standard_normal(N_DRAWS), rng.standard_normal(N_DRAWS)


def variance_draws(part: SumOfSquares, error: SumOfSquares, *, role: str, seed: int) -> Array:
    """Draw from the confidence distribution of the variance behind a part, in units of s². The module tells how."""
    if not part.df:
        return np.zeros(N_DRAWS)
    chi_squared, first, second = _chance(seed, role, part.df)
    room = part.sum_sq * _chance(seed, "error", error.df)[0] / error.sum_sq - chi_squared
    return np.where(room >= 0, (np.sqrt(room.clip(0)) + first) ** 2 + second**2, 0.0) / part.size
