"""Searches of the trust benchmark by the project's own samplers and pruners, stored as a worker stores real trials.

A search is a function of the surface, its name, the number of trials and the seed. Searches of different sizes are
independent: none is the beginning of another. A cache keeps their trials in JSON files, so that estimators are
compared on the same trials. A file is used if its surface still gives the same values at its points.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from trust_surfaces import problem_of

from studies import schema
from studies.config.settings import StudySettings
from studies.sampler_benchmark.problem import BenchmarkProblem, Observation
from studies.sampler_benchmark.search_settings import search_settings
from studies.schema import Failure
from studies.search.exploration import DEFAULT_FRACTION, OPTION
from studies.search.pruners import make_pruner
from studies.search.samplers import StudySampler
from studies.search.seeds import replicate_of, training_seed
from studies.storage.creation import open_study


@dataclass(frozen=True, slots=True)
class Kind:
    """A sampler and a pruner, with the options that a study with an analysis has by default."""

    sampler: Mapping[str, Any]
    pruner: str = "none"


TPE = {"name": "tpe", OPTION: DEFAULT_FRACTION}
SEARCHES: Mapping[str, Kind] = {
    "random": Kind({"name": "random"}),
    "tpe": Kind(TPE),
    "pruned": Kind(TPE, "median"),
}
SIZES = (30, 60, 100, 200)


def study_of(surface: str, search: str, n: int, seed: int, cache: Path | None = None) -> optuna.Study:
    """Return a finished study of `n` trials. With a folder as `cache`, it is searched once and then read from there."""
    settings = _settings(surface, search, n, seed)
    problem = problem_of(surface)
    file = None if cache is None else cache / f"{surface}-{search}-{n}-{seed}.json"
    kept = json.loads(file.read_text()) if file is not None and file.exists() else None
    if kept is None or not all(_is_of(problem, settings, trial) for trial in kept):
        kept = [_plain(trial) for trial in _searched(problem, settings).get_trials(deepcopy=False)]
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(".tmp")
            aside.write_text(json.dumps(kept))
            aside.replace(file)
    study = open_study(settings, InMemoryStorage())
    study.add_trials([_stored(trial, settings) for trial in kept])
    return study


def _settings(surface: str, search: str, n: int, seed: int) -> StudySettings:
    parts = [zlib.crc32(f"{surface} {search}".encode()), n, seed]
    return replace(_parsed(surface, search, n), seed=int(np.random.SeedSequence(parts).generate_state(1)[0]))


@cache
def _parsed(surface: str, search: str, n: int) -> StudySettings:
    kind = SEARCHES[search]
    return search_settings(problem_of(surface), sampler=kind.sampler, pruner={"name": kind.pruner}, n_trials=n)


def _searched(problem: BenchmarkProblem, settings: StudySettings) -> optuna.Study:
    """Run a search in memory, as one worker does."""
    storage = InMemoryStorage()
    sampler = StudySampler(settings)
    pruner = make_pruner(settings.pruner, settings.objective, rungs=settings.budget.rungs)
    name = open_study(settings, storage).study_name
    study = optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
    for slot in range(settings.n_trials):
        trial = study.ask()
        replicate = replicate_of(settings, slot)
        attributes = {
            schema.SLOT: slot,
            schema.REPLICATE: replicate,
            schema.SEED: training_seed(settings.seed, replicate),
            schema.SOURCE: sampler.source(slot),
        }
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        point = settings.space.suggest(trial)
        _train(study, trial, _seen(problem, settings, slot, point), n_rungs=problem.n_rungs)
    return study


def _seen(problem: BenchmarkProblem, settings: StudySettings, slot: int, point: Mapping[str, Any]) -> Observation:
    random = np.random.default_rng([settings.seed, slot])
    return problem.observe(dict(point), replicate=replicate_of(settings, slot), random=random)


def _train(study: optuna.Study, trial: optuna.Trial, seen: Observation, *, n_rungs: int) -> None:
    """Tell the study the values of a trial, rung by rung."""
    for rung, value in enumerate(seen.values, start=1):
        trial.report(value, rung)
        if rung < n_rungs and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    if len(seen.values) < n_rungs:
        trial.set_user_attr(schema.FAILURE, Failure.DIVERGED)
        study.tell(trial, state=TrialState.PRUNED)
        return
    study.tell(trial, seen.values[-1])


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "state": trial.state.name,
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "params": trial.params,
        "reports": {str(rung): value for rung, value in trial.intermediate_values.items()},
        "attributes": trial.user_attrs,
    }


def _stored(kept: Mapping[str, Any], settings: StudySettings) -> FrozenTrial:
    return create_trial(
        state=TrialState[kept["state"]],
        value=kept["value"],
        params=kept["params"],
        distributions={name: settings.space[name].distribution() for name in kept["params"]},
        intermediate_values={int(rung): value for rung, value in kept["reports"].items()},
        user_attrs=kept["attributes"],
    )


def _is_of(problem: BenchmarkProblem, settings: StudySettings, kept: Mapping[str, Any]) -> bool:
    """Return whether the trial at this point would report these values."""
    values = _seen(problem, settings, kept["attributes"][schema.SLOT], kept["params"]).values
    return list(kept["reports"].values()) == list(values[: len(kept["reports"])])
