"""The statistical thresholds of the house: one name for each, and its one place."""

from __future__ import annotations

LEVEL = 0.95  # of every interval
PERCENTILES = (2.5, 97.5)  # between which that share of draws lies
NOT_KNOWN = 0.95  # of the variance: an effect with an interval as wide as this is not known
NO_EFFECT = 0.05  # of the variance: no effect is claimed if its whole interval lies below this
CLAIM = 0.01  # of the variance: an effect is claimed if its whole interval lies above this
SIGNIFICANCE = 0.05  # the chance of any false finding among all tests that are corrected together
POWER = 0.8  # the chance of a decision by a study, or by the seeds, that is planned for
SHARE_MARGIN = 0.01  # of an accuracy or an error rate: less does not matter, unless the config says otherwise
NEAR_BEST = 0.1  # of the way from the best trial to the median one: less does not matter, where nothing else is known
MOST_MORE_SEEDS = 1000  # more, where they would be needed, are not counted
AT_LIMIT = 0.95  # the confidence from which the best counts as lying at a limit of the space
SURELY_WORSE = 0.975  # the share of draws that have to lose by a value before it is left out
ASKED_SHARE = 0.05  # the least interaction that a designed study is to show, a share of the variance over its grid

MIN_FITTED_TRIALS = 10  # below this, no function is fitted
MIN_RELIABLE_TRIALS = 50  # that an analysis asks for, however few the parameters
MIN_CURVE_TRIALS = 8  # two doublings, of the best-of-m curve
MIN_TREND_TRIALS = 12  # in the outer range of a parameter, for a trend towards its limit
MIN_SEEDS = 4  # that a verdict rests on, of a hypothesis or of two values
MIN_NOISE_DF = 5  # of trainings that differ by their seeds, for their variance to be believed
MIN_BLOCKS = 2  # seeds without which an analysis of variance has no error term
