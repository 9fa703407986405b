"""Data sets of images, and data modules that make batches of them."""

from lightning_modules.data.digits import Digits
from lightning_modules.data.fashion_mnist import FashionMNIST
from lightning_modules.data.gratings import Gratings
from lightning_modules.data.image_data_module import ImageDataModule
from lightning_modules.data.mnist import MNIST

__all__ = ["MNIST", "Digits", "FashionMNIST", "Gratings", "ImageDataModule"]
