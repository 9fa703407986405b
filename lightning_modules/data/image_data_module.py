"""The base of all image data modules: parts in memory, batches cut out of them, augmented in training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from lightning_modules.augmentation import Augmentation
from lightning_modules.checks import lookup, require, require_whole
from lightning_modules.data.data_set import ImageDataSet
from lightning_modules.data.prepared import Part, PreparedImages, load_prepared
from lightning_modules.image_shape import image_shape_of
from lightning_modules.loader import Batch, TensorLoader


class ImageDataModule(LightningDataModule):
    """Batches of standardised images (batch, *image_shape), float32, and labels (batch,), int64.

    A subclass names its `sources`. The first is the default. data_dir keeps files. split_seed alone decides the split
    into training, validation and test. batch_size counts samples a device in training, eval_batch_size in validation
    and test. image_shape (channels, height, width) resizes the images, if given. After `setup`, `train`, `val` and
    `test` hold (images, labels). Other trials share this memory, so never write to it. Raises ValueError for an
    argument outside its range or an n_classes other than the labels'.
    """

    sources: ClassVar[Mapping[str, Callable[[str], ImageDataSet]]] = {}

    def __init__(
        self,
        *,
        source: str | None = None,
        data_dir: str = "data",
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 1024,
        image_shape: Sequence[int] | None = None,
        n_classes: int = 10,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        require_whole(batch_size, key="batch_size", low=1, remedy="give 1 sample or more")
        require_whole(eval_batch_size, key="eval_batch_size", low=1, remedy="give 1 sample or more")
        remedy = "give a whole number of 0 or more"
        require_whole(split_seed, key="split_seed", low=0, high=2**32 - 1, remedy=remedy)
        name = next(iter(self.sources)) if source is None else source
        self.data_set = lookup(self.sources, key="source", name=name)(str(Path(data_dir).absolute()))
        self.split_seed = split_seed
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.image_shape = None if image_shape is None else image_shape_of(image_shape, key="image_shape")
        self.n_classes = n_classes
        self.augmentation = augmentation

    def prepare_data(self) -> None:
        """Download and prepare the data, if that is still to be done. One process of a machine does it first."""
        self._load()

    def setup(self, stage: str | None = None) -> None:
        """Make the three parts available."""
        parts = self._load()
        self.train, self.val, self.test = parts.train, parts.val, parts.test

    def train_dataloader(self) -> TensorLoader:
        """Return shuffled training batches. Devices share the samples, and all take equally many steps."""
        images, labels = self._own_share(self.train)
        n_own = len(self.train[0]) // self._n_devices
        return TensorLoader(images[:n_own], labels[:n_own], batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> TensorLoader:
        """Return validation batches in a fixed order."""
        return TensorLoader(*self._own_share(self.val), batch_size=self.eval_batch_size, shuffle=False)

    def test_dataloader(self) -> TensorLoader:
        """Return test batches in a fixed order."""
        return TensorLoader(*self._own_share(self.test), batch_size=self.eval_batch_size, shuffle=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the batch to the device, if it is not there."""
        images, labels = batch
        return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment training batches on their device. Those of validation and test stay as they are."""
        if self.augmentation is None or self.trainer is None or not self.trainer.training:
            return batch
        images, labels = batch
        return self.augmentation(images), labels

    def _load(self) -> PreparedImages:
        parts = load_prepared(self.data_set, image_shape=self.image_shape, split_seed=self.split_seed)
        n_found = 1 + max(int(labels.max()) for _, labels in (parts.train, parts.val, parts.test))
        remedy = f"give {n_found}, the number that the labels have"
        require(self.n_classes == n_found, key="n_classes", value=self.n_classes, remedy=remedy)
        return parts

    @property
    def _n_devices(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    def _own_share(self, part: Part) -> tuple[Tensor, Tensor]:
        """Return every n-th sample as views. Each device begins at another one, so no two devices share a sample."""
        first = 0 if self.trainer is None else self.trainer.global_rank
        images, labels = part
        return images[first :: self._n_devices], labels[first :: self._n_devices]
