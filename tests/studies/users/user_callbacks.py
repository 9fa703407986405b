"""Lightning callbacks as users bring them."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from optuna.trial import TrialState
from pytorch_lightning import Callback, LightningModule, Trainer

from studies.storage.opening import open_storage


class TakesTheFirstTrial(Callback):
    """Tells the study's first trial FAIL while it trains, as a watcher does to a worker that fell silent."""

    def __init__(self, url: str) -> None:
        self.url = url

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        study = optuna.load_study(study_name="plain", storage=open_storage(self.url))
        if study.trials[0].state == TrialState.RUNNING:
            study.tell(0, state=TrialState.FAIL)


class StopsInMidEpoch(Callback):
    """Ends the training in the middle of the second epoch, as a timer does."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == 15:
            trainer.should_stop = True


class Notes(Callback):
    """Appends each begin and end of a fit to the file `path`: what, trial number, process."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._note("begin", trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._note("end", trainer)

    def _note(self, what: str, trainer: Trainer) -> None:
        number = Path(trainer.default_root_dir).name.removeprefix("trial-")
        with Path(self.path).open("a") as file:  # one write of one line, which the system does not split
            file.write(f"{what} {number} {os.getpid()}\n")


class RaisesOnce(Callback):
    """Fails in the first batch that it sees, unless `marker` says that it has done so before."""

    def __init__(self, marker: str) -> None:
        self.marker = Path(marker)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if not self.marker.exists():
            self.marker.touch()
            raise ValueError("once")


class KeepsAnObject(Callback):
    """Has a state that cannot be read back without unpickling."""

    def state_dict(self) -> dict[str, object]:
        return {"path": self}
