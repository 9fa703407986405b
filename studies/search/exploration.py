"""Exploration: the quasi-random trials among those of an adaptive sampler, which estimates of effects need.

TPE's own trials crowd where the value is good. That triples the error of every estimator of effects, and weighting
cannot repair it. One space-filling trial in four recovers most of it (measured). These trials are counted off evenly
over the slots after the enqueued ones, and the j-th takes point j of a scrambled Sobol sequence. The slot alone
decides, so no worker, resumed study or retry repeats another one's point. A study continued with another share, or
with more enqueued points, begins a new sequence. Cost: those trials do not search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from studies.config.parsing.limits import shown
from studies.config.parsing.section import is_number
from studies.config.settings import Named, StudySettings
from studies.config.space import Point, SearchSpace
from studies.errors import Problems
from studies.search.designs import DESIGNS, MAX_SOBOL_DIMENSIONS, random_point, sobol_point
from studies.search.seeds import explore_seed

EXPLORE = "explore"  # the source of such a trial
OPTION = "explore_fraction"
DEFAULT_FRACTION = 0.25


@dataclass(frozen=True, slots=True)
class Exploration:
    """Which slots of a study are quasi-random, and their points."""

    space: SearchSpace
    study_seed: int
    n_enqueued: int
    fraction: Fraction  # in [0, 1), as it is written: 100 · 0.29 is 29, in floating point it is not

    def takes(self, slot: int) -> bool:
        """Return whether `slot` (from 0) takes a quasi-random point."""
        place = slot - self.n_enqueued
        return place >= 0 and self._count(place + 1) > self._count(place)

    def point(self, slot: int) -> Point:
        """Return the Sobol point of an exploring `slot`, or a uniform draw in more dimensions than Sobol has."""
        seed = explore_seed(self.study_seed, n_enqueued=self.n_enqueued, fraction=self.fraction)
        index = self._count(slot - self.n_enqueued)
        if len(self.space) > MAX_SOBOL_DIMENSIONS:
            return random_point(self.space, [seed, index])
        return sobol_point(self.space, seed, index=index)

    def notes(self, sampler: str, *, n_trials: int) -> list[str]:
        """Tell how many of `n_trials` trials are quasi-random and why, and which sampler cannot learn from them."""
        if self._count(n_trials - self.n_enqueued) < 1:
            return []
        one, several = self.fraction.numerator == 1, f"{float(100 * self.fraction):.4g} % of the trials are"
        share = f"1 trial in {self.fraction.denominator} is" if one else several
        value = f"sampler.{OPTION}={float(self.fraction):g}"
        notes = [f"{sampler}: {share} quasi-random ({value}), so that effects can be estimated (0 turns it off)"]
        if sampler == "cmaes":
            notes.append("cmaes learns from its own trials only, so the quasi-random ones teach it nothing")
        return notes

    def _count(self, n: int) -> int:
        """Return how many of the first `n` slots after the enqueued ones explore."""
        return math.floor(n * self.fraction)


def exploration_of(settings: StudySettings) -> Exploration:
    """Return the exploration of a study. A design has none: it fills the space anyway."""
    given = settings.sampler.options.get(OPTION)
    if settings.sampler.name in DESIGNS:
        given = 0.0
    elif given is None:
        given = DEFAULT_FRACTION if settings.analysis.name == "full" else 0.0
    return Exploration(settings.space, settings.seed, len(settings.enqueue), Fraction(str(float(given))))


def check_exploration(sampler: Named, problems: Problems) -> None:
    """Note a bad share, and a share for a design."""
    name, options = sampler.name, sampler.options
    if OPTION not in options:
        return
    given, key = options[OPTION], f"sampler.{OPTION}"
    if name in DESIGNS:
        problems.add(key, f"is {given!r} but sampler is {name}", "remove it: these points fill the space already")
    elif given is not None and not (is_number(given) and 0 <= given < 1):
        remedy = f"give a number from 0 to less than 1, or null for {DEFAULT_FRACTION:g} (0 with analysis=none)"
        problems.add(key, f"is {shown(given)}", remedy)
