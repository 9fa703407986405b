"""Trials of one point that are the same training under different seeds.

A module that seeds itself, or uses no randomness, gives the same training under each training seed. Such trials are one
observation. A mean over them has no spread, and an interval of it would claim something that nobody measured. Equal
values alone do not show it, for an accuracy on few samples ties often. So losses and last weights have to be equal too.
Each training records them as its trajectory. A procedure records none and is never accused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.records.objectives import rungs_of


def same_runs(trials: Sequence[FrozenTrial]) -> list[list[FrozenTrial]]:
    """Return the groups of trials that are the same training under different seeds, each by seed's replicate."""
    groups: dict[object, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.values and trial.user_attrs.get(schema.TRAJECTORY):
            groups[_what_it_came_to(trial)].append(trial)
    several = [group for group in groups.values() if len({t.user_attrs.get(schema.SEED) for t in group}) > 1]
    return [sorted(group, key=_replicate) for group in several]


def distinct(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return `trials` with one for each group of the same runs: that of the first replicate."""
    left_out = {trial.number for _, *others in same_runs(trials) for trial in others}
    return [trial for trial in trials if trial.number not in left_out]


def same_runs_note(trials: Sequence[FrozenTrial]) -> str | None:
    """Return a note for people on the same runs among `trials`, None if there are none."""
    groups = same_runs(trials)
    if not groups:
        return None
    first, second, *_ = (trial.number for trial in groups[0])
    return (
        f"the trials of this point under different seeds are identical (trials {first} and {second}, say): the module "
        "seeds itself (seed_everything?) or uses no randomness. They count as one training, and no interval is "
        "taken from them. Use ${training_seed} in the config where the module takes a seed"
    )


def _what_it_came_to(trial: FrozenTrial) -> object:
    values = trial.values or [None]
    rungs = tuple(sorted(rungs_of(trial).items()))
    return (*sorted(trial.params.items()), trial.user_attrs[schema.TRAJECTORY], values[0], rungs)


def _replicate(trial: FrozenTrial) -> tuple[int, int]:
    replicate = trial.user_attrs.get(schema.REPLICATE)
    return (replicate if isinstance(replicate, int) else 0), trial.number
