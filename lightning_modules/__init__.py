"""Models and data for studies to train: an example of a user's own code, independent of the studies themselves."""

from lightning_modules.augmentation import Augmentation
from lightning_modules.classifier import Classifier
from lightning_modules.cnn import CNN
from lightning_modules.data import MNIST, Digits, FashionMNIST, Gratings, ImageDataModule
from lightning_modules.loader import TensorLoader
from lightning_modules.mlp import MLP
from lightning_modules.optimizer_settings import OptimizerSettings
from lightning_modules.schedule import (
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmupCosine,
)

__all__ = [
    "CNN",
    "MLP",
    "MNIST",
    "Augmentation",
    "Classifier",
    "CosineDecay",
    "Digits",
    "ExponentialDecay",
    "FashionMNIST",
    "Gratings",
    "ImageDataModule",
    "OneCycle",
    "OptimizerSettings",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "TensorLoader",
    "WarmupCosine",
]
