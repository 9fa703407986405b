"""One training to be done: seed, instantiate, put callbacks, loggers and Trainer together. Knows nothing of Optuna.

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
from studies.trial.callbacks import Rungs
from studies.trial.clocks import Clock, TimeLimit
from studies.trial.company import Company
from studies.trial.compiled import unwrapped
from studies.trial.config_callbacks import callback_of
from studies.trial.cut import Cut, CutShort
from studies.trial.instantiate import instantiate
from studies.trial.keeper import Keeper, Keeping
from studies.trial.length import ScheduleLength, progress_of
from studies.trial.links import Linked
from studies.trial.loggers import build_loggers
from studies.trial.mixing import in_package, refuse_mixing
from studies.trial.package import FABRICS, NAMES, Package, package_of, package_of_target
from studies.trial.plateau import NEVER
from studies.trial.ranks.ranks import ALONE, Ranks
from studies.trial.ranks.stop import StopTogether
from studies.trial.real_number import guard_metrics
from studies.trial.run import Run
from studies.trial.tracked import TrackedRun
from studies.trial.trainer import trainer_class
from studies.trial.training import Watchers

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule


SWITCHED_ON = {"callbacks.Checkpoint": "enable_checkpointing", "callbacks.ProgressBar": "enable_progress_bar"}


@dataclass(frozen=True, slots=True)
class Job:
    """A training to be done, as plain data that another process can be given. See `build`; `checkpoint` is where it
    goes on, None: from the beginning; `second` is a further metric that the module logs; `test`: the test part is
    looked at once, at the end; `tracked` is how loggers show it; `offline_in`: they write there and ask no server.
    `cut`: only so much of it is tried."""

    config: Mapping[str, Any]
    metric: str
    budget: Budget
    seed: int
    folder: Path
    max_trial_s: float | None = None
    keeping: Keeping | None = None
    checkpoint: Path | None = None
    trainer_arguments: Mapping[str, Any] = field(default_factory=dict)
    test: bool = False
    second: str | None = None
    tracked: TrackedRun | None = None
    offline_in: Path | None = None
    cut: Cut | None = None
    linked: Linked | None = None

    def build(self, watchers: Watchers | None = None, *, ranks: Ranks = ALONE) -> Run:
        """A run of this job, with those who follow it."""
        run = build(
            self.config,
            metric=self.metric,
            budget=self.budget,
            seed=self.seed,
            folder=self.folder,
            watchers=watchers,
            keeping=self.keeping,
            max_trial_s=self.max_trial_s,
            ranks=ranks,
            second=self.second,
            tracked=self.tracked,
            offline_in=self.offline_in,
            cut=self.cut,
            linked=self.linked,
            **self.trainer_arguments,
        )
        run.tested_with = self.config if self.test else None
        return run


def build(
    config: Mapping[str, Any],
    *,
    metric: str,
    budget: Budget,
    seed: int,
    folder: Path,
    watchers: Watchers | None = None,
    keeping: Keeping | None = None,
    max_trial_s: float | None = None,
    ranks: Ranks = ALONE,
    second: str | None = None,
    tracked: TrackedRun | None = None,
    offline_in: Path | None = None,
    cut: Cut | None = None,
    linked: Linked | None = None,
    **trainer_arguments: Any,
) -> Run:
    """A run of the resolved `config` (plain values with model, datamodule, trainer, callbacks, loggers).

    Seeds every global random generator with `seed`. Takes everything from the Lightning package that the module derives
    from. Loggers and checkpoints that the config asks for write below `folder`. `keeping` says where and when the
    training saves its own state, None: never. `cut` ends it after a few batches. With several `ranks` the run is one of
    theirs: all build it alike, and fit together. Raises `PackagesMixed`, and whatever the constructors raise.
    """
    quieten_lightning()
    watchers = watchers or Watchers()
    package_of_target(config["model"]["_target_"]).seed_everything(seed)
    datamodule = instantiate(config["datamodule"]) if config.get("datamodule") else None
    values = linked.values(datamodule) if linked is not None else {}
    config = linked.resolved(config, values) if linked is not None else config
    module = instantiate(config["model"])
    package = package_of(module) or Package(NAMES[0])  # whose Trainer says what is wrong with a module of neither
    module = unwrapped(package, module)
    refuse_mixing(package, module, [datamodule])
    guard_metrics(module, [name for name in (metric, second) if name is not None])
    made = package.callback
    rungs = made(Rungs)(
        metric,
        report=watchers.report,
        resumed=watchers.resumed,
        at_epochs=budget.unit == "epochs",
        n_rungs=budget.rungs,
        needs_samples=budget.unit == "samples",
        ranks=ranks,
        second=second,
    )
    tracked = tracked or TrackedRun("", folder.name)
    own = [(callback_of(package, node), node) for node in members(config, "callbacks")]
    study = tracked.study if tracked.kind == "trial" else ""
    company = made(Company)(package, rungs, folder=folder, given=own, ranks=ranks, offline_in=offline_in, study=study)
    callbacks: list[Any] = [company, rungs]
    time_limit = made(TimeLimit)(rungs, limit_s=max_trial_s, now=ranks.now) if max_trial_s is not None else None
    if time_limit is not None:
        callbacks.append(time_limit)
    if budget.unit != "epochs":
        callbacks.append(made(Clock)(rungs, n_rungs=budget.rungs, progress=progress_of(budget), now=ranks.now))
    if budget.unit == "samples":
        shares = bool((config.get("trainer") or {}).get("use_distributed_sampler", True))
        callbacks.append(made(ScheduleLength)(budget.amount, n_ranks=ranks.size, shares_samplers=shares))
    callbacks += [callback for callback, _ in own]
    if own and ranks.size > 1:
        callbacks.append(made(StopTogether)(ranks))
    nodes = {name: in_package(package, node) for name, node in (config.get("loggers") or {}).items() if node}
    loggers = build_loggers(nodes, tracked, opens=ranks.rank == 0, offline_in=offline_in)
    refuse_mixing(package, module, loggers.all)
    cutter = made(CutShort)(cut, rungs, budget) if cut is not None else None
    if cutter is not None:
        callbacks.append(cutter)
    arguments = {
        **(config.get("trainer") or {}),
        **_length(budget, module),
        "callbacks": callbacks,
        "logger": loggers.all,
        "default_root_dir": str(folder),
    }
    arguments["plugins"] = [  # the launcher knows, not SLURM
        *_list(arguments.get("plugins")),
        package.find("plugins.environments.LightningEnvironment")(),
    ]
    if ranks.size > 1:
        asked_for = arguments.get("strategy") or "auto"
        arguments |= {"devices": ranks.size, "strategy": "ddp" if asked_for == "auto" else asked_for}
    for kind, switch in SWITCHED_ON.items():
        if any(isinstance(callback, package.find(kind)) for callback in callbacks):
            arguments[switch] = True
    arguments |= trainer_arguments
    keeper = Keeper(
        rungs,
        last_rung=budget.rungs,
        interrupted=watchers.interrupted,
        keeping=keeping,
        saved=watchers.saved,
        holds=company.holds,
        ranks=ranks,
    )
    trainer = trainer_class(package)(**arguments)

    def between_batches(trainer: Any, stopping: bool) -> bool:
        if not trainer.validating:
            rungs.between_batches(trainer)
            company.between_batches(trainer)
        return keeper.between_batches(trainer, stopping)

    trainer.between_batches = between_batches
    run = Run(
        module, datamodule, trainer, package, rungs, company, keeper, watchers, time_limit, ranks, loggers=loggers
    )
    run.cutter, run.linked = cutter, values
    return run


def quieten_lightning() -> None:
    """Silence the tips and device lines that Lightning prints at each `fit`; its warnings stay, but for one about its
    own use of torch, one about SLURM, whose tasks our launcher starts, those about checkpoints, which we tell, and one
    about schedulers that wait for the first validation."""
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    warnings.filterwarnings("ignore", message=r"The `srun` command is available.*")
    warnings.filterwarnings("ignore", message=r"You're resuming from a checkpoint that ended before the epoch ended.*")
    warnings.filterwarnings("ignore", message=r"The dirpath has changed from.*")
    warnings.filterwarnings(
        "ignore", message=r"ReduceLROnPlateau conditioned on metric .* Skipping learning rate update"
    )
    for name in (*NAMES, *FABRICS):  # the one that was imported last has the say
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.WARNING)


def _length(budget: Budget, module: LightningModule) -> dict[str, Any]:
    """The Trainer's arguments for a budget.

    A module that steps its optimizers itself is counted in batches: Lightning would count the steps of each optimizer.
    """
    if budget.unit == "epochs":
        return {"max_epochs": int(budget.amount), "check_val_every_n_epoch": 1}
    known = budget.unit == "steps" and module.automatic_optimization
    steps = int(budget.amount) if known else -1
    return {"max_epochs": -1, "max_steps": steps, "check_val_every_n_epoch": None, "val_check_interval": NEVER}


def members(config: Mapping[str, Any], group: str) -> list[Mapping[str, Any]]:
    """Return the nodes of a group of a config, such as its callbacks, without those that are null."""
    return [node for node in (config.get(group) or {}).values() if node is not None]


def _list(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
