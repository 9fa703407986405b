"""`python -m studies.check +study=NAME`: find every mistake before an hour is spent, and tell what the study takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.command import command
from studies.errors import BadInput, Problem
from studies.report.wording import counted

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from rich.console import Console

    from studies.settings import StudySettings
    from studies.trial.trying import Look

MAX_CORNERS = 40  # points that are tried with real batches, to find mistakes
N_TYPICAL = 8  # further points whose mean time stands for all: that of corners is far from it, where sizes are extreme


def check(config: DictConfig) -> int:
    """Check everything, train and validate a batch at the corners and at each branch, and tell the time, by a few more
    batches at points that stand for all."""
    import optuna
    from rich.console import Console

    from studies.experiment import each_part

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = Console(highlight=False, soft_wrap=True)
    for part in each_part(config, are_trained=False):
        _check_study(part.config, console)
    return 0


def _check_study(config: DictConfig, console: Console) -> None:
    from studies.admission import admit
    from studies.launch.elsewhere import on_any_accelerator
    from studies.launch.launcher import count_workers, launcher_problems
    from studies.launch.process import find_problems, gpu_ids
    from studies.search.designs import typical_points
    from studies.search.rounds import announcement
    from studies.storage.identity import find_study, fixed_config
    from studies.storage.importing import find_imports
    from studies.trial.preflight import look
    from studies.trial.procedure import is_procedure

    settings, storage = admit(config)
    study, settings = find_study(settings, storage)
    imports = find_imports(settings, storage, study)
    tried = on_any_accelerator(settings)
    problems = launcher_problems(settings) or find_problems(settings)
    if problems:
        raise BadInput(problems)
    corners = look(tried, settings.space.corners(limit=MAX_CORNERS))
    typical = look(tried, typical_points(settings, N_TYPICAL), timed=True) if not _failed(corners) else []
    looks = [*corners, *typical]
    failed = _failed(looks)
    if failed:
        more = f" (and {len(failed) - 1} more of {counted(len(looks), 'point', 'points')})" if len(failed) > 1 else ""
        raise BadInput([replace(failed[0], complaint=f"{failed[0].complaint}{more}")])
    trials = study.get_trials(deepcopy=False) if study is not None else []
    runs_itself = is_procedure(fixed_config(settings))
    how = "up to their first rung" if runs_itself else "with real batches"
    console.print(f"study {settings.study_name} is sound: {counted(len(looks), 'point', 'points')} tried {how}")
    size = f"{counted(len(settings.space), 'parameter', 'parameters')}, {_trials(settings.n_trials)}"
    console.print(f"  {size}, {len(trials)} in the storage already")
    if settings.select.name != "none":
        console.print(f"  {announcement(settings)}")
    if imports is not None:
        console.print(f"  to be imported: {imports}")
    n_workers = count_workers(settings, gpus=gpu_ids())
    left = left_of(settings, trials, storage)
    seconds = [look.seconds for look in typical if look.seconds is not None]
    provided = ", if the rungs of a trial take as long as the first" if runs_itself and not left.is_nothing else ""
    console.print(f"  {estimate(settings, left, seconds, n_workers)}{provided}")


@dataclass(frozen=True, slots=True)
class Left:
    """What a study has still to train: `trials` of its own, and at most so many `trainings` of its selection."""

    trials: int
    trainings: int

    @property
    def is_nothing(self) -> bool:
        """Whether the study has come to its end."""
        return not self.trials and not self.trainings


def left_of(settings: StudySettings, trials: Sequence[FrozenTrial], storage: BaseStorage) -> Left:
    """What the study of these `trials` has still to train."""
    from studies.search.rounds import most_trainings
    from studies.selection import selection_of
    from studies.storage.slots import read_slots, rules_of

    rules = rules_of(settings)
    finished = sum(rules.is_finished(slot) for slot in read_slots(trials, settings.n_trials))
    if selection_of(settings, trials, storage) is not None:
        return Left(0, 0)
    return Left(settings.n_trials - finished, most_trainings(settings))


def estimate(settings: StudySettings, left: Left, seconds: Sequence[float], n_workers: int) -> str:
    """How long what is `left` takes, in words, if a trial takes the mean of `seconds`."""
    from studies.progress import duration

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


def _why_less(settings: StudySettings, left: Left) -> str:
    """Why it may take less than that."""
    reasons = ["trials are pruned"] * (settings.pruner.name != "none" and left.trials > 0)
    reasons += ["configurations leave the race"] * (left.trainings > 0)
    return f", less where {' or '.join(reasons)}" if reasons else ""


def _failed(looks: Sequence[Look]) -> list[Problem]:
    return [look.problem for look in looks if look.problem is not None]


def _trials(n: int) -> str:
    return counted(n, "trial", "trials")


main = command(check)

if __name__ == "__main__":
    main()
