"""What decides whether a configuration trains, and what decides how well, where trials fall into two groups.

Parameters count if they were active in all trials. Where there are very many trials, some are drawn evenly. Trials and
parameters are put into an order of their own first, so that theirs makes no difference.

Nothing is told of what decides if the chances of trials, each from the others, are no better than those of shuffled
groups: all intervals are then [0, 1], and there are no region and no effects among those that train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from studies.analysis.axis import Axis
from studies.analysis.estimate import Estimate
from studies.analysis.intervals import UNCONFIRMED, intervals
from studies.analysis.levels import MIN_FITTED_TRIALS
from studies.analysis.table import TrialsTable
from studies.analysis.threads import one_thread
from studies.analysis.training.among import AmongTrained, among_trained
from studies.analysis.training.classifier import Classifier, classifier_of
from studies.analysis.training.region import TrainingRegion, region_of
from studies.analysis.training.two_groups import TwoGroups, two_groups

MOST_TRIALS = 400
FROM_NOISE = 4.0  # by 1 + the number of parameters, over that of trials: see `from_noise`
MOST_FROM_NOISE = 0.6
WIDENING = 2 * UNCONFIRMED  # of what is not confirmed: a group tells less than a value; see `_shares`


@dataclass(frozen=True, slots=True)
class TrainingAnalysis:
    """Both answers for the parameters of `axes` (d).

    mains, pairs: shares of the variance of the chance to train under the axes' measure, pairs by (i, j) with i < j
    confirmed: 1 − squared errors of the chances of trials, each from the others ÷ those of the mean
    from_noise: what shuffled groups reach of that
    region: None if nothing is learned, or no rules tell it
    among: None if nothing is learned, or too few trials lie in the region
    n_used: the trials of the classifier
    n_inside: those with a value in the region
    inactive: parameters that are left out, since some trials did not have them
    """

    groups: TwoGroups
    axes: tuple[Axis, ...]
    mains: tuple[Estimate, ...]
    pairs: dict[tuple[int, int], Estimate]
    confirmed: float
    from_noise: float
    region: TrainingRegion | None
    among: AmongTrained | None
    n_used: int
    n_inside: int
    inactive: tuple[str, ...]

    @property
    def is_learned(self) -> bool:
        """Whether more is confirmed than shuffled groups reach. Else the trials do not tell what decides."""
        return self.confirmed > self.from_noise


@one_thread
def training_of(table: TrialsTable, *, seed: int) -> TrainingAnalysis | None:
    """Return both answers from all trials of a study, None unless they fall into two groups."""
    groups = two_groups(table)
    if groups is None or table.tried is None:
        return None
    tried = table.tried.active_everywhere()
    if not tried.axes:
        return None
    trains = np.concatenate([groups.trains, np.zeros(tried.n_diverged)])
    unit = tried.unit
    used = np.lexsort((trains, *unit.T))
    if len(used) > MOST_TRIALS:
        used = used[np.sort(np.random.default_rng(seed).choice(len(used), MOST_TRIALS, replace=False))]
    classifier = classifier_of(tried.axes, unit[used], trains[used], seed=seed)
    d = len(tried.axes)
    limit = from_noise(len(used), n_parameters=d)
    is_learned = classifier.confirmed > limit
    found = _shares(classifier, is_learned=is_learned)
    inside = used[classifier.inside & (used < len(table.y))]
    return TrainingAnalysis(
        groups=groups,
        axes=tried.axes,
        mains=tuple(found[:d]),
        pairs=dict(zip(combinations(range(d), 2), found[d:-1], strict=True)),
        confirmed=classifier.confirmed,
        from_noise=limit,
        region=region_of(classifier) if is_learned else None,
        among=_among(table, classifier, inside, seed=seed) if is_learned else None,
        n_used=len(used),
        n_inside=len(inside),
        inactive=tuple(axis.name for axis in table.tried.axes if axis not in tried.axes),
    )


def from_noise(n: int, *, n_parameters: int) -> float:
    """Return what is confirmed now and then where the groups of `n` trials are shuffled.

    It is 4 (d + 1) / n for d parameters, and .6 at most. Of 1,491 shuffled studies of 30 to 200 trials with 2 to 10
    parameters, whose smaller group had a fifth or a half of the trials, 1.3 % reached more. Of 192 studies of 20 trials
    it was 8 %. On two surfaces of the trust benchmark with two groups and 6 parameters, 44 of 45 studies of 60 trials
    lie above it, and 23 of 33 studies of 30 trials.
    """
    return min(MOST_FROM_NOISE, FROM_NOISE * (1 + n_parameters) / n)


def _shares(classifier: Classifier, *, is_learned: bool) -> Sequence[Estimate]:
    """Return the shares of the variance of the chance to train. Where nothing is learned, no interval excludes any.

    In 30 studies of 60 trials of the trust benchmark, 180 intervals cover .87 of the true shares if they are widened as
    those of values are, and .94 if twice as much.
    """
    found = intervals(classifier.shares, stretch=classifier.stretch, confirmed=classifier.confirmed, widen=WIDENING)
    return found if is_learned else [replace(share, lo=0.0, hi=1.0) for share in found]


def _among(
    table: TrialsTable, classifier: Classifier, inside: np.typing.NDArray[np.intp], *, seed: int
) -> AmongTrained | None:
    if len(inside) < MIN_FITTED_TRIALS or np.ptp(table.y[inside]) == 0 or table.tried is None:
        return None
    rough = None if table.rough is None else table.rough.over(inside)
    unit = table.tried.active_everywhere().unit[inside]
    return among_trained(classifier.axes, unit, table.y[inside], classifier, seed=seed, rough=rough)
