"""Selections after a search on known values, run by the framework's own worker, and their reports."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import optuna
from landscapes import Landscape, Point, run_selection
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from studies.cli.reports import report_study
from studies.config.settings import StudySettings
from studies.selection.steps import Selection

MakeSettings = Callable[..., StudySettings]
RACE = ("select=race", "select.k=4", "select.seeds=4", "select.estimate_seeds=5", "launcher=serial")
CHEAP = ("sampler=random", "pruner=none", "analysis=none")
ANALYSES = (3, 4)


def by_dropout(point: Point) -> float:
    """The less dropout the better, from .8 to .9."""
    return 0.9 - 0.2 * float(point["dropout"])


def trials_of(name: str, storage: BaseStorage) -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def selection_of(
    settings: StudySettings, storage: BaseStorage, landscape: Landscape
) -> tuple[Selection, list[StudySettings]]:
    selection, rounds = run_selection(settings, storage, landscape)
    assert selection is not None
    return selection, rounds


def best_points(settings: StudySettings, storage: BaseStorage, k: int) -> list[dict[str, Any]]:
    complete = [t for t in trials_of(settings.study_name, storage) if t.state == TrialState.COMPLETE]
    return [t.params for t in sorted(complete, key=lambda t: -(t.value or 0))[:k]]


def report_of(settings: StudySettings, storage: BaseStorage, selection: Selection | None) -> tuple[str, str]:
    """What the report prints, and report.md."""
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    out = StringIO()
    console = Console(file=out, soft_wrap=True, width=600)
    report_study(study, settings, console=console, selection=selection)
    return out.getvalue(), (settings.output_dir / "report.md").read_text()
