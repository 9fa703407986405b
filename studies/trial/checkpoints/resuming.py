"""Adds to Lightning's own checkpoint everything that a training needs to resume as if it had never stopped.

Context: Lightning saves weights, optimizers, schedulers and counters. It saves neither random generators nor
accumulated gradients nor the metrics of schedulers. And some hooks lose a validation or an epoch if a checkpoint is
written in them. Choice: a state is saved only where Lightning asks whether to stop. By then a batch (or epoch) is done
and the next one has not begun, and the counters are written as Lightning reads them without a loss. Cost: the code
knows the names of Lightning's counters, and tests hold them.

With several ranks, rank 0 writes the one file, with the differences between ranks in a `RankStates`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studies.trial.building.package import loaders_in
from studies.trial.ranks.agreement import TrialRanks

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule, Trainer

KEY = "studies"  # where our part lies in a checkpoint
COUNTERS = (
    "epoch_loop.batch_progress",
    "epoch_loop.scheduler_progress",
    "epoch_loop.automatic_optimization.optim_progress",
)
VALIDATION = "epoch_loop.val_loop.batch_progress"
LOADERS = "combined_loader"


@dataclass(frozen=True, slots=True)
class RankStates:
    """The states of all ranks, gathered before one of them writes.

    `own` holds the state of each rank, by rank. `gradients` are those that the next step builds upon, averaged over the
    ranks: the same step up to rounding.
    """

    own: list[dict[str, Any]]
    gradients: dict[str, torch.Tensor]


def gather_states(
    trainer: Trainer, ranks: TrialRanks, *, before_validation: dict[str, Any] | None = None, ended: bool
) -> RankStates:
    """Return the states of the `ranks`. All of them call it at once. See `add_state`."""
    is_open = is_in_mid_epoch(trainer) and not ended
    own = {
        "generators": before_validation or capture_generators(),
        "metrics": {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()},
        "loaders": trainer.fit_loop.on_save_checkpoint().get(LOADERS, []) if is_open else [],
    }
    return RankStates(ranks.gather(own), _gradients(trainer, ranks) if is_open else {})


def add_state(checkpoint: dict[str, Any], shared: RankStates, *, seconds: float, validating: bool, ended: bool) -> None:
    """Complete Lightning's `checkpoint`. `seconds`: spent in training so far.

    `validating`: a validation is being interrupted. `shared` then has the generators' states at its beginning, if
    known. `ended`: there is nothing left to train.
    """
    _prepare(checkpoint["loops"]["fit_loop"], validating=validating)
    checkpoint[KEY] = {"seconds": seconds, "ended": ended, "ranks": shared.own, "gradients": shared.gradients}


def restore_state(state: dict[str, Any], trainer: Trainer, module: LightningModule, *, ranks: TrialRanks) -> None:
    """Restore the state of `add_state` before the first batch, in a training that Lightning has restored.

    Raises ValueError where another number of ranks wrote it.
    """
    if len(state["ranks"]) != ranks.size:
        raise ValueError(f"{len(state['ranks'])} ranks wrote the checkpoint, not {ranks.size}")
    if state["ended"]:
        trainer.should_stop = True
        return
    own = state["ranks"][ranks.rank]
    trainer.callback_metrics.update({name: value.to(module.device) for name, value in own["metrics"].items()})
    for name, parameter in module.named_parameters():
        if name in state["gradients"]:
            parameter.grad = state["gradients"][name].to(parameter.device)
    trainer.fit_loop.on_load_checkpoint({LOADERS: own["loaders"]})  # making the loader has used these up
    _restore_generators(own["generators"])
    _begin_loader(trainer, module)


def end_restart(trainer: Trainer) -> None:
    """Have the fit loop forget that it was restored. Lightning does so only after the whole epoch.

    Until then the loop passes over schedulers that wait for the epoch's validation.
    """
    trainer.fit_loop.on_iteration_done()


def is_in_mid_epoch(trainer: Trainer) -> bool:
    """Return whether an epoch has begun and not ended."""
    epochs = trainer.fit_loop.epoch_progress.current
    return bool(epochs.ready != epochs.processed)  # type: ignore[attr-defined]


def has_exact_loaders(trainer: Trainer) -> bool:
    """Return whether all training loaders can resume in mid-epoch: they have state_dict and load_state_dict."""
    loaders = loaders_in(trainer.train_dataloader, trainer)
    return all(hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict") for loader in loaders)


def capture_generators() -> dict[str, Any]:
    """Return the states of Python's, numpy's and torch's global generators, and of all GPUs if CUDA is in use."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, torch.tensor(words), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
    }


