"""What decides whether a configuration trains, and what decides how well, where trials fall into two groups.

Parameters count if they were active in all trials. Where there are very many trials, some are drawn evenly. Trials and
parameters are put into an order of their own first, so that theirs makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from studies.analysis.axis import Axis
from studies.analysis.estimate import Estimate
from studies.analysis.intervals import intervals
from studies.analysis.levels import MIN_FITTED_TRIALS
from studies.analysis.table import TrialsTable
from studies.analysis.threads import one_thread
from studies.analysis.training.among import AmongTrained, among_trained
from studies.analysis.training.classifier import Classifier, classifier_of
from studies.analysis.training.region import TrainingRegion, region_of
from studies.analysis.training.two_groups import TwoGroups, two_groups

MOST_TRIALS = 400


@dataclass(frozen=True, slots=True)
class TrainingAnalysis:
    """Both answers for the parameters of `axes` (d).

    mains, pairs: shares of the variance of the chance to train under the axes' measure, pairs by (i, j) with i < j
    confirmed: 1 − squared errors of the chances of trials, each from the others ÷ those of the mean
    among: None if too few trials lie in the region
    n_used: the trials of the classifier
    n_inside: those with a value in the region
    inactive: parameters that are left out, since some trials did not have them
    """

    groups: TwoGroups
    axes: tuple[Axis, ...]
    mains: tuple[Estimate, ...]
    pairs: dict[tuple[int, int], Estimate]
    confirmed: float
    region: TrainingRegion | None
    among: AmongTrained | None
    n_used: int
    n_inside: int
    inactive: tuple[str, ...]


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
    found = intervals(classifier.shares, stretch=classifier.stretch, confirmed=classifier.confirmed)
    inside = used[classifier.inside & (used < len(table.y))]
    return TrainingAnalysis(
        groups=groups,
        axes=tried.axes,
        mains=tuple(found[:d]),
        pairs=dict(zip(combinations(range(d), 2), found[d:-1], strict=True)),
        confirmed=classifier.confirmed,
        region=region_of(classifier),
        among=_among(table, classifier, inside, seed=seed),
        n_used=len(used),
        n_inside=len(inside),
        inactive=tuple(axis.name for axis in table.tried.axes if axis not in tried.axes),
    )


def _among(
    table: TrialsTable, classifier: Classifier, inside: np.typing.NDArray[np.intp], *, seed: int
) -> AmongTrained | None:
    if len(inside) < MIN_FITTED_TRIALS or np.ptp(table.y[inside]) == 0 or table.tried is None:
        return None
    rough = None if table.rough is None else table.rough.over(inside)
    unit = table.tried.active_everywhere().unit[inside]
    return among_trained(classifier.axes, unit, table.y[inside], classifier, seed=seed, rough=rough)
