"""A classifier: any network that maps images to logits, trained by cross-entropy.

Context: studies train small models by the thousand, and Lightning's own work in a step then costs more than the step.
Choice: nothing is logged in a step. Sums stay on the device and are read once an epoch. Cost: no curve within an epoch.
"""

import inspect
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path
from typing import Any, Self

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from lightning_modules.checks import require, require_number
from lightning_modules.loader import Batch
from lightning_modules.schedule import Schedule
from lightning_modules.tally import Tally
from lightning_modules.transfer import (
    freeze_hidden_layers,
    hold_statistics,
    require_hidden_layers,
    take_over_hidden_layers,
)


class Classifier(LightningModule):
    """Trains a network on (images, labels) batches and logs `train/loss`, `val/loss`, `val/accuracy`, `test/…`.

    The optimizer is a callable from parameters to an optimizer, such as a functools.partial. The minimised loss is the
    cross-entropy with label_smoothing, plus l1·Σ|w| and l2/2·Σw² over the weights (parameters of two or more
    dimensions, so no biases). For plain SGD, l2 is weight_decay on weights alone. `train/loss` is without these
    penalties. The losses of validation and test are without smoothing too, so that configurations compare. Losses are
    in nats a sample, accuracies are fractions. Both are means over all samples of all devices.

    init_from is the path of a checkpoint from the training of another Classifier. Its hidden layers replace the drawn
    ones, whatever its classes. The output layer (the network's `output_layer`) stays as the seed draws it. The file is
    read when a trainer first trains or evaluates, never where a state is restored. With freeze, these layers stay as
    they are: not trained, not penalised, their running statistics held. Their dropout still acts.

    Raises ValueError for a label_smoothing outside [0, 1), a negative penalty, a freeze without init_from, and a
    network without hidden layers to take over. A checkpoint that does not fit raises it once it is read.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Schedule | None = None,
        label_smoothing: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        init_from: str | Path | None = None,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        require_number(label_smoothing, key="label_smoothing", low=0, below=1, remedy="give a fraction in [0, 1)")
        require_number(l1, key="l1", low=0, remedy="give a finite penalty of 0 or more")
        require_number(l2, key="l2", low=0, remedy="give a finite penalty of 0 or more")
        remedy = "give init_from, the checkpoint whose layers are to be kept, or freeze: false"
        require(init_from is not None or not freeze, key="freeze", value=freeze, remedy=remedy)
        if init_from is not None:
            require_hidden_layers(network)
        if freeze:
            freeze_hidden_layers(network)
        self.network = network
        self.label_smoothing = label_smoothing
        self.l1 = l1
        self.l2 = l2
        self._build_optimizer = optimizer
        self._schedule = schedule
        self._take_over_from = None if init_from is None else Path(init_from).absolute()
        self._is_frozen = freeze
        self._training_tally = Tally()
        self._evaluation_tally = Tally()
        self._resumed_sums: Tensor | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning sets the running hook's name some 24 times a step. A string is no parameter, buffer or module, so
        # torch need not look: 7 % of a small step.
        if isinstance(value, str):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to logits (batch, n_classes)."""
        logits: Tensor = self.network(images)
        return logits

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer of the network's parameters and, for a schedule, its learning-rate scheduler."""
        optimizer = self._build_optimizer(self._trained_parameters())
        if self._schedule is None:
            return optimizer
        n_steps = self.trainer.estimated_stepping_batches  # first: it loads the data that the next line counts
        n_batches = float(self.trainer.num_training_batches)
        n_accumulated = self.trainer.accumulate_grad_batches
        steps_per_epoch = n_batches if n_batches == float("inf") else ceil(n_batches / n_accumulated)
        scheduler = self._schedule(optimizer, n_steps=n_steps, steps_per_epoch=steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def train(self, mode: bool = True) -> Self:
        """Enter or leave training mode. Frozen layers keep their running statistics."""
        super().train(mode)
        if self._is_frozen:
            hold_statistics(self.network)
        return self

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Restore a state. It already holds the layers taken over, so init_from is not read any more."""
        restored = super().load_state_dict(*arguments, **options)
        self._take_over_from = None
        return restored

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the epoch so far, over all devices."""
        sums = self._training_tally.sums()
        checkpoint["training_sums"] = self.trainer.strategy.reduce(sums, reduce_op="sum").cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of the resumed epoch."""
        self._resumed_sums = checkpoint.get("training_sums")

    def on_train_start(self) -> None:
        """Resume the sums of a started epoch: the first device gets those of all."""
        self._take_over()
        if self._is_frozen:
            hold_statistics(self.network)
        if self._resumed_sums is not None:
            sums = self._resumed_sums if self.trainer.is_global_zero else torch.zeros_like(self._resumed_sums)
            self._training_tally.go_on(sums, self.device)
            self._resumed_sums = None

    def on_train_epoch_start(self) -> None:
        """Start the epoch's sums."""
        self._training_tally.reset(self.device)

    def training_step(self, batch: Batch) -> Tensor:
        """Return the loss to minimise: the batch's mean with smoothing and penalties."""
        images, labels = batch
        loss = functional.cross_entropy(self.network(images), labels, label_smoothing=self.label_smoothing)
        self._training_tally.add_loss(loss, n_samples=len(labels))
        return loss + self._penalty() if self.l1 or self.l2 else loss

    # Lightning inspects the signature in every step. Set here, it is not worked out again: 3 % of a small step.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    def on_train_epoch_end(self) -> None:
        """Log `train/loss`."""
        self._log_means(self._training_tally, loss="train/loss")

    def on_validation_epoch_start(self) -> None:
        """Start the sums of this validation. It may fall within a training epoch."""
        self._take_over()
        self._evaluation_tally.reset(self.device)

    def validation_step(self, batch: Batch) -> None:
        """Add the batch to the sums."""
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss` and `val/accuracy`."""
        self._log_means(self._evaluation_tally, loss="val/loss", accuracy="val/accuracy")

    def on_test_epoch_start(self) -> None:
        """Start the sums of the test."""
        self._take_over()
        self._evaluation_tally.reset(self.device)

    def test_step(self, batch: Batch) -> None:
        """Add the batch to the sums."""
        self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        """Log `test/loss` and `test/accuracy`."""
        self._log_means(self._evaluation_tally, loss="test/loss", accuracy="test/accuracy")

    def on_predict_start(self) -> None:
        """Take over the layers of init_from, if that is still to be done."""
        self._take_over()

    def _take_over(self) -> None:
        # Not earlier: a restored state needs no init_from, and its file may be long gone.
        if self._take_over_from is not None:
            take_over_hidden_layers(self.network, path=self._take_over_from)
            self._take_over_from = None

    def _trained_parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def _penalty(self) -> Tensor:
        weights = [parameter for parameter in self._trained_parameters() if parameter.dim() > 1]
        penalty = torch.zeros((), device=self.device)
        if self.l1:
            penalty = penalty + self.l1 * torch.stack([weight.abs().sum() for weight in weights]).sum()
        if self.l2:
            penalty = penalty + self.l2 / 2 * torch.stack([weight.square().sum() for weight in weights]).sum()
        return penalty

    def _evaluate(self, batch: Batch) -> None:
        images, labels = batch
        logits = self.network(images)
        self._evaluation_tally.add_loss(functional.cross_entropy(logits, labels), n_samples=len(labels))
        self._evaluation_tally.add_correct((logits.argmax(dim=1) == labels).sum())

    def _log_means(self, tally: Tally, *, loss: str, accuracy: str | None = None) -> None:
        # The sums of all devices are added before the division: a mean of means would favour short batches.
        total_loss, n_correct, n_samples = self.trainer.strategy.reduce(tally.sums(), reduce_op="sum")
        if n_samples == 0:  # resumed at an epoch's very end: a NaN would look like divergence
            return
        # The values are equal on all devices by now. sync_dist only tells Lightning so.
        self.log(loss, total_loss / n_samples, sync_dist=True)
        if accuracy is not None:
            self.log(accuracy, n_correct / n_samples, sync_dist=True)
