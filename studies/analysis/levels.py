"""The statistical thresholds of the house: one name for each, and its one place."""

from __future__ import annotations

LEVEL = 0.95  # of every interval
PERCENTILES = (2.5, 97.5)  # between which that share of draws lies
CLAIM = 0.01  # of the variance: an effect is claimed if its whole interval lies above this
SIGNIFICANCE = 0.05  # the chance of any false finding among all tests that are corrected together
AT_LIMIT = 0.95  # the confidence from which the best counts as lying at a limit of the space
SURELY_WORSE = 0.975  # the share of draws that have to lose by a value before it is left out

POWER = 0.8  # the chance that a designed study shows an effect of the size that it is planned for
ASKED_SHARE = 0.05  # that size, a share of the variance of the noise-free function over the grid

MIN_FITTED_TRIALS = 10  # below this, no function is fitted
MIN_RELIABLE_TRIALS = 50  # that an analysis asks for, however few the parameters
MIN_CURVE_TRIALS = 8  # two doublings, of the best-of-m curve
MIN_TREND_TRIALS = 12  # in the outer range of a parameter, for a trend towards its limit
MIN_SEEDS = 4  # that a verdict on a hypothesis rests on
MIN_NOISE_DF = 5  # of trainings that differ by their seeds, for their variance to be believed
MIN_BLOCKS = 2  # seeds without which an analysis of variance has no error term
