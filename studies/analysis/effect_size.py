"""Confidence distributions of the variances behind sums of squares.

Intervals (95 %): SS/s² is noncentral χ² with λ = n·V(T)/s². Inverting its distribution function for λ gives the
confidence distribution λ = (√(SS/s² − G) + Z₁)² + Z₂², 0 where G > SS/s², with G ~ χ²(df) and Z₁, Z₂ normal. With
s² = SSE/χ²(df error) this is the inversion of the noncentral F (Steiger 2004, doi:10.1037/1082-989X.9.2.164; Smithson
2003), exact for one term. Drawn for the term, all others pooled, and the block, it carries the uncertainty of all of
them into the ratios (a generalised interval: Weerahandi 1993, doi:10.1080/01621459.1993.10476355).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from studies.analysis.decomposition import Array, SumOfSquares

N_DRAWS = 3999  # an interval's end then varies by 2 % of the half-width from seed to seed
ENDS = [99, 3899]  # the 100th from either end of 3,999 draws: 2.5 % outside each


@lru_cache(maxsize=64)
def _chance(seed: int, role: str, df: int) -> tuple[Array, Array, Array]:
    """What a confidence distribution is drawn with, χ²(df) and two normals: a stream of its own a role and df."""
    rng = np.random.default_rng([seed, *role.encode(), df])
    return rng.chisquare(df, N_DRAWS), rng.standard_normal(N_DRAWS), rng.standard_normal(N_DRAWS)


def variance_draws(part: SumOfSquares, error: SumOfSquares, *, role: str, seed: int) -> Array:
    """Draws from the confidence distribution of the variance behind a part, in units of s² (see the top)."""
    if not part.df:
        return np.zeros(N_DRAWS)
    chi_squared, first, second = _chance(seed, role, part.df)
    room = part.sum_sq * _chance(seed, "error", error.df)[0] / error.sum_sq - chi_squared
    return np.where(room >= 0, (np.sqrt(room.clip(0)) + first) ** 2 + second**2, 0.0) / part.size