def _restore_generators(states: dict[str, Any]) -> None:
    """Set the generators to captured states. GPUs that are missing here are passed over."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    for device, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state.cpu(), device)


def _prepare(loops: dict[str, Any], *, validating: bool) -> None:
    """Write the counters so that Lightning begins the next epoch, or the next batch, or repeats the validation."""
    epochs = loops["epoch_progress"]["total"]
    if epochs["ready"] == epochs["processed"]:
        for name in COUNTERS:
            _zero_current(loops[name])
        loops["epoch_loop.batch_progress"]["is_last_batch"] = False
        loops["state_dict"].pop(LOADERS, None)
    validation = loops[VALIDATION]
    begun = int(validating)
    validation["total"] |= {"ready": begun, "started": begun, "processed": 0, "completed": 0}
    validation["current"] |= {"ready": 0, "started": 0, "processed": 0, "completed": 0}
    validation["is_last_batch"] = False


def _zero_current(counter: dict[str, Any]) -> None:
    for key, value in counter.items():
        if key == "current":
            value |= dict.fromkeys(value, 0)
        elif isinstance(value, dict):
            _zero_current(value)


def _gradients(trainer: Trainer, ranks: TrialRanks) -> dict[str, torch.Tensor]:
    """Return the gradients that the next step will build upon, if any."""
    module = trainer.lightning_module
    n_batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    if module.automatic_optimization and n_batches % trainer.accumulate_grad_batches == 0:
        return {}
    parameters = dict(module.named_parameters())
    own = {name: None for name, parameter in parameters.items() if parameter.grad is not None}
    anywhere = {name for has in ranks.gather(own) for name in has}
    gradients = {name: parameter.grad for name, parameter in parameters.items() if name in anywhere}
    return {
        name: ranks.average(torch.zeros_like(parameters[name]) if gradient is None else gradient.detach())
        for name, gradient in gradients.items()
    }


def _begin_loader(trainer: Trainer, module: LightningModule) -> None:
    """Have Lightning iterate its loaders again, with the restored generators and positions.

    It had begun them earlier, for a schedule that asked for the number of steps before anything was restored.
    """
    loading: Any = trainer  # a documented attribute that is not declared
    every_n_epochs = loading.reload_dataloaders_every_n_epochs
    with _same_loader(trainer, module):
        loading.reload_dataloaders_every_n_epochs = -1  # as if it were always due
        try:
            trainer.fit_loop.setup_data()
        finally:
            loading.reload_dataloaders_every_n_epochs = every_n_epochs


@contextlib.contextmanager
def _same_loader(trainer: Trainer, module: LightningModule) -> Iterator[None]:
    """Have `train_dataloader` return the present loader in here: a new one might draw another split of the data."""
    sources: list[Any] = [source for source in (getattr(trainer, "datamodule", None), module) if source is not None]
    loaders = trainer.train_dataloader
    kept = [vars(source).get("train_dataloader") for source in sources]
    for source in sources:
        source.train_dataloader = lambda: loaders
    try:
        yield
    finally:
        for source, before in zip(sources, kept, strict=True):
            del source.train_dataloader
            if before is not None:
                source.train_dataloader = before
