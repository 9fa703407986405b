"""The seed rules, all in one place.

A training seed comes from (study seed, replicate), never from the trial number. Trials of one replicate therefore
differ by their configuration alone. A search gives each of its first eight slots another replicate, and so each of the
next eight, so that no single seed decides the best. Their order is drawn anew for each eight. In one order, the
replicate would follow from the place in a quasi-random sequence, where each eighth point lies in the same eighth of a
range: one seed would get all small learning rates. A design crosses all its replicates with all its points.

A sampler's stream comes from (study seed, slot). No two workers and no resumed study draw the same numbers twice. The
same study draws the same points again, however often a trial had to be repeated. A point in place of a failed one has
its own stream: (study seed, slot, number of such points before). The quasi-random trials of a sampler have one stream
for each share and number of enqueued points, so a study continued with another share begins a fresh sequence.

Each stage of a selection has its own stream too: it races on seeds that no search saw, and estimates on others again.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from studies.config.settings import StudySettings

SEARCH_REPLICATES = 8

# A new stream is added at the end: a number that has been given out keeps its meaning.
_TRAINING, _SAMPLER, _DESIGN, _REDRAW, _EXPLORE, _RACE, _ESTIMATE, _ORDER = range(8)
STREAMS: Mapping[str, int] = {"search": _TRAINING, "race": _RACE, "estimate": _ESTIMATE}


def training_seed(study_seed: int, replicate: int, *, stream: str = "search") -> int:
    """Return the seed of every training of `replicate` in `stream`: the search, or a stage of a selection."""
    return _derive(study_seed, STREAMS[stream], replicate)


def sampler_seed(study_seed: int, slot: int) -> int:
    """Return the seed of a model-based sampler for one slot."""
    return _derive(study_seed, _SAMPLER, slot)


def design_seed(study_seed: int, part: int = 0) -> int:
    """Return the seed of a whole design (a Sobol sequence, the order of a grid), one for each of its parts."""
    return _derive(study_seed, _DESIGN, part)


def redraw_seed(study_seed: int, slot: int, n_before: int = 0) -> int:
    """Return the seed of a point of `slot` that replaces a failed one, as did `n_before` others."""
    return _derive(study_seed, _REDRAW, slot, n_before)


def explore_seed(study_seed: int, *, n_enqueued: int, fraction: Fraction) -> int:
    """Return the seed of the quasi-random sequence among an adaptive sampler's trials."""
    return _derive(study_seed, _EXPLORE, n_enqueued, fraction.numerator, fraction.denominator)


def replicate_of(settings: StudySettings, slot: int) -> int:
    """Return the replicate of `slot`."""
    if settings.round is not None:
        return settings.round.replicate_of(slot)
    if settings.is_designed:
        return slot // (settings.n_trials // settings.replicates)
    eight, place = divmod(slot, SEARCH_REPLICATES)
    order = np.random.default_rng(_derive(settings.seed, _ORDER, eight)).permutation(SEARCH_REPLICATES)
    return int(order[place])


def _derive(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
