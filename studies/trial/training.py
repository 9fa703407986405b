"""One training: seed, instantiate, fit, read the metric. Knows nothing of Optuna.

Nothing that a trial does not need runs in it: no progress bar, logger, summary, sanity check or checkpoint unless the
config asks for one.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parameter import is_lazy

from studies.budget import Budget
from studies.trial.callbacks import Interrupted, Rung, Rungs
from studies.trial.clocks import Clock, TimeLimit
from studies.trial.company import Company
from studies.trial.compiled import unwrapped
from studies.trial.config_callbacks import callback_of
from studies.trial.cut import Cut, CutShort
from studies.trial.failures import classify
from studies.trial.instantiate import instantiate
from studies.trial.keeper import Keeper, Keeping, Saved
from studies.trial.length import ScheduleLength, progress_of
from studies.trial.links import Linked, Plain
from studies.trial.loggers import Loggers, build_loggers
from studies.trial.memory import Peak
from studies.trial.mixing import in_package, refuse_mixing
from studies.trial.package import FABRICS, NAMES, Package, package_of, package_of_target
from studies.trial.plateau import NEVER
from studies.trial.ranks.ranks import ALONE, Ranks
from studies.trial.ranks.stop import StopTogether
from studies.trial.test_part import Scores, look_at_test_part
from studies.trial.tracked import TrackedRun
from studies.trial.trainer import trainer_class
from studies.trial.trajectory import trajectory_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule


SWITCHED_ON = {"callbacks.Checkpoint": "enable_checkpointing", "callbacks.ProgressBar": "enable_progress_bar"}


def report_nothing(_rung: Rung) -> bool:
    """Go on, whatever the rung shows."""
    return False


def tell_nobody(_news: object) -> None:
    """Nobody wants to know."""


def never() -> str | None:
    """Nobody interrupts."""
    return None


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave, all that went into its checkpoint included where it went on from one.

    `seconds` are those of `fit`; `steps` are optimizer steps. `peak_memory_mb` is that of the GPU, or else of the
    process; None where the system does not tell it for this training alone. `test` is empty unless the job asks for it
    and the training came to its end.
    """

    rungs: tuple[Rung, ...]
    stopped: bool
    diverged: str | None
    out_of_time: bool
    steps: int
    samples_seen: int | None
    seconds: float
    device: str
    threads: int
    peak_memory_mb: float | None
    n_parameters: int = 0
    trajectory: str = ""
    found: Mapping[str, float] = field(default_factory=dict)
    note: str | None = None
    fell_short: str | None = None
    test: Scores = field(default_factory=Scores)
    logger_failures: Mapping[str, str] = field(default_factory=dict)  # what each logger that failed has failed with
    linked: Mapping[str, Plain] = field(default_factory=dict)  # what links have written into its config

    def state(self) -> str:
        """How it ended, in one word."""
        if self.diverged or self.stopped:
            return "diverged" if self.diverged else "pruned"
        return "complete" if self.rungs else "error"

    def value(self, *, counts: str, maximize: bool) -> float | None:
        """The value at the rung that counts: the last one, or the best. None where there is none."""
        if not self.rungs:
            return None
        sign = 1 if maximize else -1
        return max(self.rungs, key=lambda rung: sign * rung.value).value if counts == "best" else self.rungs[-1].value


