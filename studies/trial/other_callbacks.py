"""Looks after the callbacks of the config and of the module itself.

Context: other callbacks write files, search for a learning rate inside `fit`, or replace the weights at the end of a
training, for example by averages. Then the last rung has judged other weights than the final ones. Choice: one callback
inspects all others in the first hook that sees them, and removes itself if there are none. It validates changed weights
once more, and takes that value for the last rung. Cost: two sums over all weights at each rung, only in trials with
other callbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parameter import is_lazy

from studies.trial.building.mixing import refuse_mixing
from studies.trial.building.package import Package
from studies.trial.checkpoints.files import claim_own, own_checkpoints, trial_name
from studies.trial.checkpoints.resuming import KEY
from studies.trial.finders import Finders
from studies.trial.rungs.rungs import KeepsState, Rungs

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

log = logging.getLogger(__name__)
WEIGHT_HOOKS = ("on_validation_start", "on_validation_epoch_start", "on_train_end")  # a module may change weights here


class OtherCallbacks(KeepsState):
    """Looks after the other callbacks of one trial. `given` holds those of the config with their nodes.

    With `offline_in` their files go there instead of to their own places. `study` is the name of the trial's study, if
    any.
    """

    def __init__(
        self,
        package: Package,
        rungs: Rungs,
        *,
        folder: Path,
        given: Sequence[tuple[Any, Mapping[str, Any]]] = (),
        offline_in: Path | None = None,
        study: str = "",
    ) -> None:
        self.found: dict[str, float] = {}
        self.note: str | None = None
        self.resumes = False
        self._package = package
        self._rungs = rungs
        self._folder = folder
        self._finders = Finders(package, given)
        self._offline_in = offline_in
        self._study = study
        self._is_there = False
        self._is_ending = False
        self._n_seen = 0
        self._steps = 0
        self._at_rung: torch.Tensor | None = None
        self._before_validation: torch.Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the results of finders."""
        return {"found": self.found}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Inspect all callbacks. Leave if there are no others and the module changes no weights by itself.

        Raises `PackagesMixed` where one is of another Lightning package than the module.
        """
        callbacks: Any = trainer
        ours = [one for one in callbacks.callbacks if is_ours(one)]
        foreign = [one for one in callbacks.callbacks if not is_ours(one)]
        refuse_mixing(self._package, pl_module, foreign)
        if not foreign and not any(self._package.is_overridden(hook, pl_module) for hook in WEIGHT_HOOKS):
            callbacks.callbacks = [one for one in ours if one is not self]
            return
        self._is_there = self._rungs.holds_last = True
        for callback in foreign:
            self._keep_apart(callback)
        if self.resumes:
            self._finders.leave_out(trainer)
        self._end_after(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Give the module the saved results of finders, before its optimizers and loaders are made."""
        if KEY in checkpoint:
            self.found = dict(checkpoint["callbacks"].get(self.state_key, {}).get("found", {}))
            self._finders.set(pl_module, self.found)
            forget_files(checkpoint["callbacks"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the results of finders: Lightning asks the finders first."""
        self.found |= self._finders.found(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the weights of the training before another callback replaces them."""
        self._before_validation = None if self._is_ending else weights_digest(pl_module)

    def between_batches(self, trainer: Trainer) -> None:
        """Note the weights that a new rung has judged."""
        if self._is_there and len(self._rungs.rungs) > self._n_seen:
            self._n_seen, self._steps = len(self._rungs.rungs), trainer.global_step
            self._at_rung = weights_digest(trainer.lightning_module)

    def weights_replaced(self, trainer: Trainer) -> bool:
        """Return whether a validation or the end has replaced the training's weights, so that no state can be saved."""
        before = self._before_validation
        has_swapped = before is not None and not torch.equal(before, weights_digest(trainer.lightning_module))
        return self._is_ending or (trainer.validating and has_swapped)

    def _end_after(self, trainer: Trainer) -> None:
        """Have `_end` called at the end of the training, after the hooks of all callbacks and of the module.

        No callback comes after the module's own hook, but Lightning calls the strategy last.
        """
        strategy: Any = trainer.strategy
        own = strategy.on_train_end

        def on_train_end() -> None:
            own()
            strategy.on_train_end = own
            self._end(trainer, trainer.lightning_module)

        strategy.on_train_end = on_train_end

    def _end(self, trainer: Trainer, module: LightningModule) -> None:
        """Validate once more if the weights have changed since the last rung. Report that rung."""
        rungs = self._rungs
        self.found |= self._finders.found(trainer, module)
        has_ended_there = rungs.is_held or self._steps == trainer.global_step
        if self._at_rung is not None and has_ended_there and not rungs.stopped and not rungs.diverged:
            changed = not torch.equal(self._at_rung, weights_digest(module))
            if any(has_changed for (has_changed,) in self._rungs.ranks.share("weights", changed)):
                self._judge_again(trainer)
        rungs.tell_last()

    def _keep_apart(self, callback: Any) -> None:
        """Have a checkpoint callback write into a folder of this trial."""
        if isinstance(callback, self._package.find("callbacks.Checkpoint")) and hasattr(callback, "dirpath"):
            callback.dirpath = callback_folder(callback.dirpath if self._offline_in is None else None, self._folder)
            if self._study and Path(callback.dirpath) == own_checkpoints(self._folder):
                claim_own(self._folder, study_name=self._study)

    def _judge_again(self, trainer: Trainer) -> None:
        values = None
        if trainer.enable_validation:
            self._validate(trainer)
            values = self._rungs.read(trainer)
        if values is not None:
            last = self._rungs.rungs[-1]
            self._rungs.rungs[-1] = replace(last, value=values[0], second=values[1] if len(values) > 1 else None)
        elif not self._rungs.diverged:
            self.note = "the weights were changed after the last rung, and no validation logs the metric"
            log.warning("the value is not that of the final weights: %s", self.note)

    def _validate(self, trainer: Trainer) -> None:
        """Run a validation as the training's own loop does."""
        loop = trainer.fit_loop.epoch_loop.val_loop
        loop.restarting = False
        self._is_ending = trainer.validating = True
        loop.run()
        trainer.training = True


def is_ours(callback: object) -> bool:
    """Return whether `callback` belongs to the framework."""
    return type(callback).__module__.startswith("studies.")


def callback_folder(given: Any, folder: Path) -> str:
    """Return the folder of a checkpoint callback in the trial of `folder`. `given` is its own folder, if it has one."""
    if given is None:
        return str(own_checkpoints(folder))
    if "://" in str(given):
        return f"{str(given).rstrip('/')}/{trial_name(folder)}"
    path = Path(given).absolute()
    return str(path if path.is_relative_to(folder.absolute()) else path / trial_name(folder))


def forget_files(states: Mapping[Any, Any]) -> None:
    """Have checkpoint callbacks forget the files of an earlier attempt, which they would delete as their own."""
    for state in states.values():
        if isinstance(state, dict) and {"dirpath", "best_k_models"} <= state.keys():
            state["dirpath"] = None  # Lightning's sign for files of another folder


def weights_digest(module: torch.nn.Module) -> torch.Tensor:
    """Return two numbers for each parameter and buffer of `module`, to compare two states of it."""
    tensors = [t.detach() for t in (*module.parameters(), *module.buffers()) if not is_lazy(t)]
    dense = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
    numbers = [number for t in dense for number in (t.sum(dtype=_wide(t)), t.abs().sum(dtype=_wide(t)))]
    return torch.stack([number.to(numbers[0].device) for number in numbers]) if numbers else torch.empty(0)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if tensor.device.type == "mps" else torch.float64
