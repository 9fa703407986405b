"""Seed rules, in one place.

A training seed comes from (study seed, replicate), never from the trial number: trials of one replicate differ by
their configuration alone. A search gives slot k the replicate k mod 8, so that no seed crowns its own favourite; a
design crosses all its replicates with all its points. A sampler's stream comes from (study seed, slot): no two workers
and no resumed study draw the same numbers twice, and the same study draws the same points again, however often one of
its trials had to be repeated. A point in place of a failed one has a stream of its own: (study seed, slot, how many
there were before). The quasi-random trials among a sampler's have a stream for each way of counting them off, so that
a study continued with another share of them begins a fresh sequence.

A selection races on seeds that no search saw, and estimates on seeds that no race saw: each has a stream of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from studies.config.settings import POINTS, StudySettings

SEARCH_REPLICATES = 8

# A new stream is added at the end: a number that has been given out keeps its meaning.
_TRAINING, _SAMPLER, _DESIGN, _REDRAW, _EXPLORE, _RACE, _ESTIMATE = range(7)
STREAMS: Mapping[str, int] = {"search": _TRAINING, "race": _RACE, "estimate": _ESTIMATE}


def training_seed(study_seed: int, replicate: int, *, stream: str = "search") -> int:
    """The seed under which every trial of `replicate` trains; `stream`: for what."""
    return _derive(study_seed, STREAMS[stream], replicate)


def seed_of(settings: StudySettings, slot: int) -> int:
    """The seed under which `slot` trains."""
    stream = settings.sampler.options["stage"] if settings.sampler.name == POINTS else "search"
    return training_seed(settings.seed, replicate_of(settings, slot), stream=stream)


def sampler_seed(study_seed: int, slot: int) -> int:
    """The seed of a model-based sampler for one slot."""
    return _derive(study_seed, _SAMPLER, slot)


def design_seed(study_seed: int, part: int = 0) -> int:
    """The seed of a whole design (a Sobol sequence, a grid's order), one for each of its parts."""
    return _derive(study_seed, _DESIGN, part)


def redraw_seed(study_seed: int, slot: int, n_before: int = 0) -> int:
    """The seed of a point of `slot` that takes a failed one's place, as did `n_before` others."""
    return _derive(study_seed, _REDRAW, slot, n_before)


def explore_seed(study_seed: int, *, n_enqueued: int, fraction: Fraction) -> int:
    """The seed of the quasi-random sequence among an adaptive sampler's trials."""
    return _derive(study_seed, _EXPLORE, n_enqueued, fraction.numerator, fraction.denominator)


def replicate_of(settings: StudySettings, slot: int) -> int:
    """The replicate that `slot` trains with."""
    if settings.sampler.name == POINTS:
        return int(listed(settings.sampler.options["replicates"], slot))
    if settings.is_designed:
        return slot // (settings.n_trials // settings.replicates)
    return slot % SEARCH_REPLICATES


def listed(entries: Sequence[Any], slot: int) -> Any:
    """What a list has for `slot`; a surplus slot, which trains nothing, has the last entry."""
    return entries[min(slot, len(entries) - 1)]


def _derive(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
