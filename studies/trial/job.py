"""One training to be done: seeds, and puts module, data, callbacks, loggers and Trainer together.

Nothing that a trial does not need runs in it: no progress bar, logger, summary, sanity check or checkpoint unless the
config asks for one.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.config.budget import Budget
from studies.trial.building.instantiate import callback_of, instantiate
from studies.trial.building.links import Linked
from studies.trial.building.mixing import in_package, refuse_mixing
from studies.trial.building.package import (
    FABRICS,
    NAMES,
    Package,
    package_of,
    package_of_target,
    trainer_class,
    unwrapped,
)
from studies.trial.checkpoints.saver import CheckpointSaver, SavingRule
from studies.trial.loggers.loggers import build_loggers
from studies.trial.loggers.tracked_run import TrackedRun
from studies.trial.other_callbacks import OtherCallbacks
from studies.trial.ranks.agreement import ALONE, StopTogether, TrialRanks
from studies.trial.run import Run
from studies.trial.rungs.batch_limit import BatchLimit, EndAtBatchLimit
from studies.trial.rungs.budget_steps import ScheduleLength
from studies.trial.rungs.clocks import NEVER, Clock, TimeLimit
from studies.trial.rungs.real_number import guard_metrics
from studies.trial.rungs.rungs import Rungs
from studies.trial.training import Watchers

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule


SWITCHED_ON = {"callbacks.Checkpoint": "enable_checkpointing", "callbacks.ProgressBar": "enable_progress_bar"}


@dataclass(frozen=True, slots=True)
class Job:
    """A training to be done, as plain data that another process can be given."""

    config: Mapping[str, Any]  # resolved plain values: model, datamodule, trainer, callbacks, loggers
    metric: str
    budget: Budget
    seed: int
    folder: Path  # loggers and checkpoints write below it
    max_trial_s: float | None = None
    saving: SavingRule | None = None  # where and when the training saves its state, None: never
    checkpoint: Path | None = None  # to resume from
    trainer_arguments: Mapping[str, Any] = field(default_factory=dict)  # which replace those of the config
    test: bool = False  # evaluate the test set at the end
    second: str | None = None  # another metric that the module logs
    tracked: TrackedRun | None = None  # how loggers show it
    offline_in: Path | None = None  # where loggers write instead of to their servers
    batch_limit: BatchLimit | None = None  # how much of the training is tried, None: all of it
    linked: Linked | None = None
    prunes: tuple[type[Exception], ...] = ()  # exceptions by which a module ends its own training early

    def build(self, watchers: Watchers | None = None, *, ranks: TrialRanks = ALONE) -> Run:
        """Seed every global random generator and build what the training needs.

        Takes everything from the Lightning package that the module derives from. Where there are several `ranks`, all
        of them build the job alike and fit together. Raises `PackagesMixed`, and whatever the constructors raise.
        """
        quieten_lightning()
        watchers = watchers or Watchers()
        package_of_target(self.config["model"]["_target_"]).seed_everything(self.seed)
        datamodule = instantiate(self.config["datamodule"]) if self.config.get("datamodule") else None
        values = self.linked.values(datamodule) if self.linked is not None else {}
        config = self.linked.resolved(self.config, values) if self.linked is not None else self.config
        module = instantiate(config["model"])
        package = package_of(module) or Package(NAMES[0])  # its Trainer says why a module of neither is wrong
        module = unwrapped(package, module)
        refuse_mixing(package, module, [datamodule])
        metrics = [name for name in (self.metric, self.second) if name is not None]
        guard_metrics(module, metrics)
        made, shown = package.callback, self.tracked or TrackedRun("", self.folder.name)
        rungs = made(Rungs)(metrics, self.budget, report=watchers.report, resumed=watchers.resumed, ranks=ranks)
        given = [(callback_of(package, node), node) for node in members(config, "callbacks")]
        study = shown.study if shown.kind == "trial" else ""
        others = made(OtherCallbacks)(
            package, rungs, folder=self.folder, given=given, offline_in=self.offline_in, study=study
        )
        time_limit = made(TimeLimit)(rungs, limit_s=self.max_trial_s) if self.max_trial_s is not None else None
        limiter = made(EndAtBatchLimit)(self.batch_limit, rungs) if self.batch_limit is not None else None
        stop = made(StopTogether)(ranks) if given and ranks.size > 1 else None
        clocks = _clocks(package, config, rungs)
        callbacks = [others, rungs, time_limit, *clocks, *(one for one, _ in given), stop, limiter]
        nodes = {name: in_package(package, node) for name, node in (config.get("loggers") or {}).items() if node}
        loggers = build_loggers(nodes, shown, opens=ranks.rank == 0, offline_in=self.offline_in)
        refuse_mixing(package, module, loggers.all)
        trainer = trainer_class(package)(
            **{
                **(config.get("trainer") or {}),
                **_length(self.budget, module),
                **_surroundings(package, config, ranks),
                **_callbacks(package, [one for one in callbacks if one is not None]),
                "logger": loggers.all,
                "default_root_dir": str(self.folder),
                **self.trainer_arguments,
            }
        )
        saver = CheckpointSaver(
            rungs,
            interrupted=watchers.interrupted,
            saving=self.saving,
            saved=watchers.saved,
            weights_replaced=others.weights_replaced,
        )
        run = Run(
            module,
            datamodule,
            trainer,
            package,
            rungs,
            others,
            saver,
            watchers,
            time_limit,
            ranks,
            tested_with=self.config if self.test else None,
            loggers=loggers,
            limiter=limiter,
            linked=values,
            prunes=self.prunes,
        )
        trainer.between_batches = run.between_batches
        return run


def quieten_lightning() -> None:
    """Silence Lightning's lines at each `fit`, and its warnings that do not concern the user.

    Silenced are warnings of its own use of torch, of SLURM (our launcher starts the tasks), of checkpoints (we tell of
    them), and of schedulers before the first validation.
    """
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    warnings.filterwarnings("ignore", message=r"The `srun` command is available.*")
    warnings.filterwarnings("ignore", message=r"You're resuming from a checkpoint that ended before the epoch ended.*")
    warnings.filterwarnings("ignore", message=r"The dirpath has changed from.*")
    warnings.filterwarnings(
        "ignore", message=r"ReduceLROnPlateau conditioned on metric .* Skipping learning rate update"
    )
    for name in (*NAMES, *FABRICS):  # the last imported one decides
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.WARNING)


def _clocks(package: Package, config: Mapping[str, Any], rungs: Rungs) -> list[Any]:
    """Return the callbacks that place the rungs of a budget in steps, samples or seconds."""
    budget = rungs.budget
    clocks: list[Any] = [package.callback(Clock)(rungs)] if budget.unit != "epochs" else []
    if budget.unit == "samples":
        shares = bool((config.get("trainer") or {}).get("use_distributed_sampler", True))
        length = package.callback(ScheduleLength)
        clocks.append(length(budget.amount, n_ranks=rungs.ranks.size, shares_samplers=shares))
    return clocks


def _length(budget: Budget, module: LightningModule) -> dict[str, Any]:
    """Return the Trainer's arguments for a budget.

    A module that steps its optimizers itself is counted in batches: Lightning would count the steps of each optimizer.
    """
    if budget.unit == "epochs":
        return {"max_epochs": int(budget.amount), "check_val_every_n_epoch": 1}
    known = budget.unit == "steps" and module.automatic_optimization
    steps = int(budget.amount) if known else -1
    return {"max_epochs": -1, "max_steps": steps, "check_val_every_n_epoch": None, "val_check_interval": NEVER}


def _surroundings(package: Package, config: Mapping[str, Any], ranks: TrialRanks) -> dict[str, Any]:
    """Return the Trainer's arguments about its environment: our launcher decides on it, not SLURM."""
    trainer = config.get("trainer") or {}
    plugins = [*_list(trainer.get("plugins")), package.find("plugins.environments.LightningEnvironment")()]
    if ranks.size == 1:
        return {"plugins": plugins}
    asked_for = trainer.get("strategy") or "auto"
    return {
        "plugins": plugins,
        "devices": ranks.size,
        "strategy": "ddp" if asked_for == "auto" else asked_for,
    }


def _callbacks(package: Package, callbacks: list[Any]) -> dict[str, Any]:
    """Return the Trainer's arguments for its callbacks, with what some of them need switched on."""
    kinds = [(package.find(kind), switch) for kind, switch in SWITCHED_ON.items()]
    switches = {switch: True for kind, switch in kinds if any(isinstance(one, kind) for one in callbacks)}
    return {"callbacks": callbacks, **switches}


def members(config: Mapping[str, Any], group: str) -> list[Mapping[str, Any]]:
    """Return the nodes of a group of a config, such as its callbacks, without those that are null."""
    return [node for node in (config.get(group) or {}).values() if node is not None]


def _list(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
