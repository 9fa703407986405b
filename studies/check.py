"""`python -m studies.check +study=NAME`: find every mistake before an hour is spent, and tell what the study takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.cli.command import command
from studies.errors import BadInput
from studies.text.wording import counted

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from studies.config.settings import StudySettings
    from studies.launch.preflight.findings import Checked, Plan

MAX_CORNERS = 40  # points that are tried with real batches, to find mistakes
AT_LEAST = 0.5  # of check.max_s, where loading torch takes long
UNTIMED = "no training was tried to its end, so the time is unknown"
N_TYPICAL = 8  # further points whose mean time stands for all: that of corners is far from it, where sizes are extreme


def check(config: DictConfig) -> int:
    """Check everything, train and validate a batch at the corners and at each branch, and tell the time, by a few more
    batches at points that stand for all. End after `check.max_s`, and tell what was left out."""
    import optuna

    from studies.cli.console import make_console
    from studies.cli.experiment import each_part
    from studies.hypotheses.parts import part_names

    begun = time.monotonic()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console()
    n_parts = max(1, len(part_names(config)))
    for number, part in enumerate(each_part(config, are_trained=False), start=1):
        _check_study(part.config, console, begun=begun, part=number, n_parts=n_parts)
    return 0


def _check_study(config: DictConfig, console: Console, *, begun: float, part: int, n_parts: int) -> None:
    """Check one study of `n_parts`, which share `check.max_s`."""
    from studies.cli.validation import validate_and_open
    from studies.launch.launcher import count_workers, launcher_problems
    from studies.launch.logs import logs_of_this_run
    from studies.launch.preflight.check import check_in_time
    from studies.launch.preflight.findings import Plan
    from studies.records.stored import refuse_earlier_schema
    from studies.reporting.goal import goal, goal_notes
    from studies.search.designs import typical_points
    from studies.selection.rounds import announcement
    from studies.storage.identity import find_study
    from studies.storage.importing import find_imports

    settings, storage = validate_and_open(config)
    study, settings = find_study(settings, storage)
    if study is not None:
        refuse_earlier_schema(study)
    imports = find_imports(settings, storage, study)
    lacking = launcher_problems(settings.launcher.name)
    if lacking:
        raise BadInput(lacking)
    max_s = settings.check.max_s
    plan = Plan(
        corners=tuple(settings.space.corners(limit=MAX_CORNERS)),
        typical=tuple(typical_points(settings, N_TYPICAL)),
        until=None if max_s is None else begun + max_s * part / n_parts,
        at_least_s=AT_LEAST * (max_s or 0.0) / n_parts,
    )
    log = logs_of_this_run(settings.output_dir) / "check.log"
    checked = check_in_time(settings, plan, log=log, tell=partial(console.print, markup=False))
    raise_problems(checked)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    for line in found_in_words(settings, plan, checked):
        console.print(line)
    for note in (*checked.notes, *diverged_notes(checked)):
        console.print(f"  {note}", markup=False)
    size = f"{counted(len(settings.space), 'parameter', 'parameters')}, {_trials(settings.n_trials)}"
    console.print(f"  {size}, {len(trials)} in the storage already")
    for line in (f"objective: {goal(settings.objective)}", *goal_notes(settings.objective)):
        console.print(f"  {line}", markup=False)
    if settings.select.name != "none":
        console.print(f"  {announcement(settings)}")
    if imports is not None:
        console.print(f"  to be imported: {imports}")
    n_workers = count_workers(settings, gpus=checked.gpus)
    left = left_of(settings, trials, storage)
    if not checked.looks and not left.is_nothing:
        console.print(f"  {UNTIMED}")
        return
    provided = ", if the rungs of a trial take as long as the first" if checked.is_procedure else ""
    told = "" if left.is_nothing else provided
    console.print(f"  {estimate(settings, left, checked.seconds, n_workers)}{told}")


def raise_problems(checked: Checked) -> None:
    """Raise `BadInput` with what was found: all problems of the targets, or the first of the points."""
    if not any(look.problem for look in checked.looks):
        if checked.problems:
            raise BadInput(checked.problems)
    else:
        first, n = checked.problems[0], len(checked.problems)
        points = counted(len(checked.looks), "point", "points")
        more = f" (and {n - 1} more of {points})" if n > 1 else ""
        raise BadInput([replace(first, complaint=f"{first.complaint}{more}")])


def diverged_notes(checked: Checked) -> list[str]:
    """Say at how many points the training diverged in its first batches, and how at the first of them."""
    diverged = [look.diverged for look in checked.looks if look.diverged is not None]
    if not diverged:
        return []
    points = f"{len(diverged)} of {counted(len(checked.looks), 'point', 'points')}"
    every = ": correct the metric or the module, or search other values" if len(diverged) == len(checked.looks) else ""
    return [f"note: the training diverges in its first batches at {points} ({diverged[0]}){every}"]


def found_in_words(settings: StudySettings, plan: Plan, checked: Checked) -> list[str]:
    """Say how many points were tried, and how many the time left out."""
    n_tried, n_left = len(checked.looks), plan.n_points - len(checked.looks)
    how = "up to their first rung" if checked.is_procedure else "with real batches"
    tried = f"{counted(n_tried, 'point', 'points')} tried {how}"
    if not n_left:
        all_diverged = bool(checked.looks) and all(look.diverged is not None for look in checked.looks)
        sound = "gives no value yet" if all_diverged else "is sound"
        return [f"study {settings.study_name} {sound}: {tried}"]
    over = f"check.max_s={settings.check.max_s:g} s were over"
    if not n_tried:
        first = f"study {settings.study_name}: nothing could be tried to its end before {over}"
        return [first, "  the first batches take longer, or building the data and the model does: raise check.max_s"]
    first = f"study {settings.study_name} is sound as far as it was tried: {tried}"
    left_out = counted(n_left, "point was", "points were")
    return [first, f"  {left_out} left out when {over}: a higher value tries more, null tries all"]


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a study has still to train: `trials` of its own, and at most so many `trainings` of its selection."""

    trials: int
    trainings: int

    @property
    def is_nothing(self) -> bool:
        """Whether the study has come to its end."""
        return not self.trials and not self.trainings


