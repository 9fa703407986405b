"""The runs of a sampler benchmark, read off its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.config.targets import find_target
from studies.sampler_benchmark import Search
from studies.sampler_benchmark.runs import JOINED, BenchmarkRun

PROBLEM = "model.problem"  # what is searched below this key makes up the problem, all else the sampler
NO_PRUNER = "none"


def is_benchmark(settings: StudySettings) -> bool:
    """Return whether the trials of this study are searches."""
    return find_target(str(OmegaConf.select(settings.template, "model._target_"))) is Search


def runs_of(trials: Sequence[FrozenTrial], settings: StudySettings) -> list[BenchmarkRun]:
    """Return the searches that came to their end, by problem and sampler in the order of the search space."""
    whole = [t for t in trials if t.state == TrialState.COMPLETE and "regret" in t.user_attrs.get(schema.RESULT, {})]
    runs = [_run(trial, settings) for trial in whole]
    order = {name: i for i, name in enumerate(_labels(settings))}
    return sorted(runs, key=lambda run: (_place(run.problem, order), _place(run.sampler, order), run.seed))


def _run(trial: FrozenTrial, settings: StudySettings) -> BenchmarkRun:
    result = trial.user_attrs[schema.RESULT]
    training, sampler = np.array(result["training_seconds"]), np.array(result["sampler_seconds"])
    return BenchmarkRun(
        problem=_label(trial, settings, of_problem=True),
        sampler=_label(trial, settings, of_problem=False),
        seed=int(trial.user_attrs[schema.REPLICATE]),
        regret=np.array(result["regret"]),
        epochs=np.array(result["epochs"], dtype=float),
        seconds=training + sampler,
        near=float(result["near"]),
        sampler_s=float(sampler[-1]),
        unit=float(result["unit"]),
    )


def _label(trial: FrozenTrial, settings: StudySettings, *, of_problem: bool) -> str:
    words = [
        str(trial.params[p.name])
        for p in settings.space
        if p.name in trial.params and p.paths[0].startswith(PROBLEM) == of_problem
    ]
    words = [word for word in words if of_problem or word != NO_PRUNER]
    return JOINED.join(words) or _fixed(settings, of_problem=of_problem)


def _fixed(settings: StudySettings, *, of_problem: bool) -> str:
    """Return the name of what the benchmark does not vary."""
    if of_problem:
        return str(OmegaConf.select(settings.template, f"{PROBLEM}._target_")).rpartition(".")[2]
    return str(OmegaConf.select(settings.template, "model.sampler.name"))


def _labels(settings: StudySettings) -> list[str]:
    return list(dict.fromkeys(str(choice) for p in settings.space for choice in p.choices))


def _place(label: str, order: dict[str, int]) -> tuple[int, ...]:
    return tuple(order.get(word, len(order)) for word in label.split(JOINED))
