"""Trains one configuration to its end and evaluates the test set once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from scipy.stats import binomtest

from studies.analysis.estimate import Estimate
from studies.analysis.levels import LEVEL
from studies.config.budget import Budget
from studies.config.settings import FIXED_KEYS, Link
from studies.errors import StudyError
from studies.schema import is_share
from studies.trial.building.links import Linked, plain
from studies.trial.checkpoints.state_file import secrets_kept_out
from studies.trial.job import Job
from studies.trial.loggers.tracked_run import tracked_retraining
from studies.trial.run import Run
from studies.trial.testing import evaluate_test_set
from studies.trial.training import Training, Watchers, never

MODEL, PART, RESULT = "model.ckpt", "model.part", "result.yaml"
LEFT = (MODEL, PART, RESULT, "error.log")  # files of a retraining


@dataclass(frozen=True, slots=True)
class RetrainingResult:
    """The results of a retraining."""

    value: float  # of the study's metric at the last rung
    metrics: Mapping[str, float]  # that the module logs in testing
    n: int | None  # test samples, None if unknown
    checkpoint: Path

    def estimate(self, name: str) -> Estimate:
        """Return a metric of the test. A share of the samples has its interval (Wilson 1927)."""
        value = self.metrics[name]
        if not is_share(name) or not 0 <= value <= 1 or not self.n:
            return Estimate(value)
        found = binomtest(round(value * self.n), self.n).proportion_ci(LEVEL, method="wilson")
        return Estimate(value, found.low, found.high, self.n)


def train_and_test(
    config: Mapping[str, Any],
    *,
    budget: Budget,
    folder: Path,
    interrupted: Callable[[], str | None] = never,
) -> RetrainingResult:
    """Train `config` under its seed and with its number of threads, and test once if the module can be tested.

    Writes `folder`/model.ckpt (aside, then renamed) and `folder`/result.yaml. Raises `StudyError` if the training
    diverges, and any exception of the module.
    """
    if config.get("threads"):
        torch.set_num_threads(config["threads"])
    config = on_one_device(config)
    metric, seed = config["objective"]["metric"], config["training_seed"]
    tracked = tracked_retraining(config, budget=budget, name=folder.name)
    job = Job(config, metric, budget, seed, folder, tracked=tracked, linked=_linked(config))
    run = job.build(Watchers(interrupted=interrupted))
    training = run.fit(stays_open=True)
    try:
        tested = _test(run, training, config, folder=folder)
    except BaseException as error:
        run.ended(training) if training.diverged else run.failed(error)
        raise
    run.ended(training, tested.metrics)
    return tested


def _linked(config: Mapping[str, Any]) -> Linked | None:
    """Return the links of a best.yaml. The data are set up as in the search, and have to give the same values."""
    links, known = config.get("links"), config.get("linked")
    if not isinstance(links, Mapping) or not links:
        return None
    values = {str(target): plain(value) for target, value in known.items()} if isinstance(known, Mapping) else {}
    written = {key: config[key] for key in FIXED_KEYS if key in config}
    return Linked(tuple(Link(str(target), str(source)) for target, source in links.items()), written, values)


def _test(run: Run, training: Training, config: Mapping[str, Any], *, folder: Path) -> RetrainingResult:
    """Save the final state of `training`, and test it."""
    metric = config["objective"]["metric"]
    if training.diverged or not training.rungs:
        raise StudyError(f"the training gave no value: {training.diverged or 'it ended before its first rung'}")
    checkpoint, aside = folder / MODEL, folder / PART
    with secrets_kept_out(run.trainer.strategy):
        run.trainer.save_checkpoint(aside, weights_only=True)
    aside.replace(checkpoint)
    found = evaluate_test_set(run.module, run.datamodule, config=config)
    value = training.rungs[-1].value
    counted = {} if found.n is None else {"n_test_samples": found.n}
    (folder / RESULT).write_text(
        yaml.safe_dump({metric: value, **found.metrics, **counted}, allow_unicode=True), encoding="utf-8"
    )
    return RetrainingResult(value, found.metrics, found.n, checkpoint)


def on_one_device(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `config` for this one process. After a trial on several devices, it accumulates so many batches a step.

    A step then takes as many samples as in the trial.
    """
    n_devices, trainer = config.get("devices_per_trial") or 1, config.get("trainer") or {}
    if n_devices == 1:
        return config
    n_batches = n_devices * (trainer.get("accumulate_grad_batches") or 1)
    return {**config, "trainer": {**trainer, "accumulate_grad_batches": n_batches, "strategy": "auto"}}