def left_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Remaining:
    """What the study of these `trials` has still to train."""
    from studies.selection.rounds import most_trainings
    from studies.selection.run import selection_of
    from studies.storage.slots import rules_of

    if selection_of(settings, trials, storage) is not None:
        return Remaining(0, 0)
    return Remaining(settings.n_trials - rules_of(settings).n_finished(trials), most_trainings(settings))


def estimate(settings: StudySettings, left: Remaining, seconds: Sequence[float], n_workers: int) -> str:
    """How long what is `left` takes, in words, if a trial takes the mean of `seconds`."""
    from studies.cli.progress import duration

    if left.is_nothing:
        return "nothing is left to do: the study is finished"
    rest = "" if left.trials == settings.n_trials else " that is left" if left.trials == 1 else " that are left"
    trained = [_trials(left.trials) + rest] * bool(left.trials)
    trained += [f"up to {counted(left.trainings, 'training', 'trainings')} of the selection"] * bool(left.trainings)
    what = " and ".join(trained)
    if not seconds:
        return f"{what}; the loader does not tell how long an epoch is, so the time is unknown"
    total = (left.trials + left.trainings) * mean(seconds) / n_workers
    points, less = counted(len(seconds), "point", "points"), _why_less(settings, left)
    return (
        f"a trial takes about {duration(mean(seconds))} ({duration(min(seconds))} to {duration(max(seconds))} at "
        f"{points} of the space); {what} on {counted(n_workers, 'worker', 'workers')} "
        f"{'at most ' if less else ''}about {duration(total)} and some seconds to start{less}"
    )


def _why_less(settings: StudySettings, left: Remaining) -> str:
    """Why it may take less than that."""
    reasons = ["trials are pruned"] * (settings.pruner.name != "none" and left.trials > 0)
    reasons += ["configurations leave the race"] * (left.trainings > 0)
    return f", less where {' or '.join(reasons)}" if reasons else ""


def _trials(n: int) -> str:
    return counted(n, "trial", "trials")


main = command(check)

if __name__ == "__main__":
    main()
