"""The runs of a sampler benchmark, read off its trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.space import SearchSpace
from studies.config.targets import find_target
from studies.sampler_benchmark import Search
from studies.sampler_benchmark.runs import JOINED, BenchmarkRun

PROBLEM = "model.problem"  # what is searched below this key makes up the problem, all else the sampler
NO_PRUNER = "none"


def is_benchmark(template: DictConfig) -> bool:
    """Return whether the trials of a study with this `template` are searches."""
    return find_target(str(OmegaConf.select(template, "model._target_"))) is Search


def runs_of(trials: Sequence[FrozenTrial], space: SearchSpace, template: DictConfig) -> list[BenchmarkRun]:
    """Return the searches that came to their end, by problem and sampler in the order of the search space."""
    whole = [t for t in trials if t.state == TrialState.COMPLETE and "regret" in t.user_attrs.get(schema.RESULT, {})]
    runs = [_run(trial, space, template) for trial in whole]
    order = {name: i for i, name in enumerate(_labels(space))}
    return sorted(runs, key=lambda run: (_place(run.problem, order), _place(run.sampler, order), run.seed))


def _run(trial: FrozenTrial, space: SearchSpace, template: DictConfig) -> BenchmarkRun:
    result = trial.user_attrs[schema.RESULT]
    training, sampler = np.array(result["training_seconds"]), np.array(result["sampler_seconds"])
    return BenchmarkRun(
        problem=_label(trial, space, of_problem=True) or _fixed_problem(template),
        sampler=_label(trial, space, of_problem=False) or str(OmegaConf.select(template, "model.sampler.name")),
        seed=int(trial.user_attrs[schema.REPLICATE]),
        regret=np.array(result["regret"]),
        epochs=np.array(result["epochs"], dtype=float),
        seconds=training + sampler,
        near=float(result["near"]),
        sampler_s=float(sampler[-1]),
        unit=float(result["unit"]),
    )


def _label(trial: FrozenTrial, space: SearchSpace, *, of_problem: bool) -> str:
    """Return what a trial varied of its problem, or else of its sampler. Empty if the benchmark has only one."""
    words = [
        str(trial.params[p.name])
        for p in space
        if p.name in trial.params and p.paths[0].startswith(PROBLEM) == of_problem
    ]
    words = [word for word in words if of_problem or word != NO_PRUNER]
    return JOINED.join(words)


def _fixed_problem(template: DictConfig) -> str:
    return str(OmegaConf.select(template, f"{PROBLEM}._target_")).rpartition(".")[2]


def _labels(space: SearchSpace) -> list[str]:
    return list(dict.fromkeys(str(choice) for p in space for choice in p.choices))


def _place(label: str, order: dict[str, int]) -> tuple[int, ...]:
    return tuple(order.get(word, len(order)) for word in label.split(JOINED))
