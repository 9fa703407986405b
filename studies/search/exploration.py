"""Exploration: the quasi-random trials among those of an adaptive sampler, without which no effect can be estimated.

TPE's own trials crowd where the value is good and triple the error of every estimator of effects; weighting cannot
repair it, one space-filling trial in four recovers most of it (measured). They are counted off evenly over
the slots after the enqueued ones, and the j-th takes point j of a scrambled Sobol sequence: the slot alone decides, so
no worker, resumed study or retry repeats another one's point. A study continued with another share, or another number
of enqueued points, begins a sequence of its own. The cost: those trials do not search.
"""

from __future__ import annotations

import math
from fractions import Fraction

from studies.config.parsing.limits import shown
from studies.config.parsing.section import is_number
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problems
from studies.search.designs import DESIGNS, MAX_SOBOL_DIMENSIONS, Design, random_point, sobol_point
from studies.search.seeds import explore_seed

EXPLORE = "explore"  # the source of such a trial
OPTION = "explore_fraction"
DEFAULT_FRACTION = 0.25


def explore_fraction(settings: StudySettings) -> float:
    """The share of a study's trials that are quasi-random, in [0, 1); 0 for a design, which fills the space anyway."""
    if settings.sampler.name in DESIGNS:
        return 0.0
    given = settings.sampler.options.get(OPTION)
    if given is None:
        return DEFAULT_FRACTION if settings.analysis.name == "full" else 0.0
    return float(given)


def is_exploring(settings: StudySettings, slot: int) -> bool:
    """Whether `slot` (from 0) takes a quasi-random point."""
    place = slot - len(settings.enqueue)
    return place >= 0 and _count(settings, place + 1) > _count(settings, place)


def explore_design(settings: StudySettings) -> Design:
    """Exploring slot → its point of a scrambled Sobol sequence (as `qmc_design`).

    In more dimensions than Sobol has: an independent uniform draw for each slot.
    """
    space, n_enqueued = settings.space, len(settings.enqueue)
    seed = explore_seed(settings.seed, n_enqueued=n_enqueued, fraction=_fraction(settings))

    def point(slot: int) -> Point:
        index = _count(settings, slot - n_enqueued)
        if len(space) > MAX_SOBOL_DIMENSIONS:
            return random_point(space, [seed, index])
        return sobol_point(space, seed, index=index)

    return point


def check_exploration(settings: StudySettings, problems: Problems) -> None:
    """Note a share that is none, and one that is asked of a design."""
    name, options = settings.sampler.name, settings.sampler.options
    if OPTION not in options:
        return
    given, key = options[OPTION], f"sampler.{OPTION}"
    if name in DESIGNS:
        problems.add(key, f"is {given!r} but sampler is {name}", "remove it: these points fill the space already")
    elif given is not None and not (is_number(given) and 0 <= given < 1):
        remedy = f"give a number from 0 to less than 1, or null for {DEFAULT_FRACTION:g} (0 with analysis=none)"
        problems.add(key, f"is {shown(given)}", remedy)


def exploration_notes(settings: StudySettings) -> list[str]:
    """How many trials are quasi-random and why, and which sampler cannot learn from them."""
    name, fraction = settings.sampler.name, _fraction(settings)
    if _count(settings, settings.n_trials - len(settings.enqueue)) < 1:
        return []
    share = (
        f"1 trial in {fraction.denominator} is"
        if fraction.numerator == 1
        else f"{float(100 * fraction):.4g} % of the trials are"
    )
    notes = [
        f"{name}: {share} quasi-random (sampler.{OPTION}={float(fraction):g}), so that effects can be estimated; "
        "0 turns it off"
    ]
    if name == "cmaes":
        notes.append("cmaes learns from its own trials only, so the quasi-random ones teach it nothing")
    return notes


def _count(settings: StudySettings, n: int) -> int:
    """How many of the first `n` slots after the enqueued ones explore."""
    return math.floor(n * _fraction(settings))


def _fraction(settings: StudySettings) -> Fraction:
    """The share as it is written: 100 · 0.29 is 29, which in floating point it is not."""
    return Fraction(str(explore_fraction(settings)))
