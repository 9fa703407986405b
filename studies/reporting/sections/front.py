"""The front of several objectives: the non-dominated configurations, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from studies.analysis.conditions import Conditions, conditions_of
from studies.analysis.pareto import Front, FrontCandidate, Goal, front_of
from studies.records.eligible import can_be_best
from studies.reporting.figures.front import front_drawing
from studies.reporting.finding import Finding, Paragraph, Table, paragraphs
from studies.reporting.view import Objective, StudyView
from studies.reporting.wording import estimate_text
from studies.schema import failure_of
from studies.text.wording import NONE, counted, listed, shown

FILES = ("pareto.png", "pareto.csv")
OF_THE_DEVICE = ("seconds", "peak_memory_mb")  # second metrics that depend on the device
LIKELY = 0.25  # probability of being on the front: worth a note, even off the front by the values
MAX_MEMBERS = 20  # configurations in the report
WITH_UNITS = {"seconds": "in {:.3g} s", "peak_memory_mb": "with {:.0f} MB", "steps": "in {:.0f} steps"}


def compute(view: StudyView) -> Finding | None:
    """Return the front of several objectives. None for one objective, or if no trial can be on the front."""
    if len(view.objectives) == 1 or not view.has_direction:
        return None
    complete = list(filter(can_be_best, view.ended))
    if not complete:
        return None
    settings = view.settings
    if settings is None or settings.objective.second is None:
        return _plain_front(complete, view.objectives)
    objective, second = settings.objective, settings.objective.second
    noise = objective.small if objective.noise is None else objective.noise
    goals = (
        Goal(view.metric, view.maximize, noise),
        Goal(second.metric, view.objectives[1].maximize, second.noise, second.is_relative),
    )
    conditions = conditions_of(complete, view.trials)
    compared = conditions.comparable if second.metric in OF_THE_DEVICE else complete
    front = front_of(compared, goals, by_point=view.repeats_points, seed=view.seed)
    n_pruned = sum(trial.state == TrialState.PRUNED and failure_of(trial) is None for trial in view.ended)
    return _finding(front, conditions, n_pruned=n_pruned) if front is not None else None


def _finding(front: Front, conditions: Conditions, *, n_pruned: int) -> Finding:
    """Return the front as a table, with its basis."""
    first, second = front.goals
    n_more = len(front.members) - MAX_MEMBERS
    return Finding(
        f"The front: {first.name} against {second.name}",
        headline=(f"{_clause(front)}.",),
        blocks=(
            _table(front),
            *paragraphs(f"{counted(n_more, 'more is', 'more are')} in pareto.csv." if n_more > 0 else ""),
            Paragraph(" ".join(_told(front, conditions, n_pruned))),
            Paragraph(
                "studies.retrain … trial=N trains any of them in full. best.yaml has the best in "
                f"{first.name}, of equals the best in {second.name}."
            ),
            front_drawing(front),
        ),
    )


def _clause(front: Front) -> str:
    """Return the size and the ends of the front, for a headline."""
    ends = [_shown(front, member) for member in (front.members[0], front.members[-1])]
    span = f"from {ends[0]} to {ends[1]}" if len(front.members) > 1 else ends[0]
    return f"{counted(len(front.members), 'configuration', 'configurations')} on the front, {span}"


def _shown(front: Front, member: FrontCandidate) -> str:
    second = front.goals[1].name
    how = WITH_UNITS.get(second, f"at {second} {{:.4g}}")
    return f"{member.values[0]:.4g} {how.format(member.values[1])}"


def _table(front: Front) -> Table:
    first, second = front.goals
    names = list(dict.fromkeys(name for member in front.members for name in member.trial.params))
    rows = tuple(
        (
            str(member.trial.number),
            estimate_text(member.estimates[0]),
            estimate_text(member.estimates[1], ".2f"),
            str(member.n),
            f"{member.probability:.2f}",
            *(shown(member.trial.params.get(name, NONE)) for name in names),
        )
        for member in front.members[:MAX_MEMBERS]
    )
    return Table(("trial", first.name, second.name, "n", "P(on the front)", *names), rows)


def _plain_front(complete: Sequence[FrozenTrial], objectives: Sequence[Objective]) -> Finding:
    """Return the non-dominated trials of a study with unknown noise."""
    front = non_dominated(complete, maximize=[objective.maximize for objective in objectives])
    names = list(dict.fromkeys(name for trial in front for name in trial.params))
    rows = tuple(
        (
            str(trial.number),
            *(f"{value:.4g}" for value in trial.values or ()),
            *(shown(trial.params.get(name, NONE)) for name in names),
        )
        for trial in front[:MAX_MEMBERS]
    )
    n_more = len(front) - MAX_MEMBERS
    rest = f" {counted(n_more, 'more is', 'more are')} not shown." if n_more > 0 else ""
    note = f"No other feasible trial is at least as good in all objectives and better in one.{rest}"
    header = ("trial", *(objective.metric for objective in objectives), *names)
    return Finding("The front", blocks=(Table(header, rows), Paragraph(note)))


def non_dominated(trials: Sequence[FrozenTrial], *, maximize: Sequence[bool]) -> list[FrozenTrial]:
    """Return the non-dominated trials, by number. All must have as many values as `maximize`."""
    sign = np.where(maximize, -1.0, 1.0)
    losses = np.array([trial.values for trial in trials], dtype=float) * sign
    is_dominated = [((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any() for own in losses]
    return [trial for trial, is_out in zip(trials, is_dominated, strict=True) if not is_out]


def _told(front: Front, conditions: Conditions, n_pruned: int) -> Iterator[str]:
    """Say the basis, the gaps and the size of the front."""
    first, second = front.goals
    n = counted(len(front.candidates), "configuration", "configurations")
    if front.has_replicates:
        fewest, most = front.n_seeds
        seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
        yield f"{n}, {seeds} training seeds each. P is by bootstrap over these few seeds."
    else:
        yield (
            f"{n}, one training each, so their noise is not measured. P assumes standard deviations between "
            f"repetitions of {_noise(first)} and {_noise(second)} (objective.noise, objective.second.noise)."
        )
    likely = sum(not candidate.on_front and candidate.probability >= LIKELY for candidate in front.candidates)
    if likely:
        more = counted(likely, "more that is off the front by its values has", "more that are off it by theirs have")
        yield f"{more} a P of at least {LIKELY:g} (pareto.csv)."
    yield _area(front)
    if second.name in OF_THE_DEVICE:
        yield from _conditions(conditions)
    if n_pruned:
        yield (
            f"{counted(n_pruned, 'trial was', 'trials were')} pruned by {first.name} and cannot be on the front: "
            f"it may lack configurations that are worse in {first.name} and better in {second.name}."
        )


def _area(front: Front) -> str:
    """Return the front's size, corrected and as measured."""
    worst = ", ".join(map(shown, front.reference))
    return (
        f"The front dominates an area of {estimate_text(front.area, '.4g')} up to the worst values "
        f"({worst}), corrected for the luck in noisy values. As measured it is {shown(front.measured_area)}, a share "
        f"of {front.share:.2f} of the box. Compare areas only up to the same reference."
    )


def _noise(goal: Goal) -> str:
    return f"{100 * goal.noise:.3g} % of {goal.name}" if goal.is_relative else f"{goal.noise:.3g} in {goal.name}"


def _conditions(conditions: Conditions) -> Iterator[str]:
    machines = counted(conditions.n_machines, "machine", "machines, taken to be equally fast")
    yield (
        f"Measured on {conditions.device}, {machines}, with up to "
        f"{counted(conditions.n_at_once, 'trial', 'trials')} at a time on one: wall clock under that load."
    )
    if conditions.others:
        rest = listed([f"{n} on {name}" for name, n in conditions.others.items()])
        yield f"Other devices' times are not compared with these: left out are {rest}."
