"""What `studies.check` says: the tried points, the findings, and the time of the study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from studies.cli.progress import duration
from studies.config.settings import StudySettings
from studies.launch.preflight.findings import Checked, Plan
from studies.reporting.goal import goal, goal_notes
from studies.selection.rounds import announcement
from studies.selection.run import Remaining
from studies.storage.compatible import Compatible
from studies.text.wording import counted

UNTIMED = "no training was tried to its end, so the time is unknown"
PROCEDURE = ", if the rungs of a trial take as long as the first"


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


def study_lines(settings: StudySettings, *, n_stored: int, imports: Compatible | None) -> Iterator[str]:
    """Yield what the study consists of: its size, its objective, its selection, and trials to be imported."""
    size = f"{counted(len(settings.space), 'parameter', 'parameters')}, {_trials(settings.n_trials)}"
    yield f"{size}, {n_stored} in the storage already"
    yield f"objective: {goal(settings.objective)}"
    yield from goal_notes(settings.objective)
    if settings.select.name != "none":
        yield announcement(settings)
    if imports is not None:
        yield f"to be imported: {imports}"


def time_line(left: Remaining, checked: Checked, *, n_trials: int, n_workers: int, prunes: bool) -> str:
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
