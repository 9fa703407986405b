"""`studies.check`: check the config, try batches at points of the space, and estimate the time of the study.

Batches at the corners and at each branch find mistakes. A few more, at typical points, tell the time: a corner has
extreme sizes, so its time is far from the mean. A check ends after `check.max_s` and says what it left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

import optuna
from omegaconf import DictConfig
from rich.console import Console

from studies.cli.console import make_console
from studies.cli.experiment import each_part
from studies.cli.validation import validate_and_open
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.hypotheses.parts import part_names
from studies.launch.launcher import count_workers, launcher_problems
from studies.launch.logs import logs_of_this_run
from studies.launch.preflight.check import check_in_time
from studies.launch.preflight.findings import Checked, Plan
from studies.records.stored import refuse_earlier_schema
from studies.reporting.goal import goal, goal_notes
from studies.search.designs import typical_points
from studies.selection.rounds import announcement
from studies.selection.run import Remaining, remaining_of
from studies.storage.compatible import Compatible, compatible_trials
from studies.storage.identity import find_study
from studies.storage.importing import is_to_import
from studies.text.wording import counted, duration

MAX_CORNERS = 40  # points that are tried to find mistakes
N_TYPICAL = 8  # further points, whose mean time stands for all
AT_LEAST = 0.5  # of check.max_s, where loading torch takes long
UNTIMED = "no training was tried to its end, so the time is unknown"
PROCEDURE = ", if the rungs of a trial take as long as the first"


@dataclass(frozen=True, slots=True)
class TimeShare:
    """The share of one part of an experiment in `check.max_s`."""

    begun: float  # of the whole check, on the monotonic clock
    part: int  # from 1 on
    n_parts: int

    def until(self, max_s: float | None) -> float | None:
        """Return when the check of this part ends. None for no limit."""
        return None if max_s is None else self.begun + max_s * self.part / self.n_parts

    def at_least_s(self, max_s: float | None) -> float:
        """Return the seconds that this part gets however late it begins."""
        return AT_LEAST * (max_s or 0.0) / self.n_parts


def check_experiment(config: DictConfig) -> int:
    """Check each study that `config` describes. Raises `BadInput` with the problems of the first unsound one."""
    begun = time.monotonic()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console()
    n_parts = max(1, len(part_names(config)))
    for number, part in enumerate(each_part(config, are_trained=False), start=1):
        _check_study(part.config, console, TimeShare(begun, number, n_parts))
    return 0


def _check_study(config: DictConfig, console: Console, share: TimeShare) -> None:
    """Check one study, and print what it takes."""
    settings, storage = validate_and_open(config)
    study, settings = find_study(settings, storage)
    if study is not None:
        refuse_earlier_schema(study)
    imports = compatible_trials(settings, storage) if is_to_import(settings.import_from, study) else None
    if lacking := launcher_problems(settings.launcher.name):
        raise BadInput(lacking)
    max_s = settings.check.max_s
    plan = Plan(
        settings,
        corners=tuple(settings.space.corners(limit=MAX_CORNERS)),
        typical=tuple(typical_points(settings, N_TYPICAL)),
        until=share.until(max_s),
        at_least_s=share.at_least_s(max_s),
    )
    log = logs_of_this_run(settings.output_dir) / "check.log"
    checked = check_in_time(plan, log=log, tell=console.print)
    raise_problems(checked)
    for line in tried_lines(checked, plan, study_name=settings.study_name, max_s=max_s):
        console.print(line)
    trials = study.get_trials(deepcopy=False) if study is not None else []
    left = remaining_of(settings, trials, storage)
    n_workers, prunes = count_workers(settings, gpus=checked.gpus), settings.pruner.name != "none"
    lines = [*checked.notes, *diverged_notes(checked)]
    lines += [*_study_lines(settings, n_stored=len(trials), imports=imports)]
    time_needed = _time_line(left, checked, n_trials=settings.n_trials, n_workers=n_workers, prunes=prunes)
    for line in (*lines, time_needed):
        console.print(f"  {line}")


def raise_problems(checked: Checked) -> None:
    """Raise `BadInput` with all problems of the targets, or else with the first problem of the points."""
    if not any(dry_run.problem for dry_run in checked.dry_runs):
        if checked.problems:
            raise BadInput(checked.problems)
    else:
        first, n = checked.problems[0], len(checked.problems)
        points = counted(len(checked.dry_runs), "point", "points")
        more = f" (and {n - 1} more of {points})" if n > 1 else ""
        raise BadInput([replace(first, complaint=f"{first.complaint}{more}")])


def tried_lines(checked: Checked, plan: Plan, *, study_name: str, max_s: float | None) -> list[str]:
    """Return how many points were tried, and how many were left out when the time was up."""
    n_tried, n_left = len(checked.dry_runs), plan.n_points - len(checked.dry_runs)
    how = "up to their first rung" if checked.is_procedure else "with real batches"
    tried = f"{counted(n_tried, 'point', 'points')} tried {how}"
    if not n_left:
        all_diverged = bool(checked.dry_runs) and all(dry_run.diverged is not None for dry_run in checked.dry_runs)
        return [f"study {study_name} {'gives no value yet' if all_diverged else 'is sound'}: {tried}"]
    over = f"check.max_s={max_s:g} s were over"
    if not n_tried:
        first = f"study {study_name}: nothing could be tried to its end before {over}"
        return [first, "  the first batches take longer, or building the data and the model does: raise check.max_s"]
    left_out = counted(n_left, "point was", "points were")
    return [
        f"study {study_name} is sound as far as it was tried: {tried}",
        f"  {left_out} left out when {over}: a higher value tries more, null tries all",
    ]


def diverged_notes(checked: Checked) -> list[str]:
    """Return at how many points the training diverged in its first batches, and how it did at the first of them."""
    diverged = [dry_run.diverged for dry_run in checked.dry_runs if dry_run.diverged is not None]
    if not diverged:
        return []
    points = f"{len(diverged)} of {counted(len(checked.dry_runs), 'point', 'points')}"
    every = (
        ": correct the metric or the module, or search other values" if len(diverged) == len(checked.dry_runs) else ""
    )
    return [f"note: the training diverges in its first batches at {points} ({diverged[0]}){every}"]


def _study_lines(settings: StudySettings, *, n_stored: int, imports: Compatible | None) -> Iterator[str]:
    """Yield what the study consists of: its size, its objective, its selection, and trials to be imported."""
    size = f"{counted(len(settings.space), 'parameter', 'parameters')}, {_trials(settings.n_trials)}"
    yield f"{size}, {n_stored} in the storage already"
    yield f"objective: {goal(settings.objective)}"
    yield from goal_notes(settings.objective)
    if settings.select.name != "none":
        yield announcement(settings)
    if imports is not None:
        yield f"to be imported: {imports}"


def _time_line(left: Remaining, checked: Checked, *, n_trials: int, n_workers: int, prunes: bool) -> str:
    """Return how long the rest of the study takes, as far as that is known."""
    if not checked.dry_runs and not left.is_nothing:
        return UNTIMED
    provided = PROCEDURE if checked.is_procedure and not left.is_nothing else ""
    return estimate(left, checked.seconds, n_trials=n_trials, n_workers=n_workers, prunes=prunes) + provided


def estimate(left: Remaining, seconds: Sequence[float], *, n_trials: int, n_workers: int, prunes: bool) -> str:
    """Return how long the rest of a study of `n_trials` takes if a trial takes the mean of `seconds`."""
    if left.is_nothing:
        return "nothing is left to do: the study is finished"
    rest = "" if left.trials == n_trials else " that is left" if left.trials == 1 else " that are left"
    trained = [_trials(left.trials) + rest] * bool(left.trials)
    trained += [f"up to {counted(left.trainings, 'training', 'trainings')} of the selection"] * bool(left.trainings)
    what = " and ".join(trained)
    if not seconds:
        return f"{what}. The loader does not tell how long an epoch is, so the time is unknown"
    total = (left.trials + left.trainings) * mean(seconds) / n_workers
    points, less = counted(len(seconds), "point", "points"), _why_less(prunes, left)
    return (
        f"a trial takes about {duration(mean(seconds))} ({duration(min(seconds))} to {duration(max(seconds))} at "
        f"{points} of the space); {what} on {counted(n_workers, 'worker', 'workers')} "
        f"{'at most ' if less else ''}about {duration(total)} and some seconds to start{less}"
    )


def _why_less(prunes: bool, left: Remaining) -> str:
    """Return why the study may take less time than its whole trials would. Empty where it may not."""
    reasons = ["trials are pruned"] * (prunes and left.trials > 0)
    reasons += ["configurations leave the race"] * (left.trainings > 0)
    return f", less where {' or '.join(reasons)}" if reasons else ""


def _trials(n: int) -> str:
    return counted(n, "trial", "trials")
