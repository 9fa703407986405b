"""The designed study that answers a question about parameters of a search: its grid, pinned values and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.designed.noise_ratio import NoiseRatio, assumed, noise_ratio
from studies.analysis.designed.power import Replicates, replicates_for
from studies.analysis.levels import ASKED_SHARE
from studies.config.question import config_point, grid_levels, gridded
from studies.config.settings import StudySettings
from studies.config.space import Point, SearchSpace
from studies.reporting.view import StudyView
from studies.selection.chosen import champion_of
from studies.text.wording import counted, crossed, duration, shown, whole_percent


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What full trainings of a search took, as far as that is known."""

    seconds: float | None  # the median
    n_workers: int  # at work at once

    def of(self, n_trainings: int) -> str:
        """Return the cost of some more trainings in words."""
        trainings = counted(n_trainings, "training", "trainings")
        if self.seconds is None:
            return trainings
        workers = counted(self.n_workers, "worker", "workers")
        return f"{trainings}, about {duration(n_trainings * self.seconds / self.n_workers)} on {workers}"


@dataclass(frozen=True, slots=True)
class QuestionDesign:
    """A grid over the parameters `names`."""

    names: tuple[str, ...]
    space: SearchSpace  # a pinned parameter has one level
    replicates: Replicates
    noise: NoiseRatio
    pinned_to: str  # the origin of the pinned values, in words

    @property
    def n_trainings(self) -> int:
        """The cells times the replicates."""
        return len(self.space.grid()) * self.replicates.n


def question_design(view: StudyView, names: Sequence[str]) -> QuestionDesign:
    """Return the grid over `names`, parameters of the search in `view`, whose settings are known.

    Raises `BadInput` if the parameters are not active together.
    """
    assert view.settings is not None
    point, pinned_to = _configuration(view, view.settings, names)
    space = gridded(view.settings.space, names, point)
    noise = _noise(view, names)
    found = replicates_for([len(grid_levels(view.settings.space[name])) for name in names], noise=noise.value)
    return QuestionDesign(tuple(names), space, found, noise, pinned_to)


def training_cost(view: StudyView, *, workers: int | None) -> TrainingCost:
    """Return the cost of a training by the trials of a search. `workers` are those asked for, None for any number."""
    complete = [trial for trial in view.candidates if trial.state == TrialState.COMPLETE]
    seconds = [trial.user_attrs[schema.SECONDS] for trial in complete if schema.SECONDS in trial.user_attrs]
    return TrainingCost(median(seconds) if seconds else None, workers or _at_once(view.trials))


def grid_lines(space: SearchSpace, *, replicates: int) -> Iterator[str]:
    """Yield the levels of a grid, and the pinned values, which are those of parameters with one level."""
    varied = [(parameter.name, parameter.levels) for parameter in space if len(parameter.levels or ()) > 1]
    levels = [f"{name}: {', '.join(map(shown, values or ()))}" for name, values in varied]
    n_cells = counted(len(space.grid()), "cell", "cells")
    yield f"grid of {n_cells} × {counted(replicates, 'replicate', 'replicates')}: {'; '.join(levels)}"
    pinned = [f"{p.name}={shown(p.levels[0])}" for p in space if p.levels is not None and len(p.levels) == 1]
    yield f"pinned: {', '.join(pinned) or 'nothing'}"


def power_line(design: QuestionDesign) -> str:
    """Return what the replicates can show, by which noise."""
    found = design.replicates
    what = "an interaction" if len(design.names) > 1 else "an effect"
    of = "of the variance over the grid" if len(design.names) > 1 else "of the variance of the search"
    percent = whole_percent(ASKED_SHARE)
    least = "" if found.are_enough else ", which is too low: an effect may stay open"
    seen = f"{counted(found.n, 'replicate', 'replicates')} show {what} of {percent} % {of}"
    return f"{seen} with a power of {found.power:.2f}{least} (noise {design.noise.basis})"


def _configuration(view: StudyView, settings: StudySettings, names: Sequence[str]) -> tuple[Point, str]:
    """Return a value for each parameter that is to be pinned, and where the values come from.

    The selected configuration comes first, else the best one, of those with all parameters in question. A value that it
    lacks is that of the next best, else the config's.
    """
    champion = champion_of(view.selection) if view.selection is not None else None
    ranked = [*([champion.trial] if champion is not None else []), *(choice.trial for choice in view.choices)]
    whole = [trial for trial in ranked if {*names} <= {*trial.params}]
    point = config_point(settings.space, settings.template)
    for trial in reversed([*whole[:1], *ranked]):
        point |= {p.name: trial.params[p.name] for p in settings.space if p.contains(trial.params.get(p.name))}
    if not ranked:
        return point, "the config's own values, for no trial of the search has a value yet"
    first = (whole or ranked)[0]
    if champion is not None and first.number == champion.trial.number:
        return point, f"trial {first.number}, the winner of the selection"
    which = "the best" if first.number == ranked[0].number else f"the best with {crossed(names)}"
    return point, f"trial {first.number}, {which} of {counted(len(view.ended), 'finished trial', 'finished trials')}"


def _noise(view: StudyView, names: Sequence[str]) -> NoiseRatio:
    if not view.candidates:
        return assumed("no stored trial tells the noise")
    effects = view.analysis.effects if view.is_analysed else ()
    races = view.selection.races if view.selection is not None else ()
    return noise_ratio(names, view.table, effects, [values for race in races for values in race.values])


def _at_once(trials: Sequence[FrozenTrial]) -> int:
    """Return how many trials ran at the same time at most, one if unknown."""
    ended = [trial for trial in trials if trial.datetime_start is not None and trial.datetime_complete is not None]
    steps = [(trial.datetime_start, 1) for trial in ended] + [(trial.datetime_complete, -1) for trial in ended]
    running = most = 0
    for _, step in sorted(steps, key=lambda one: (one[0], one[1])):
        running += step
        most = max(most, running)
    return max(1, most)
