"""The front of a study of two objectives: which trials are compared, what is said of it, and how a report shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from studies.analysis.conditions import Conditions, conditions_of
from studies.analysis.pareto import Candidate, Front, Goal, front_of
from studies.config.settings import StudySettings
from studies.records.eligible import can_be_best
from studies.reporting.wording import table
from studies.schema import failure_of
from studies.text.wording import counted, listed, shown

OF_THE_DEVICE = ("seconds", "peak_memory_mb")  # second metrics that another device would give otherwise
LIKELY = 0.25  # off the front by its values, but with such a probability of being on it: worth a look
MAX_MEMBERS = 20  # configurations that the report lists
WITH_UNITS = {"seconds": "in {:.3g} s", "peak_memory_mb": "with {:.0f} MB", "steps": "in {:.0f} steps"}


@dataclass(frozen=True, slots=True)
class FrontFound:
    """The front of a study, under which conditions its trials were measured, and how many pruned ones it lacks."""

    front: Front
    conditions: Conditions
    n_pruned: int

    @property
    def clause(self) -> str:
        """What a headline says of it."""
        members = self.front.members
        ends = [self._shown(member) for member in (members[0], members[-1])]
        span = f"from {ends[0]} to {ends[1]}" if len(members) > 1 else ends[0]
        return f"{counted(len(members), 'configuration', 'configurations')} on the front, {span}"

    def _shown(self, member: Candidate) -> str:
        second = self.front.goals[1].name
        how = WITH_UNITS.get(second, f"at {second} {{:.4g}}")
        return f"{member.values[0]:.4g} {how.format(member.values[1])}"


def front_in(trials: Sequence[FrozenTrial], ended: Sequence[FrozenTrial], settings: StudySettings) -> FrontFound | None:
    """The front of the trials that `ended` the slots of a study, `trials` being all of it; None for one objective, and
    where no trial can be on it."""
    second = settings.objective.second
    complete = list(filter(can_be_best, ended))
    if second is None or not complete:
        return None
    objective = settings.objective
    noise = objective.tolerance if objective.noise is None else objective.noise
    goals = (
        Goal(objective.metric, objective.direction == "maximize", noise),
        Goal(second.metric, second.direction == "maximize", second.noise, second.is_relative),
    )
    conditions = conditions_of(complete, trials)
    compared = conditions.comparable if second.metric in OF_THE_DEVICE else complete
    front = front_of(compared, goals, by_point=settings.is_designed, seed=settings.seed)
    n_pruned = sum(trial.state == TrialState.PRUNED and failure_of(trial) is None for trial in ended)
    return None if front is None else FrontFound(front, conditions, n_pruned)


def front_section(found: FrontFound, *, picture: Path | None) -> str:
    """The front as a table, with what it rests on; `picture` is the figure's path from the report on."""
    front, (first, second) = found.front, found.front.goals
    members = front.members
    names = list(dict.fromkeys(name for member in members for name in member.trial.params))
    header = ("trial", first.name, second.name, "n", "P(on the front)", *names)
    rows = [
        (
            str(member.trial.number),
            _value(member, 0, digits=4),
            _value(member, 1, digits=2),
            str(member.n),
            f"{member.probability:.2f}",
            *(shown(member.trial.params.get(name, "–")) for name in names),
        )
        for member in members[:MAX_MEMBERS]
    ]
    n_more = len(members) - MAX_MEMBERS
    rest = f"{counted(n_more, 'more is', 'more are')} in pareto.csv." if n_more > 0 else ""
    parts = [
        f"## The front: {first.name} against {second.name}",
        table(header, rows),
        rest,
        " ".join(_told(found)),
        "`python -m studies.retrain … trial=N` trains any of them in full; best.yaml has the best in "
        f"{first.name}, of equals the best in {second.name}.",
        f"![pareto]({picture.as_posix()})" if picture is not None else "",
    ]
    return "\n\n".join(filter(None, parts))


def _value(member: Candidate, i: int, *, digits: int) -> str:
    width = f" ± {member.half_widths[i]:.{digits}f}" if member.half_widths is not None else ""
    return f"{member.values[i]:.{digits}f}{width}"


def _told(found: FrontFound) -> Iterator[str]:
    """What the front rests on, what it lacks, and its size."""
    front, (first, second) = found.front, found.front.goals
    n = counted(len(front.candidates), "configuration", "configurations")
    if front.has_replicates:
        fewest, most = front.n_seeds
        seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
        yield f"{n}, {seeds} training seeds each; P by bootstrap over these seeds, which are few."
    else:
        yield (
            f"{n}, one training each, which does not tell its own noise: P takes a repetition to differ by "
            f"{_noise(first)} and {_noise(second)} (standard deviations; objective.noise, objective.second.noise)."
        )
    likely = sum(not candidate.on_front and candidate.probability >= LIKELY for candidate in front.candidates)
    if likely:
        more = counted(likely, "more that is off the front by its values has", "more that are off it by theirs have")
        yield f"{more} a P of at least {LIKELY:g} (pareto.csv)."
    yield _area(front)
    if second.name in OF_THE_DEVICE:
        yield from _conditions(found.conditions)
    if found.n_pruned:
        yield (
            f"{counted(found.n_pruned, 'trial was', 'trials were')} pruned by {first.name} and cannot be on the front: "
            f"it may lack configurations that are worse in {first.name} and better in {second.name}."
        )


def _area(front: Front) -> str:
    """The front's size, corrected and as measured."""
    worst = ", ".join(map(shown, front.reference))
    lo, hi = map(shown, front.interval)
    return (
        f"The front dominates an area of {shown(front.area)} (95 % interval {lo} to {hi}) up to the worst values "
        f"({worst}), corrected for what noise adds to a front by luck; as measured it is {shown(front.measured_area)}, "
        f"a share of {front.share:.2f} of the box. Compare areas only up to the same reference."
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
