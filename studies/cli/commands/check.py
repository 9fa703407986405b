"""`studies.check`: check the config, try batches at points of the space, and estimate the time of the study.

Batches at the corners and at each branch find mistakes. A few more, at typical points, tell the time: a corner has
extreme sizes, so its time is far from the mean. A check ends after `check.max_s` and says what it left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import optuna
from omegaconf import DictConfig
from rich.console import Console

from studies.cli.console import make_console
from studies.cli.experiment import each_part
from studies.cli.sentences.check import diverged_notes, study_lines, time_line, tried_lines
from studies.cli.validation import validate_and_open
from studies.errors import BadInput
from studies.hypotheses.parts import part_names
from studies.launch.launcher import count_workers, launcher_problems
from studies.launch.logs import logs_of_this_run
from studies.launch.preflight.check import check_in_time
from studies.launch.preflight.findings import Checked, Plan
from studies.records.stored import refuse_earlier_schema
from studies.search.designs import typical_points
from studies.selection.run import remaining_of
from studies.storage.compatible import compatible_trials
from studies.storage.identity import find_study
from studies.storage.importing import is_to_import
from studies.text.wording import counted

MAX_CORNERS = 40  # points that are tried to find mistakes
N_TYPICAL = 8  # further points, whose mean time stands for all
AT_LEAST = 0.5  # of check.max_s, where loading torch takes long


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
    lines += [*study_lines(settings, n_stored=len(trials), imports=imports)]
    time_needed = time_line(left, checked, n_trials=settings.n_trials, n_workers=n_workers, prunes=prunes)
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
