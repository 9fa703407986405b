"""The recorded table of a finished designed study: every cell, every seed, every rung."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import yaml
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problem
from studies.sampler_benchmark.table import TableAxis, TrainingTable
from studies.schema import Failure, failure_of
from studies.storage.slots import read_slots


def table_of(study: Study, settings: StudySettings) -> TrainingTable:
    """Return the table of a finished grid. Raises `BadInput` for another study, and for a missing training."""
    if not settings.is_designed or settings.space.is_conditional:
        what = "has conditions" if settings.is_designed else f"was searched by {settings.sampler.name}"
        remedy = "record a grid without conditions (sampler=grid), such as +study=recorded_table"
        raise BadInput([Problem("study_name", f"is {study.study_name}, which {what}", remedy)])
    axes = tuple(TableAxis(p.name, tuple(p.levels or ()), p.type != "categorical") for p in settings.space)
    trials = _ended(study, settings.n_trials)
    shape = (*(len(axis.levels) for axis in axes), settings.replicates)
    values = np.full((*shape, settings.budget.rungs), np.nan)
    seconds = np.full(shape, np.nan)
    for trial in trials:
        place = (*(axis.levels.index(trial.params[axis.name]) for axis in axes), trial.user_attrs[schema.REPLICATE])
        for rung, value in trial.intermediate_values.items():
            values[(*place, rung - 1)] = value
        seconds[place] = trial.user_attrs[schema.SECONDS]
    return TrainingTable(
        axes, settings.objective.direction, settings.objective.metric, values, seconds, _origin(study, trials)
    )


def _ended(study: Study, n_trials: int) -> list[FrozenTrial]:
    """Return the trial of each slot. Raises `BadInput` if one neither ended in full nor diverged."""
    last = [slot.last for slot in read_slots(study.get_trials(deepcopy=False), n_trials)]
    whole = [t for t in last if t.state == TrialState.COMPLETE or failure_of(t) is Failure.DIVERGED]
    if len(whole) < n_trials:
        complaint = f"is {study.study_name}, which lacks {n_trials - len(whole)} of its trainings"
        remedy = "run it to its end, or correct the cause of its failures and run it anew"
        raise BadInput([Problem("study_name", complaint, remedy)])
    return whole


def _origin(study: Study, trials: Sequence[FrozenTrial]) -> Mapping[str, Any]:
    """Return the origin of the numbers, without the name of the machine."""
    recorded = study.user_attrs
    ended = [trial.datetime_complete for trial in trials if trial.datetime_complete is not None]
    threads = sorted({int(trial.user_attrs.get(schema.THREADS, 0)) for trial in trials})
    return {
        "study": study.study_name,
        "config": yaml.safe_load(recorded[schema.STUDY_CONFIG]),
        "space": yaml.safe_load(recorded[schema.STUDY_SPACE]),
        "budget": recorded[schema.STUDY_BUDGET],
        "versions": recorded[schema.STUDY_VERSIONS],
        "git": recorded[schema.STUDY_GIT],
        "fingerprint": recorded[schema.STUDY_FINGERPRINT],
        "date": max(ended, default=datetime.now(UTC)).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, no GPU used",
        "devices": sorted({str(trial.user_attrs.get(schema.DEVICE)) for trial in trials}),
        "threads": threads,
        "trainings": len(trials),
        "diverged": sum(1 for trial in trials if failure_of(trial) is Failure.DIVERGED),
    }
