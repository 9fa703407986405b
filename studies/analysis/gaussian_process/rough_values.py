"""Values that are known only roughly, such as the ends of pruned curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.analysis.axis import Array
from studies.analysis.gaussian_process.response import Response


@dataclass(frozen=True, slots=True)
class RoughValues:
    """Values of n trials. Some of them are known exactly.

    draws: (draws, n) of the values, by all that is known. A known one is the same in all draws.
    response: the scale of `told`
    told: (n,) each value as its own data tell it, with normal errors
    errors: the covariance of these errors (n, n), 0 where the value is known
    """

    draws: Array
    response: Response
    told: Array
    errors: Array

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Whether each value is known exactly (n,)."""
        return np.asarray(np.diag(self.errors) == 0)

    def over(self, rows: npt.NDArray[np.intp]) -> RoughValues:
        """Return the same of some of the trials."""
        return RoughValues(self.draws[:, rows], self.response, self.told[rows], self.errors[np.ix_(rows, rows)])

    def on(self, response: Response) -> tuple[Array, Array]:
        """Return `told` and `errors` as standardised by another response of the same scale."""
        ratio = self.response.sd / response.sd
        shift = (self.response.mean - response.mean) / response.sd
        return self.told * ratio + shift, self.errors * ratio**2
