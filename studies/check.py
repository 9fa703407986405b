"""`python -m studies.check +study=NAME`: find every mistake before an hour is spent, and tell what the study takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import mean
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.command import command
from studies.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from studies.settings import StudySettings
    from studies.trial.preflight import Look

MAX_CORNERS = 40  # points that are tried with real batches


def check(config: DictConfig) -> int:
    """Check everything, train and validate a few batches at the corners and at each branch, and tell the time."""
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
    looks = look(tried, settings.space.corners(limit=MAX_CORNERS))
    failed = [look.problem for look in looks if look.problem is not None]
    if failed:
        more = f" (and {len(failed) - 1} more of {len(looks)} points)" if len(failed) > 1 else ""
        raise BadInput([replace(failed[0], complaint=f"{failed[0].complaint}{more}")])
    begun = len(study.get_trials(deepcopy=False)) if study is not None else 0
    runs_itself = is_procedure(fixed_config(settings))
    how = "up to their first rung" if runs_itself else "with real batches"
    console.print(f"study {settings.study_name} is sound: {len(looks)} points tried {how}")
    console.print(f"  {len(settings.space)} parameters, {settings.n_trials} trials, {begun} in the storage already")
    if settings.select.name != "none":
        console.print(f"  {announcement(settings)}")
    if imports is not None:
        console.print(f"  to be imported: {imports}")
    n_workers = count_workers(settings, gpus=gpu_ids())
    provided = ", if its rungs take as long as the first" if runs_itself else ""
    console.print(f"  {_estimate(settings, looks, n_workers)}{provided}")


def _estimate(settings: StudySettings, looks: Sequence[Look], n_workers: int) -> str:
    from studies.progress import duration

    seconds = sorted(look.seconds for look in looks if look.seconds is not None)
    if not seconds:
        return f"{settings.n_trials} trials; the loader does not tell how long an epoch is, so the time is unknown"
    total = settings.n_trials * mean(seconds) / n_workers
    pruned = ", less where trials are pruned" if settings.pruner.name != "none" else ""
    return (
        f"a trial takes about {duration(mean(seconds))} ({duration(seconds[0])} to {duration(seconds[-1])} at the "
        f"corners); {settings.n_trials} trials on {n_workers} workers about {duration(total)}{pruned}"
    )


main = command(check)

if __name__ == "__main__":
    main()