def keep_nothing(_training: Training) -> bool:
    """The state at the end is of no more use."""
    return False


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who follows a training: is told each rung and says whether to stop; is asked after each batch for a reason to
    give up at once; is told of each checkpoint, and of the rungs reached before where the training goes on from one;
    says of what it gave whether the state at its end is to be kept."""

    report: Callable[[Rung], bool] = report_nothing
    interrupted: Callable[[], str | None] = never
    saved: Callable[[Saved], None] = tell_nobody
    resumed: Callable[[tuple[Rung, ...]], None] = tell_nobody
    keeps: Callable[[Training], bool] = keep_nothing


@dataclass(slots=True)
class Run:
    """A module with its data, loggers and Trainer, ready to fit."""

    module: LightningModule
    datamodule: LightningDataModule | None
    trainer: Any  # a Trainer of `package`, see `trainer_class`
    package: Package
    rungs: Rungs
    company: Company
    keeper: Keeper
    watchers: Watchers
    time_limit: TimeLimit | None = None
    ranks: Ranks = ALONE
    tested_with: Mapping[str, Any] | None = None  # the config of a test at the end
    loggers: Loggers = field(default_factory=Loggers)
    cutter: CutShort | None = None
    linked: Mapping[str, Plain] = field(default_factory=dict)  # what links have written into the config

    def fit(self, checkpoint: Path | None = None, *, stays_open: bool = False) -> Training:
        """Train to the end of the budget, or until something stops it; `checkpoint`: go on from there. Saves the state
        at the end where the watchers keep it. The loggers end their runs, unless one that gave a value `stays_open`.

        Raises `Interrupted` where it was asked to stop. Exceptions of the module come through, and those of a
        checkpoint that does not fit.
        """
        try:
            self.trainer.loggers = self.loggers.begin()
            training = self._fit(checkpoint)
        except BaseException as error:
            self.failed(error)
            raise
        if not stays_open:
            self.ended(training, training.test.metrics)
        return replace(training, logger_failures=dict(self.loggers.failures), linked=self.linked)

    def ended(self, training: Training, scores: Mapping[str, float] | None = None) -> None:
        """Have the loggers end their runs with what `training` gave, and with the `scores` of a test."""
        tracked = self.loggers.run
        state, value = training.state(), training.value(counts=tracked.counts, maximize=tracked.maximize)
        self.loggers.end(state, value=value if state == "complete" else None, metrics=scores)

    def failed(self, error: BaseException) -> None:
        """Have the loggers end their runs with the failure that `error` is."""
        self.loggers.end("pruned" if isinstance(error, self.loggers.run.prunes) else str(classify(error)[0]))

    def _fit(self, checkpoint: Path | None) -> Training:
        device = self.trainer.strategy.root_device
        folder = Path(self.trainer.default_root_dir)
        was_there = folder.exists()
        peak = Peak(device)
        self.rungs.begun = time.perf_counter()
        self.company.goes_on = checkpoint is not None
        try:
            self.trainer.fit(self.module, datamodule=self.datamodule, ckpt_path=checkpoint, weights_only=True)
        except self.package.sigterm:
            raise Interrupted(self.keeper.reason or "SIGTERM") from None
        finally:
            if not was_there:
                _remove_if_empty(folder)
        own_mb = peak.mb()
        shared = self.ranks.share("end", math.nan if own_mb is None else own_mb, self.rungs.loss_sum)
        peaks, losses = [mb for mb, _ in shared], [loss for _, loss in shared]
        training = Training(
            rungs=tuple(self.rungs.rungs),
            stopped=self.rungs.stopped,
            diverged=self.rungs.diverged,
            out_of_time=self.time_limit is not None and self.time_limit.reached,
            steps=self.trainer.global_step,
            samples_seen=self.rungs.count(),
            seconds=self.rungs.seconds,
            device=str(device) if self.ranks.size == 1 else f"{self.ranks.size} × {device.type}",
            threads=torch.get_num_threads(),
            peak_memory_mb=None if any(map(math.isnan, peaks)) else max(peaks),
            n_parameters=sum(p.numel() for p in self.module.parameters() if not is_lazy(p)),
            trajectory=trajectory_of(losses, self.module),
            found=dict(self.company.found),
            note=self.company.note,
            fell_short=self.rungs.fell_short,
        )
        if self.watchers.keeps(training):
            self.keeper.save(self.trainer, ended=True)
        if self.tested_with is None or training.stopped or training.diverged or not training.rungs:
            return training
        return replace(training, test=look_at_test_part(self.module, self.datamodule, config=self.tested_with))


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
    own = [(callback_of(package, node), node) for node in members(config, "callbacks")]
    company = made(Company)(package, rungs, folder=folder, given=own, ranks=ranks, offline_in=offline_in)
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
    tracked = tracked or TrackedRun("", folder.name)
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


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder that a finder has left, unless it holds anything."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _list(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
