"""The statistical thresholds of the house: one name for each, and its one place."""

from __future__ import annotations

LEVEL = 0.95  # of every interval
PERCENTILES = (2.5, 97.5)  # between which that share of draws lies
CLAIM = 0.01  # of the variance: an effect is claimed if its whole interval lies above this
SIGNIFICANCE = 0.05  # the chance of any false finding among all tests that are corrected together
SHARE_MARGIN = 0.01  # of an accuracy or an error rate: less does not matter, unless the config says otherwise
NEAR_BEST = 0.1  # of the way from the best trial to the median one: less does not matter, where nothing else is known
AT_LIMIT = 0.95  # the confidence from which the best counts as lying at a limit of the space
SURELY_WORSE = 0.975  # the share of draws that have to lose by a value before it is left out

MIN_FITTED_TRIALS = 10  # below this, no function is fitted
MIN_RELIABLE_TRIALS = 50  # that an analysis asks for, however few the parameters
MIN_CURVE_TRIALS = 8  # two doublings, of the best-of-m curve
MIN_TREND_TRIALS = 12  # in the outer range of a parameter, for a trend towards its limit
MIN_SEEDS = 4  # that a verdict on a hypothesis rests on
MIN_BLOCKS = 2  # seeds without which an analysis of variance has no error term
